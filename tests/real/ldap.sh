#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's slapd, ldapwhoami and ldapsearch over latched connections:
# ldap.sh STAGED BUILD [crowd|rows].
# crowd: 500 clients at once (GUEST_MEMORY=3G).  rows: 5 000 logins in a row with either mechanism,
# hostile tokens, and what the memory of slapd and the brokers comes to.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"
. "$here/heap_watch.sh"
. "$here/page.sh"
. "$here/ldap_world.sh"
. "$here/ldap_load.sh"

staged=$1
form=${3:-short}
exchange_port=389
alice_dn=uid=alice,ou=people,dc=example,dc=org
server=ldap://ldap.example.org
spnego="-Y GSS-SPNEGO -H $server"
gs2="-Y GS2-63L22ULZSVD -U alice@example.org -H $server"
people="-b dc=example,dc=org uid"

judge()
{
	"$here/capture.py" --port 389 --absent "ou=people" --absent "uid=u77" "$hosts_out/$1.pcap"
}

capture_begin()
{
	hosts_capture A "$hosts_out/A.pcap"
	hosts_capture B "$hosts_out/B.pcap"
}

says()
{
	grep -qxF -- "$2" "$hosts_out/$1.log" && return 0
	cat "$hosts_out/$1.log"
	return 1
}

status_names()
{
	grep -qw established "$hosts_out/status.$1" && grep -qF "$2" "$hosts_out/status.$1" &&
		return 0
	cat "$hosts_out/status.$1"
	return 1
}

has_all_entries()
{
	[ "$(grep -c '^dn: ' "$hosts_out/client.log")" = "$ldap_entries" ] && return 0
	tail -n 5 "$hosts_out/client.log"
	return 1
}

# search NAME FAMILY COMMAND: all entries, both ends asked in the middle of it.
search()
{
	local name=$1

	ldap_family "$2"
	page_command 'client$' "$3"
	capture_begin
	hosts_start client as alice A sh -c "exec $3"
	report "$name: latched on both sides" hosts_wait "${EXCHANGE_SECONDS:-60}" exchange_is_latched
	report "$name: status of A names the server" status_names A ldap/ldap.example.org
	report "$name: status of B names alice" status_names B alice@example.org
	exchange_finish
	report "$name: search ends" [ $? = 0 ]
	report "$name: $ldap_entries entries" has_all_entries
	report "$name: capture of A" judge A
	report "$name: capture of B" judge B
}

# whoami NAME FAMILY COMMAND
whoami_is_alice()
{
	ldap_as alice whoami "$1" && says whoami "dn:$alice_dn"
}

whoami()
{
	ldap_family "$2"
	capture_begin
	report "$1: whoami is alice's entry" whoami_is_alice "$3"
	sleep 1
	hosts_stop tcpdump.A
	hosts_stop tcpdump.B
	report "$1: capture of A" judge A
	report "$1: capture of B" judge B
}

offers()
{
	ldap_as alice offers "ldapsearch -x -LLL -H $server -s base -b \"\" supportedSASLMechanisms" &&
		says offers "supportedSASLMechanisms: GSS-SPNEGO" &&
		says offers "supportedSASLMechanisms: GS2-63L22ULZSVD"
}

# Those who do not use the mechanism.
bystander()
{
	[ "$(hosts_as alice A timeout 20 ldapwhoami -x -H "$server" "${@:2}" 2>&1)" = "$1" ]
}

bystanders()
{
	report "anonymous bind" bystander anonymous
	report "simple bind" bystander "dn:$alice_dn" -D "$alice_dn" -w "alices password"
	report "simple bind, wrong password" bystander "ldap_bind: Invalid credentials (49)" \
		-D "$alice_dn" -w "another password"
}

# ~/.config/gss-ipsec/ipsec.conf of a user of host A, from standard input; empty: none.
configure_user()
{
	local home=$hosts_dir/A/home/$1

	mkdir -p "$home/.config/gss-ipsec"
	cat >"$home/.config/gss-ipsec/ipsec.conf"
	[ -s "$home/.config/gss-ipsec/ipsec.conf" ] || rm -f "$home/.config/gss-ipsec/ipsec.conf"
	chown -R "${hosts_uid[$1]}" "$home"
}

# refused NAME MINOR USER: both mechanisms, with the sentence of doc/errors.md.
refused()
{
	report "GS2, $1: refused" ldap_refuses "$2" hosts_as "$3" A sh -c "ldapwhoami $gs2"
	report "SPNEGO, $1: refused" ldap_refuses "$2" hosts_as "$3" A sh -c "ldapwhoami $spnego"
}

# The server tells a stranger no more than that it failed; its own log has the sentence.
slapd_refuses()
{
	if ldap_as sample stranger "$1"; then
		echo "a stranger is let in"
		return 1
	fi
	grep -q 'Invalid credentials (49)' "$hosts_out/stranger.log" &&
		ldap_refuses 62 sh -c "tail -n 12 $hosts_out/slapd.log; false"
}

