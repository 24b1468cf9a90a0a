#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Many octets over a latched connection, on wires of all kinds: transfer.sh STAGED BUILD.  They
# arrive intact in both directions and in ESP only, from the first octet behind the tokens to the
# last segment of the close; long tokens do not stall the login.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

# A host between the two, a bridge, on whose ports packets get lost or overtake each other: at the
# hosts' own ends captures would see the disorder as the sender's.
middle_up()
{
	local host

	modprobe -q bridge
	(
		trap - EXIT
		exec unshare --net --mount --propagation private sleep infinity
	) &
	hosts_pid[hostM]=$!
	hosts_wait 10 hosts_is_apart "${hosts_pid[hostM]}" || hosts_die "no namespace for the middle"
	hosts_on A ip link delete wire
	hosts_on M ip link add middle type bridge && hosts_on M ip link set middle up ||
		hosts_die "no bridge in this kernel"
	for host in A B; do
		ip link add "wire$host" type veth peer name "port$host" &&
			ip link set "wire$host" netns "${hosts_pid[host$host]}" &&
			ip link set "port$host" netns "${hosts_pid[hostM]}" &&
			hosts_on M ip link set "port$host" master middle up &&
			hosts_on "$host" ip link set "wire$host" name wire &&
			hosts_on "$host" ip address add "${hosts_address[$host]}/24" dev wire &&
			hosts_on "$host" ip link set wire up || hosts_die "cannot join host $host"
	done
	hosts_wait 5 hosts_on A ping -c 1 -W 1 "${hosts_address[B]}"
}

middle_set()
{
	local host

	for host in A B; do
		if [ $# = 0 ]; then
			hosts_on M tc qdisc delete dev "port$host" root 2>/dev/null
		else
			hosts_on M tc qdisc replace dev "port$host" root netem limit 20000 "$@" || return 1
		fi
	done
	return 0
}

middle_set_mtu()
{
	local host

	for host in A B; do
		hosts_on "$host" ip link set wire mtu "$1"
		hosts_on M ip link set "port$host" mtu "$1"
	done
}

# What one side sent is what the other received, both are latched.
octets_agree()
{
	local from=$1 to=$2

	grep -q '^reason: 0 latched$' "$hosts_out/$from.log" &&
		[ "$(sed -n 's/^sent: //p' "$hosts_out/$from.log")" = \
			"$(sed -n 's/^received: //p' "$hosts_out/$to.log")" ] &&
		grep -q '^sent: ' "$hosts_out/$from.log" && return 0
	tail -n 8 "$hosts_out/$from.log" "$hosts_out/$to.log"
	return 1
}

login_took_at_most()
{
	local took

	took=$(sed -n 's/^login ok: \([0-9]*\) ms$/\1/p' "$hosts_out/client.log")
	echo "login took ${took:-no} ms"
	[ -n "$took" ] && [ "$took" -le "$1" ]
}

# An acceptor that speaks right behind the last token, on a wire that loses: its octets may wait out
# of order when the initiator closes the latch, which cannot be told from an attack then (verdict
# (e)).  So the login may fail, with exactly that reason, and never in the clear.
speaks_first()
{
	[ "${streams_status[client]} ${streams_status[server]}" = "0 0" ] && return 0
	[ "${streams_status[client]}" != 0 ] && [ "$(streams_reason client)" = pending ] && return 0
	tail -n 8 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

transfer_first()
{
	local name="acceptor speaks first, 5 % lost, $1"

	streams_capture
	streams_server --send 1000000 --timeout 20 --speak-first
	streams_client --send 1000000 --timeout 20
	streams_wait client server
	report "$name: done, or pending" speaks_first
	streams_capture_end
	report "$name: no clear byte after ESP" streams_judge --cut-short
}

# transfer NAME OCTETS_OF_CLIENT OCTETS_OF_SERVER LOGIN_MILLISECONDS [SERVER_OPTION]
transfer()
{
	local name=$1 to_server=$2 to_client=$3 limit=$4 begun=$SECONDS
	shift 4

	streams_capture
	streams_server --send "$to_client" --timeout 40 "$@"
	streams_client --send "$to_server" --timeout 40
	streams_wait client server
	report "$name: both ends say done" streams_done client server
	report "$name: client's octets arrive" octets_agree client server
	report "$name: server's octets arrive" octets_agree server client
	report "$name: login within $limit ms" login_took_at_most "$limit"
	streams_capture_end
	report "$name: ESP only" streams_judge
	rm -f "$hosts_dir"/?.pcap
	echo "$name took $((SECONDS - begun)) s; $(grep '^login ok' "$hosts_out/client.log")"
}

trap streams_end EXIT
streams_up "$1" "$2"
middle_up
transfer "plain wire" 100000000 20000000 2000 --speak-first
middle_set loss 1% && transfer "1 % lost" 100000000 5000000 20000
middle_set delay 10ms reorder 25% 50% && transfer "reordered" 20000000 5000000 20000
middle_set
middle_set_mtu 1280
transfer "MTU 1280" 10000000 10000000 2000 --speak-first
middle_set_mtu 1500
streams_configure A '[gss-ipsec]' 'token_padding = 30000'
streams_configure B '[gss-ipsec]' 'token_padding = 30000'
transfer "tokens of 30 kB" 2000000 2000000 2000
middle_set_mtu 1280
transfer "tokens of 30 kB, MTU 1280" 2000000 2000000 2000
middle_set_mtu 1500
middle_set loss 5%
for try in 1 2; do
	transfer "tokens of 30 kB, 5 % lost, $try" 1000000 1000000 20000
	transfer_first "$try"
done
middle_set delay 10ms reorder 25% 50% &&
	transfer "tokens of 30 kB, reordered" 1000000 1000000 2000
report_end
