#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What others do to a latch while it lives: upkeep.sh STAGED BUILD.  SAs flushed and deleted, the
# SPD flushed, the socket reconnected or robbed of its policy, another IPsec daemon started and
# stopped; on each side, idle and under transfer.  Never a clear byte, and the latch says BROKEN, with
# its cause, within a second.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

sa_gone='its security associations were deleted'
offloaded='was loaded on this side while the connection was latched'
ended='the connection was reset, or the program disconnected it'
moved='disconnected the latched socket'

# begin NAME LINE "OPTIONS OF BOTH" "CLIENT'S" "SERVER'S": until both said LINE, latched.
begin()
{
	local both client_options server_options

	rm -f "$go"
	read -ra both <<<"$3"
	read -ra client_options <<<"$4"
	read -ra server_options <<<"$5"

	streams_capture
	streams_server "${both[@]}" "${server_options[@]}"
	streams_client "${both[@]}" "${client_options[@]}"
	report "$1: both in phase '$2'" eval "streams_said client $2 && streams_said server $2"
	report "$1: established on both" streams_established
}

# broken_within_second HOST CAUSE: whoever asks for HOST's status later than a second after
# upkeep_began (microseconds) is told.  A busy guest may find time to ask only then.
broken_within_second()
{
	local asked=0

	while [ "$asked" -le 1000000 ]; do
		asked=$((${EPOCHREALTIME/./} - upkeep_began))
		if hosts_on "$1" gss-ipsec status 2>&1 | grep -q "broken: .*$2"; then
			echo "asked after $((asked / 1000)) ms, seen" | tee -a "$hosts_out/latency"
			return 0
		fi
	done
	hosts_on "$1" gss-ipsec status
	return 1
}

logged()
{
	grep -q "broken uid .*$2" "$hosts_out/gss-ipsecd.$1.log"
}

# What the programs got: an error or silence, not octets; neither came to its end.
both_stuck()
{
	[ "${streams_status[client]}" != 0 ] && [ "${streams_status[server]}" != 0 ] && return 0
	tail -n 6 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

one_syn()
{
	local host syns=0

	for host in A B; do
		syns=$((syns + $(tcpdump -n -r "$hosts_dir/$host.pcap" \
			'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn' 2>/dev/null | wc -l)))
	done
	[ "$syns" = 1 ]
}

finish()
{
	report "$1: nothing left in the end" streams_gone 12
	streams_capture_end 0
	report "$1: no clear byte" streams_judge
	report "$1: one connection on the wire" one_syn
}

# The phases: idle until $go is there, or 20 MB each way with pauses, so that something is always under
# way and the guest has time left.
phase_options()
{
	case $1 in
	idle) echo "--timeout 6 --wait-file $go --send 100000" ;;
	transfer) echo "--timeout 6 --send 20000000 --slow-us 40000" ;;
	esac
}

# case_broken NAME HOST PHASE CAUSE CMD...: CMD, run on HOST, breaks its latch.
case_broken()
{
	local name="$1 on $2, $3" host=$2 phase=$3 cause=$4
	shift 4

	begin "$name" "$phase" "$(phase_options "$phase")" "" ""
	[ "$phase" = idle ] || sleep 0.3
	upkeep_began=${EPOCHREALTIME/./}
	"$@" "$host"
	report "$name: broken within a second" broken_within_second "$host" "$cause"
	report "$name: the log says the same" logged "$host" "$cause"
	: >"$go"
	streams_wait client server
	report "$name: neither program gets octets" both_stuck
	finish "$name"
}

flush_state()
{
	hosts_on "$1" ip xfrm state flush
}

# The SA towards HOST's or the other's address, of which there is one.
delete_sa()
{
	local line

	line=$(hosts_on "$2" ip -o xfrm state list dst "$1" | head -n 1)
	upkeep_began=${EPOCHREALTIME/./}
	[[ $line =~ src\ ([0-9.]+)\ dst\ ([0-9.]+).*spi\ (0x[0-9a-f]+) ]] || return 1
	hosts_on "$2" ip xfrm state delete src "${BASH_REMATCH[1]}" dst "${BASH_REMATCH[2]}" \
		proto esp spi "${BASH_REMATCH[3]}"
}

# Looked for more often than hosts_wait does: from here a second is counted.
reconnecting()
{
	until grep -q '^reconnecting' "$hosts_out/$1.log" || hosts_has_ended "${hosts_pid[$1]}"; do
		sleep 0.02
	done
	upkeep_began=${EPOCHREALTIME/./}
}

