# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Many logins at slapd, for ldap.sh, to be sourced behind ldap_world.sh.  Both sides are configured
# with latch = require here: a login that succeeds is latched.  Besides, clear segments are counted.
#
#   ldap_short   a few of each, some seconds
#   ldap_crowd   500 clients at once
#   ldap_rows    5 000 logins in a row with each mechanism, hostile tokens; what memory they leave, in
#                slapd beside one where nobody logs in.  LDAP_LOAD has other sizes ("1000 5000"),
#                LDAP_MECHANISMS other mechanisms

load_uri=ldap://ldap.example.org
load_dn=dn:uid=alice,ou=people,dc=example,dc=org
# Segments over IPv4 that carry octets in the clear.
load_clear='tcp port 389 and ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] & 240) >> 2) != 0'

load_require()
{
	local host

	# The more there are, the more rarely a client gets one whose last connection is in its closing time.
	hosts_on A sysctl -q -w net.ipv4.ip_local_port_range="10000 60999"
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
	hosts_start tcpdump.clear A nice -n -20 tcpdump -i wire -U -n -B 8192 --immediate-mode -Z root \
		-w "$hosts_out/clear.pcap" "$load_clear"
	hosts_wait 10 grep -q 'listening on' "$hosts_out/tcpdump.clear.log" || return 1
	load_row "$@"
	local status=$? clear
	sleep 1
	hosts_stop tcpdump.clear || return 1
	clear=$(tcpdump -n -r "$hosts_out/clear.pcap" 2>/dev/null | wc -l)
	echo "$clear clear segments"
	[ "$status" = 0 ] && [ "$clear" = $((2 * $2)) ]
}

load_crowd_answered()
{
	grep -qx 'all answered' "$hosts_out/crowd.log"
}

# So many latches on both hosts, or more: slapd's end of a connection that a client of an earlier test
# gave up lives on for some time (doc/security.md).
load_are_latched()
{
	[ "$(hosts_count_established A)" -ge "$1" ] && [ "$(hosts_count_established B)" -ge "$1" ]
}

# crowd MECHANISM COUNT: all of them at once, and so many latches on both hosts
load_crowd()
{
	local are_latched status

	rm -f "$hosts_dir/A/home/alice/go"
	hosts_start crowd as alice A ldap_load.py crowd "$load_uri" "$1" "$2" alice@example.org "$load_dn"
	hosts_wait 1800 load_crowd_answered
	hosts_wait 20 load_are_latched "$2"
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

# What slapd and both brokers' processes hold.
load_memory()
{
	local pid

	# Until the leases are gone.
	sleep 6
	for pid in $(pgrep -x slapd) $(pgrep -x 'gss-ipsecd.*'); do heap_line "$pid"; done |
		sort >"$hosts_out/memory.$1"
}

# Of few and many: says what was left, and whether that is little enough.
load_compare()
{
	heap_report "$hosts_out/memory.few" "$hosts_out/memory.many" 64 64 >"$hosts_out/memory.grown"
	load_grew_little=$?
	cat "$hosts_out/memory.grown"
}

# Some logins, then more.
load_both()
{
	report "$1: $load_few in a row" load_row "$1" "$load_few"
	load_memory few
	report "$1: $((load_many - load_few)) more" load_row "$1" "$((load_many - load_few))"
	tail -n 2 "$hosts_out/row.log"
	load_memory many
	load_compare
}

# Before the first thousand ends, slapd has had more connections at one moment than any row has: one that
# begins before the end of the former needs no page then that was never touched.
load_rows()
{
	report "$1: 30 at once" load_crowd "$1" 30
	load_both "$1"
	report "$1: nobody grew by more than 64 kB" [ "$load_grew_little" = 0 ]
}

ldap_crowd()
{
	load_require
	report "500 clients at once" load_crowd GS2-63L22ULZSVD 500
	cat "$hosts_out/crowd.log"
}

# MIT's krb5 loses a principal whenever the keytab has no key for the service that is asked for, which
# behind GSS-SPNEGO is twice for each login.  With one, every octet that is lost is somebody else's.
load_keytab()
{
	local keytab=$ldap_dir/slapd.keytab

	printf '%s\n' "addent -password -p ldap/ldap.example.org@EXAMPLE.ORG -k 1 -e aes256-cts" \
		"a password" "wkt $keytab" q | ktutil >/dev/null && chown openldap "$keytab" ||
		hosts_die "no keytab"
	export KRB5_KTNAME=$keytab
}

# Each thread of slapd's takes some memory for good when it first has something to do: of two, both have
# had that by login 1 000; of the 16 that are usual one may be the first time busy by login 4 000.
load_threads()
{
	printf '%s\n' "dn: cn=config" "changetype: modify" "replace: olcThreads" "olcThreads: 2" |
		hosts_on B ldapmodify -Q -Y EXTERNAL -H ldapi:/// >/dev/null || hosts_die "olcThreads"
}

ldap_rows()
{
	local load_few load_many load_grew_little mechanism

	read -r load_few load_many <<<"${LDAP_LOAD:-1000 5000}"
	heap_watch slapd
	load_keytab
	load_threads
	load_require
	for mechanism in ${LDAP_MECHANISMS:-GS2-63L22ULZSVD GSS-SPNEGO}; do load_rows "$mechanism"; done
	report "hostile tokens: none succeeds" hostile_tokens 1000
	mv "$hosts_out/memory.many" "$hosts_out/memory.few"
	load_memory many
	load_compare
	# As many who do not log in, in a slapd that nobody has: what it takes for itself.
	hosts_stop slapd
	ldap_start
	slapd_pid=${hosts_pid[slapd]}
	load_dn= load_both anonymous
}
