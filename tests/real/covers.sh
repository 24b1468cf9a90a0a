#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The close cover's second form, and where covers meet others: covers.sh STAGED BUILD.  Beyond
# --cover-max a latch has no SPD entry of its own but a mark that is blocked; through close, killed
# programs, flushes and restarts no clear packet leaves.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

# brokers OPTIONS...: both anew, with these.
brokers()
{
	hosts_stop gss-ipsecd.A
	hosts_stop gss-ipsecd.B
	streams_broker_options=("$@")
	streams_brokers
}

# begin NAME PHASE "CLIENT'S OPTIONS" "SERVER'S"
begin()
{
	local client_options server_options
	read -ra client_options <<<"$3"
	read -ra server_options <<<"$4"

	streams_capture
	streams_server --timeout 6 "${server_options[@]}"
	streams_client --timeout 6 "${client_options[@]}"
	report "$1: both in phase '$2'" eval "streams_said client $2 && streams_said server $2"
}

finish()
{
	local name=$1

	shift
	report "$name: nothing left after $streams_linger s" streams_gone 12
	streams_capture_end 0
	report "$name: no clear packet" streams_judge "$@"
}

both_done()
{
	streams_wait client server
	report "$1: both done" streams_done client server
}

# entries HOST COVERS BLOCKS: so many SPD entries of each kind (blocks: of both families).
entries()
{
	local covers blocks

	covers=$(hosts_on "$1" ip xfrm policy list nosock | grep -c 'proto esp reqid')
	blocks=$(hosts_on "$1" ip xfrm policy list nosock | grep -c 'mark 0xc7000000/0xff000000')
	[ "$covers" = "$2" ] && [ "$blocks" = "$3" ] && return 0
	echo "$covers covers, $blocks blocks on $1"
	hosts_on "$1" ip xfrm policy list nosock
	return 1
}

both_have()
{
	entries A "$1" "$2" && entries B "$1" "$2"
}

case_whole()
{
	local name="second form, whole"

	begin "$name" idle "--idle-ms 1500 --send 3000000" "--idle-ms 1500 --send 3000000"
	report "$name: blocks, no covers" both_have 0 4
	both_done "$name"
	finish "$name"
}

case_ipv6()
{
	local name="second form, IPv6"

	begin "$name" idle "--ipv6 --to fd77::2 --idle-ms 1000 --send 1000000" \
		"--ipv6 --idle-ms 1000 --send 1000000"
	report "$name: blocks, no covers" both_have 0 4
	both_done "$name"
	finish "$name"
}

# The socket vanishes while the other side sends as fast as it can: what arrives then belongs to no
# socket, and a kernel answers that with RST.
case_killed()
{
	local killed=$1 name="second form, $1 killed while the peer sends"

	begin "$name" transfer "--send 200000000" "--send 200000000"
	sleep 0.5
	kill -KILL "${hosts_pid[$killed]}"
	streams_wait client server
	finish "$name"
}

case_reset()
{
	local name="second form, reset with octets unread"

	begin "$name" idle "--idle-ms 1000 --send 1000 --reset" "--send 1000 --idle-after-ms 500"
	streams_wait client server
	finish "$name"
}

# Behind a second form no cover is there that could carry or demand anything: the second connection's
# handshake is in the clear, as any first one's.
case_again()
{
	local name="second form, the port used again"

	begin "$name" idle "--local-port 45680 --idle-ms 500 --send 1000 --reset" \
		"--connections 2 --send 1000 --idle-ms 500"
	streams_wait client
	streams_client --local-port 45680 --send 1000
	streams_wait client server
	report "$name: latched in the closing time" grep -q '^reason: 0 latched' \
		"$hosts_out/client.log"
	finish "$name" --again 1 --clear-again 1
}

server_is_done_with()
{
	! hosts_on B ss -Htn state all "sport = :$streams_port" | grep -q LAST-ACK
}

# Made in the second form; a broker with room for covers then sees the close.
case_restart()
{
	local name="second form, brokers killed"

	begin "$name" idle "--idle-ms 9000 --send 100000" "--idle-ms 9000 --send 100000"
	report "$name: blocks, no covers" both_have 0 4
	hosts_on A ip xfrm policy flush
	report "$name: flushed blocks are back" hosts_wait 2 entries A 0 4
	kill -KILL "${hosts_pid[gss-ipsecd.A]}" "${hosts_pid[gss-ipsecd.B]}"
	brokers --cover-max 1000
	report "$name: blocks stay" both_have 0 4
	report "$name: adopted" streams_has_state A established
	both_done "$name"
	report "$name: a cover for the closing time" hosts_wait 2 entries A 2 4
	report "$name: clean close" hosts_wait 2 server_is_done_with
	finish "$name"
}