modules_unload()
{
	modprobe -qr esp4_offload && [ ! -e /sys/module/esp4_offload ]
}

# Both hosts are one machine's: the latch breaks on either side.
case_offload()
{
	local name="esp4_offload loaded, $1" host

	begin "$name" "$1" "$(phase_options "$1")" "" ""
	upkeep_began=${EPOCHREALTIME/./}
	modprobe esp4_offload || report "$name: modprobe" false
	for host in A B; do
		report "$name: broken within a second on $host" \
			broken_within_second "$host" "$offloaded"
		report "$name: the log of $host says the same" logged "$host" "$offloaded"
	done
	: >"$go"
	streams_wait client server
	report "$name: neither program gets octets" both_stuck
	report "$name: unloaded" hosts_wait 5 modules_unload
	finish "$name"
}

case_reconnected()
{
	local host=$1 who=$2 name="socket reconnected on $1" options

	options="--timeout 4 --wait-file $go --send 1000 --idle-after-ms 3000"
	if [ "$who" = client ]; then
		begin "$name" idle "$options" --reconnect ""
	else
		begin "$name" idle "$options" "" --reconnect
	fi
	: >"$go"
	reconnecting "$who"
	report "$name: broken within a second" broken_within_second "$host" "$ended"
	report "$name: the log says the same" logged "$host" "$ended"
	streams_wait client server
	report "$name: it did not connect" grep -q '^failed: reconnect' "$hosts_out/$who.log"
	finish "$name"
}

# Without its policy, which root took away, the socket can connect elsewhere: what leaves then is
# root's doing, but what comes is not received, and the latch says what happened.
case_moved()
{
	local name="policy cleared by root, then reconnected"

	begin "$name" idle "--timeout 4 --wait-file $go --send 1000" --reconnect ""
	report "$name: cleared" hosts_on A "$here/clear_policy.py" "${hosts_pid[client]}"
	: >"$go"
	reconnecting client
	report "$name: broken within a second" broken_within_second A "$moved"
	report "$name: the log says the same" logged A "$moved"
	streams_wait client server
	report "$name: it did not connect" grep -q '^failed: reconnect' "$hosts_out/client.log"
	report "$name: nothing left in the end" streams_gone 12
	streams_capture_end 0
}

covers_are_back()
{
	[ "$(hosts_on "$1" ip xfrm policy list nosock | grep -c '^src')" = 2 ]
}

# The latch is unharmed: a whole transfer and close.
finish_whole()
{
	streams_wait client server
	report "$1: both done" streams_done client server
	finish "$1"
}

# On a busy machine the transfer may have ended meanwhile.
neither_is_broken()
{
	local host

	for host in A B; do
		streams_has_state "$host" established || streams_has_state "$host" closing || return 1
	done
}

case_policy_flush()
{
	local name="SPD flushed on $1"

	begin "$name" transfer "--timeout 8 --send 12000000 --slow-us 40000" "" ""
	upkeep_began=${EPOCHREALTIME/./}
	hosts_on "$1" ip xfrm policy flush
	until covers_are_back "$1" || [ $((${EPOCHREALTIME/./} - upkeep_began)) -gt 2000000 ]; do :; done
	echo "covers back after $(((${EPOCHREALTIME/./} - upkeep_began) / 1000)) ms" |
		tee -a "$hosts_out/latency"
	report "$name: the cover is back" covers_are_back "$1"
	report "$name: neither is broken" neither_is_broken
	finish_whole "$name"
}

trap streams_end EXIT
rm -f "$hosts_out/latency"
go=$hosts_dir/go
streams_up "$1" "$2" 1
streams_hurry net.ipv4.tcp_syn_retries=1
streams_snapshot
for host in A B; do
	case_broken "SAs flushed" "$host" idle "$sa_gone" flush_state
	case_broken "SAs flushed" "$host" transfer "$sa_gone" flush_state
	for end in A B; do
		case_broken "SA to $end deleted" "$host" transfer "$sa_gone" \
			delete_sa "${hosts_address[$end]}"
	done
	case_policy_flush "$host"
done
# The modules of the machine's own kernel are not ours to load.
if [ "${GUEST_KIND:-native}" != native ]; then
	case_offload idle
	case_offload transfer
fi
case_reconnected A client
case_reconnected B server
case_moved
cat "$hosts_out/latency"
report_end
