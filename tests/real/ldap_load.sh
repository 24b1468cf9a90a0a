# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Many logins at slapd, for ldap.sh, to be sourced behind ldap_world.sh.  Both sides are configured
# with latch = require here: a login that succeeds is latched.  Besides, clear segments are counted.
#
#   ldap_short   a few of each, some seconds
#   ldap_crowd   500 clients at once
#   ldap_rows    5 000 logins in a row with each mechanism, hostile tokens; what memory they leave

load_uri=ldap://ldap.example.org
load_dn=dn:uid=alice,ou=people,dc=example,dc=org
# Segments over IPv4 that carry octets in the clear.
load_clear='tcp port 389 and ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] & 240) >> 2) != 0'

load_require()
{
	local host

	for host in A B; do
		printf '[gss-ipsec]\n\tlatch = require\n' >>"$hosts_dir/$host/gss/ipsec.conf"
	done
	hosts_stop slapd
	ldap_start
	slapd_pid=${hosts_pid[slapd]}
	ldap_family 4
}

load_counts()
{
	tail -n 8 "$hosts_out/$1.log"
	grep -qx "$2 asked, $2 right, 0 wrong, 0 lost, 0 several" "$hosts_out/$1.log"
}

# row MECHANISM COUNT
load_row()
{
	hosts_enter as alice A
	timeout 1800 "${hosts_command[@]}" ldap_load.py row "$load_uri" "$1" "$2" alice@example.org \
		"$load_dn" >"$hosts_out/row.log" 2>&1 </dev/null
	load_counts row "$2"
}

# The same, and the clear segments: T1 and T2 of each login and no other.
load_row_counted()
{
	hosts_start clear A tcpdump -i wire -U -n -B 8192 --immediate-mode -Z root \
		-w "$hosts_out/clear.pcap" "$load_clear"
	hosts_wait 10 grep -q 'listening on' "$hosts_out/clear.log" || return 1
	load_row "$@"
	local status=$? clear
	sleep 1
	hosts_stop clear
	clear=$(tcpdump -n -r "$hosts_out/clear.pcap" 2>/dev/null | wc -l)
	echo "$clear clear segments"
	[ "$status" = 0 ] && [ "$clear" = $((2 * $2)) ]
}

load_crowd_answered()
{
	grep -qx 'all answered' "$hosts_out/crowd.log"
}

# So many latches on both hosts; a broker that is busy may not answer the first time.
load_established()
{
	local host

	for host in A B; do
		[ "$(hosts_on "$host" gss-ipsec status 2>/dev/null | grep -cw established)" = "$1" ] ||
			return 1
	done
}

# crowd MECHANISM COUNT: all of them at once, and so many latches on both hosts
load_crowd()
{
	local are_latched status

	rm -f "$hosts_dir/A/home/alice/go"
	hosts_start crowd as alice A ldap_load.py crowd "$load_uri" "$1" "$2" alice@example.org "$load_dn"
	hosts_wait 1800 load_crowd_answered
	hosts_wait 20 load_established "$2"
	are_latched=$?
	: >"$hosts_dir/A/home/alice/go"
	hosts_wait 120 hosts_has_ended "${hosts_pid[crowd]}"
	hosts_stop crowd
	load_counts crowd "$2"
	status=$?
	[ "$are_latched" = 0 ] || echo "not $2 latches on both hosts"
	[ "$status" = 0 ] && [ "$are_latched" = 0 ]
}

ldap_short()
{
	load_require
	report "30 clients at once" load_crowd GS2-63L22ULZSVD 30
	report "40 logins in a row, GS2" load_row_counted GS2-63L22ULZSVD 40
	report "40 logins in a row, SPNEGO" load_row GSS-SPNEGO 40
}

# memory NAME: says what slapd and both brokers hold
load_memory()
{
	local name

	# Until the leases are gone.
	sleep 6
	for name in slapd gss-ipsecd.A gss-ipsecd.B; do
		load_kilobytes[$name]=$(ldap_rss "$name")
		echo "$1: $name ${load_kilobytes[$name]} kB"
	done
}

load_grew_little()
{
	local name=$1 before=$2
	[ $((${load_kilobytes[$name]} - before)) -le 64 ]
}

# rows MECHANISM: memory behind 1 000 logins and behind 5 000
load_rows()
{
	local name slapd broker_a broker_b

	report "$1: 1 000 logins in a row" load_row "$1" 1000
	load_memory "$1, behind 1 000 logins"
	slapd=${load_kilobytes[slapd]}
	broker_a=${load_kilobytes[gss-ipsecd.A]}
	broker_b=${load_kilobytes[gss-ipsecd.B]}
	report "$1: 4 000 more" load_row "$1" 4000
	tail -n 2 "$hosts_out/row.log"
	load_memory "$1, behind 5 000 logins"
	report "$1: broker A grew by at most 64 kB" load_grew_little gss-ipsecd.A "$broker_a"
	report "$1: broker B grew by at most 64 kB" load_grew_little gss-ipsecd.B "$broker_b"
	report "$1: slapd grew by at most 64 kB" load_grew_little slapd "$slapd"
}

ldap_crowd()
{
	load_require
	report "500 clients at once" load_crowd GS2-63L22ULZSVD 500
	cat "$hosts_out/crowd.log"
}

ldap_rows()
{
	local -A load_kilobytes=()

	load_require
	load_rows GS2-63L22ULZSVD
	load_rows GSS-SPNEGO
	report "hostile tokens: none succeeds" hostile_tokens 1000
	load_memory "behind 2 000 hostile binds"
	load_dn= load_rows anonymous
}
