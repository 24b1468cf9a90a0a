#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Address families and kinds of sockets, between whole programs: families.sh STAGED BUILD.  IPv6,
# v4-mapped sockets at either end and link-local addresses: latched, every byte in ESP through the
# close, nothing left afterwards.  Then the same without GSS (families_probe.c, socket_kinds.c).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

status_shows()
{
	hosts_on "$1" gss-ipsec status 2>&1 | grep -qF "$2" && return 0
	hosts_on "$1" gss-ipsec status
	return 1
}

both_latched()
{
	[ "$(streams_reason client) $(streams_reason server)" = "latched latched" ] && return 0
	tail -n 6 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

# family NAME SHOWN "CLIENT OPTIONS" "SERVER OPTIONS": SHOWN is the server's end in A's status.
family()
{
	local name=$1 shown=$2 client_options server_options
	read -ra client_options <<<"$3"
	read -ra server_options <<<"$4"

	streams_capture
	streams_server --timeout 20 --latch require --send 300000 "${server_options[@]}"
	streams_client --timeout 20 --latch require --send 300000 --idle-ms 800 \
		"${client_options[@]}"
	streams_said client idle
	report "$name: status" status_shows A "$shown:$streams_port"
	streams_wait client server
	report "$name: both done" streams_done client server
	report "$name: latched" both_latched
	report "$name: nothing left after $streams_linger s" streams_gone
	streams_capture_end 0
	report "$name: ESP only" streams_judge
}

# The tuple of an IPv6 connection is as good for the next one as that of IPv4.
port_reused()
{
	local again=(--ipv6 --to fd77::2 --local-port 45679)

	streams_server --ipv6 --connections 3
	streams_client "${again[@]}" --reset
	streams_wait client
	report "IPv6 port used again: the first is latched" both_latched
	streams_client "${again[@]}" --reset
	streams_wait client
	report "IPv6 port used again: latched in the closing time" both_latched
	report "IPv6 port used again: nothing left" streams_gone
	streams_client "${again[@]}"
	streams_wait client server
	report "IPv6 port used again: latched afterwards" both_latched
	report "IPv6 port used again: nothing left at the end" streams_gone
}

# probe PROGRAM: it counts and prints by itself, with hosts of its own.
probe()
{
	"$1" "$(command -v gss-ipsecd)" || report_failed=$((report_failed + 1))
}

trap streams_end EXIT
streams_up "$1" "$2" 2
streams_snapshot
family "IPv6" "[fd77::2]" "--ipv6 --to fd77::2" "--ipv6"
family "v4-mapped client" "10.77.0.2" "--ipv6 --to 10.77.0.2" ""
family "v4-mapped server" "10.77.0.2" "" "--ipv6"
family "both v4-mapped" "10.77.0.2" "--ipv6 --to ::ffff:10.77.0.2 --descriptor" "--ipv6 --descriptor"
family "IPv6 link-local" "[fe80::77:2%wire]" "--ipv6 --to fe80::77:2%wire" "--ipv6"
port_reused
streams_end
trap - EXIT
probe "$2/tests/real/families_probe"
probe "$2/tests/real/socket_kinds"
report_end