case_own_mark()
{
	local name="mark of the program's own"

	streams_filters=yes
	begin "$name" idle "--idle-ms 1500 --send 1000 --own-mark 7" "--idle-ms 1500 --send 1000"
	streams_filters=
	report "$name: keeps the first form" entries A 2 0
	report "$name: the peer has the second" entries B 0 4
	both_done "$name"
	finish "$name"
}

# With cover-max 1 the second connection gets the mark, the first keeps its cover.
case_mixed()
{
	local name="one of each form"

	streams_server --timeout 6 --connections 2 --idle-ms 1
	streams_client --timeout 6 --idle-ms 3000
	report "$name: first" streams_said client idle
	report "$name: a cover" entries A 2 0
	report "$name: of it only" entries B 2 0
	streams_wait client
	streams_client --timeout 6 --idle-ms 1000
	report "$name: second" streams_said client idle
	report "$name: cover of the first, blocks for the second" hosts_wait 2 both_have 2 4
	streams_wait client server
	report "$name: both done" streams_done client server
	report "$name: nothing left" streams_gone 12
}

# Root takes the socket's policy away in the middle of a transfer.
case_policy_cleared()
{
	local name="socket policy cleared by root, $1 form"

	begin "$name" transfer "--send 4000000 --slow-us 50000" "--send 4000000 --slow-us 50000"
	report "$name: cleared" hosts_on A "$here/clear_policy.py" "${hosts_pid[client]}"
	streams_wait client server
	if [ "$1" = first ]; then
		report "$name: the cover takes its place" streams_done client server
	else
		report "$name: stands still" eval "! streams_done client server"
	fi
	finish "$name"
}

# What others put where a cover belongs is theirs.
case_foreign()
{
	local name="somebody else's entry" port=45679

	begin "$name" idle "--local-port $port --idle-ms 2500 --send 1000" \
		"--idle-ms 2500 --send 1000"
	hosts_on A ip xfrm policy update src "${hosts_address[A]}/32" dst "${hosts_address[B]}/32" \
		proto 6 sport "$port" dport "$streams_port" dir out action block priority 9 ||
		hosts_die "the cover cannot be replaced"
	sleep 1
	both_done "$name"
	sleep $((streams_linger + 2))
	report "$name: stays" eval "hosts_on A ip xfrm policy list nosock | grep -q 'priority 9'"
	hosts_on A ip xfrm policy flush
	finish "$name"
}

# Covers have no effect there; the sockets' own policies have.
case_disabled()
{
	local name="disable_xfrm and disable_policy on the wire" host

	for host in A B; do
		hosts_on "$host" sysctl -qw net.ipv4.conf.wire.disable_xfrm=1 \
			net.ipv4.conf.wire.disable_policy=1
	done
	brokers
	report "$name: the log says so" grep -q 'wire/disable_xfrm is on' \
		"$hosts_out/gss-ipsecd.A.log"
	begin "$name" transfer "--send 1000000" "--send 1000000"
	both_done "$name"
	report "$name: nothing left after $streams_linger s" streams_gone 12
	streams_capture_end 0
	report "$name: no clear octet of the stream" streams_judge --cut-short
	"$here/capture.py" --port "$streams_port" "$hosts_dir/A.pcap" "$hosts_dir/B.pcap" |
		sed "s/^/seen: /"
	for host in A B; do
		hosts_on "$host" sysctl -qw net.ipv4.conf.wire.disable_xfrm=0 \
			net.ipv4.conf.wire.disable_policy=0
	done
}

# Last, since it leaves TIME_WAIT behind for a minute: --linger-least waits for its end.
case_time_wait()
{
	local name="TIME_WAIT beyond the closing time"

	streams_server
	streams_client
	both_done "$name"
	brokers --linger-least 1
	sleep 3
	report "$name: the cover waits for it" entries A 2 0
	report "$name: not where there is none" entries B 0 0
}

trap streams_end EXIT
streams_up "$1" "$2" 3
streams_hurry
streams_snapshot
brokers --cover-max 0
case_whole
case_ipv6
case_killed client
case_killed server
case_reset
case_again
case_own_mark
case_policy_cleared second
case_restart
case_policy_cleared first
case_foreign
brokers --cover-max 1
case_mixed
case_disabled
case_time_wait
report_end