strangers()
{
	local home=$hosts_dir/A/home/sample

	hosts_as sample A gss-ipsec keygen --out "$home/bob.pem" >/dev/null || hosts_die "keygen"
	configure_user sample <<-CONFIG
		[identity]
			bob = {
				key = $home/bob.pem
				user = bob@example.org
			}
	CONFIG
	report "GS2, unknown client: refused, slapd logs why" slapd_refuses "ldapwhoami $gs2"
	report "SPNEGO, unknown client: refused, slapd logs why" slapd_refuses "ldapwhoami $spnego"
	entered_while_it_runs
	configure_user alice <<-CONFIG
		[peer]
			ldap = {
				host = ldap.example.org
				key = $(hosts_fingerprint alice)
			}
	CONFIG
	refused "another host key" 63 alice
	configure_user alice <<<$'[gss-ipsec]\n\tbroker = /run/nobody'
	refused "no broker at the client" 203 alice
	configure_user alice </dev/null
}

# A running slapd sees who is entered and who is taken out.
entered_while_it_runs()
{
	local key=$hosts_dir/A/home/sample/bob.pem

	hosts_on B gss-ipsec peer add bob@example.org "$key" >/dev/null || hosts_die "peer add"
	sleep 1.2
	report "bob is entered while slapd runs: let in" ldap_as sample bob "ldapwhoami $gs2"
	hosts_on B gss-ipsec peer remove bob@example.org >/dev/null || hosts_die "peer remove"
	sleep 1.2
	report "bob is taken out again: refused" slapd_refuses "ldapwhoami $gs2"
}

gs2_is_too_weak()
{
	! ldap_as alice strength "ldapwhoami -O minssf=1 $gs2" &&
		grep -q "No worthy mechs found" "$hosts_out/strength.log"
}

# Which mechanism satisfies whom: layers of SASL's own are SPNEGO's only.
strength()
{
	report "SPNEGO, minssf=256" whoami_is_alice "ldapwhoami -O minssf=256 $spnego"
	report "GS2, minssf=1: no mechanism" gs2_is_too_weak
}

# Whatever authorization identity a client asks for, and with a name of the server's from DNS.
stays_alice()
{
	hosts_as alice A sh -c "$1" >"$hosts_out/whoami.log" 2>&1 </dev/null
	says whoami "dn:$alice_dn"
}

slapd_misses_host()
{
	! hosts_as alice A sh -c "ldapwhoami $gs2" >"$hosts_out/whoami.log" 2>&1 </dev/null &&
		ldap_refuses 70 sh -c "tail -n 12 $hosts_out/slapd.log; false"
}

names()
{
	local home=$hosts_dir/A/home/alice

	report "GS2, -X: alice stays alice" stays_alice "ldapwhoami -X dn:uid=u77 $gs2"
	report "SPNEGO, -X: alice stays alice" stays_alice "ldapwhoami -X dn:uid=u77 $spnego"
	page_block '.ldaprc' >"$home/.ldaprc"
	report "with .ldaprc no options" stays_alice "ldapwhoami -H $server"
	rm "$home/.ldaprc"
	echo "${hosts_address[B]} other.example.org ldap.example.org" >"$hosts_dir/A/hosts"
	report "another name of the server's: slapd logs why" slapd_misses_host
	report "another name of the server's, -N" stays_alice "ldapwhoami -N $gs2"
	ldap_family 4
}

hostile_tokens()
{
	hosts_as alice A ldap_hostile.py ldap.example.org "$1" >"$hosts_out/hostile.log" 2>&1
	tail -n 3 "$hosts_out/hostile.log"
	grep -qx '0 succeeded' "$hosts_out/hostile.log"
}

slapd_lives()
{
	! hosts_has_ended "$slapd_pid" && whoami_is_alice "ldapwhoami $gs2"
}

trap 'exchange_abort; hosts_down' EXIT
page_open "$here/../../doc/programs/openldap.md"
hosts_install_programs "$here/ldap_load.py" "$here/ldap_hostile.py"
brokers=(--linger-seconds 3)
[ "$form" = short ] || ldap_entries=10
ldap_up "$staged" "${brokers[@]}"
slapd_pid=${hosts_pid[slapd]}
if [ "$form" != short ]; then
	"ldap_$form"
	report "slapd lives" slapd_lives
	report_end
fi
report "both mechanisms are offered" offers
search "GS2, IPv4" 4 "ldapsearch -LLL $gs2 $people"
search "SPNEGO, IPv6" 6 "ldapsearch -LLL $spnego $people"
whoami "GS2, IPv6" 6 "ldapwhoami $gs2"
whoami "SPNEGO, IPv4" 4 "ldapwhoami $spnego"
strangers
strength
names
report "hostile tokens: none succeeds" hostile_tokens 24
bystanders
report "slapd lives" slapd_lives
ldap_short
report_end
