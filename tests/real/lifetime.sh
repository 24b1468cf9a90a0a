#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# How long a latch lives: lifetime.sh STAGED BUILD.  As long as the socket, neither shorter nor much
# longer: whatever becomes of the context and of the process, it is ESP to the end, and when the
# lingering time is over nothing of ours is left, and what others had in the kernel is as it was.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

# What another program keeps in the kernel: its own reqid, addresses of nobody.
foreign_add()
{
	local host key=0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff01020304

	for host in A B; do
		hosts_on "$host" ip xfrm state add src 10.99.0.1 dst 10.99.0.2 proto esp spi 0x9901 \
			reqid 77 mode transport aead 'rfc4106(gcm(aes))' "$key" 128 &&
			hosts_on "$host" ip xfrm policy add src 10.99.0.1/32 dst 10.99.0.2/32 dir out \
				tmpl proto esp reqid 77 mode transport || hosts_die "no foreign state"
	done
}

idle_is_reached()
{
	streams_said client idle && streams_said server idle && return 0
	tail -n 6 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

# begin NAME "CLIENT OPTIONS" "SERVER OPTIONS": until both are idle, latched.
begin()
{
	local client_options server_options
	read -ra client_options <<<"$2"
	read -ra server_options <<<"$3"

	streams_capture
	streams_server --timeout 20 "${server_options[@]}"
	streams_client --timeout 20 "${client_options[@]}"
	report "$1: login" idle_is_reached
	report "$1: established on both" streams_established
}

# finish NAME: what is judged in every case.
finish()
{
	report "$1: nothing left after $streams_linger s" streams_gone
	streams_capture_end 0
	report "$1: ESP only" streams_judge
}

names_shown()
{
	"$@" gss-ipsec status 2>&1 | grep -q "sample/${hosts_name[B]}"
}

names_hidden()
{
	! names_shown "$@"
}

case_context_deleted()
{
	local name="context deleted after login"

	begin "$name" "--delete-context --idle-ms 3000 --send 3000000" \
		"--delete-context --idle-ms 3000 --send 3000000"
	report "names are shown to root" names_shown hosts_on A
	report "names are shown to who latched" names_shown hosts_as alice A
	report "names are hidden from others" names_hidden hosts_as sample A
	streams_wait client server
	report "$name: both done" streams_done client server
	finish "$name"
}

case_client_killed()
{
	local name="client killed"

	begin "$name" "--idle-ms 10000 --send 1000" "--send 1000"
	kill -KILL "${hosts_pid[client]}"
	streams_wait client server
	finish "$name"
}

case_child()
{
	local name="descriptor passed to a child"

	begin "$name" "--fork --idle-ms 4000 --send 3000000" \
		"--fork --idle-ms 4000 --send 3000000"
	streams_wait client server
	report "$name: parents have ended" streams_done client server
	report "$name: still established" streams_established
	report "$name: client's child done" streams_said client 'done'
	report "$name: server's child done" streams_said server 'done'
	finish "$name"
}

case_half_closed()
{
	local name="half closed"

	begin "$name" "--half-close --idle-ms 4000 --send 1000000" \
		"--answer-late --send 10000000"
	streams_wait client server
	report "$name: both done" streams_done client server
	report "$name: 10 MB after the end" grep -q '^received: 10000000' "$hosts_out/client.log"
	finish "$name"
}

case_idle()
{
	local name="idle for 8 s"

	begin "$name" "--descriptor --idle-ms 8000 --send 100000" "--descriptor --send 100000"
	streams_wait client server
	report "$name: both done" streams_done client server
	finish "$name"
}

# A new connection has the tuple of one that is in its closing time, and again afterwards.
case_port_reused()
{
	local name="port used again"

	begin "$name" "--local-port 45678 --reset --idle-ms 3000" "--connections 3"
	streams_wait client
	report "$name: client done" streams_done client
	streams_client --local-port 45678 --reset
	streams_wait client
	report "$name: latched in the closing time" grep -q '^reason: 0 latched' \
		"$hosts_out/client.log"
	report "$name: nothing left after $streams_linger s" streams_gone
	streams_client --local-port 45678
	streams_wait client
	report "$name: free afterwards" streams_done client
	report "$name: latched afterwards" grep -q '^reason: 0 latched' "$hosts_out/client.log"
	streams_wait server
	streams_capture_end 0
	report "$name: no clear segment but tokens of the first and the last" \
		streams_judge --again 2 --clear-again 1
}

trap streams_end EXIT
streams_up "$1" "$2" 3
streams_hurry
foreign_add
streams_snapshot
case_context_deleted
case_client_killed
case_child
case_half_closed
case_idle
case_port_reused
report_end
