#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Sudden deaths: kills.sh STAGED BUILD.  Client, server and both brokers are killed (SIGKILL) at
# seeded moments from the first token to TIME_WAIT, the brokers also between two of their own system
# calls.  Whatever was reached: no clear byte after a side's first ESP packet, and nothing of ours
# left once the broker runs again and the lingering time is over.  A broker's death does not disturb
# latches that exist.
#   SEED    reproduces a run (it is printed)
#   KILLS   how often the table is gone through (default 1)
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
build=$2

# VICTIM STAGE: "N" just before token N is made, or a line that the client prints, or "calls": at
# one of the broker's own system calls, from when T1 is on its way.
moments=(
	"client 3" "server 2" "A 3" "B 2" "client 5" "server 4" "A 5" "B 4"
	"client idle" "A idle" "B idle" "client transfer" "server transfer" "A transfer" "B transfer"
	"client close" "server close" "B close" "A timewait" "B timewait"
	"A calls" "B calls"
)

# An orphaned socket shall not outlive the test, and T5 is wanted.
prepare()
{
	local host

	for host in A B; do
		hosts_on "$host" sysctl -qw net.ipv4.tcp_orphan_retries=2 net.ipv4.tcp_fin_timeout=3
		streams_configure "$host" '[service]' 'sample = {' 't5 = yes' '}'
	done
}

# The victim's process.
victim_pid()
{
	case $1 in
	A | B) echo "${hosts_pid[gss-ipsecd.$1]}" ;;
	*) echo "${hosts_pid[$1]}" ;;
	esac
}

# Milliseconds at random, to sleep: within the step that was waited for, or soon behind it.
sleep_at_random()
{
	local milliseconds=$((RANDOM % $1))
	sleep "$((milliseconds / 1000)).$(printf %03d $((milliseconds % 1000)))"
}

# Which program prints the line that begins a stage, and the line.
stage_wait()
{
	case $1 in
	[24]) streams_said server "step $1" 10 ;;
	[35]) streams_said client "step $1" 10 ;;
	timewait) streams_said client "done" 10 && sleep 0.2 ;;
	*) streams_said client "$1" 10 ;;
	esac
}

broker_restart()
{
	wait "${hosts_pid[gss-ipsecd.$1]}" 2>/dev/null
	unset "hosts_pid[gss-ipsecd.$1]"
	hosts_on "$1" rm -f /run/gss-ipsec/broker.sock
	hosts_broker "$1" --linger-seconds "$streams_linger"
}

# Starts both programs so that they pause before the stage.
programs_start()
{
	local stage=$1 server_options=() client_options=(--idle-ms 400)

	case $stage in
	[24]) server_options=(--pause-before "$stage:300") ;;
	[35]) client_options+=(--pause-before "$stage:300") ;;
	idle) client_options=(--idle-ms 4000) ;;
	esac
	streams_server --timeout 8 --send 4000000 --slow-us 4000 "${server_options[@]}"
	streams_client --timeout 8 --send 4000000 --slow-us 4000 --idle-after-ms 200 \
		"${client_options[@]}"
}

kill_at_stage()
{
	programs_start "$2"
	report "$3: reached" stage_wait "$2"
	sleep_at_random 500
	kill -KILL "$(victim_pid "$1")" 2>/dev/null
}

# Follows the victim before the client starts; it dies at its COUNT-th call, if it makes so many.
kill_at_call()
{
	local count=$((RANDOM % 160 + 1))

	hosts_start killer "$1" "$build/tests/real/kill_at_call" "$(victim_pid "$1")" "$count"
	hosts_wait 5 grep -q ready "$hosts_out/killer.log" || return 1
	programs_start none
	hosts_wait 4 grep -q killed "$hosts_out/killer.log"
	hosts_stop killer
	hosts_has_ended "$(victim_pid "$1")" && echo "killed at call $count" && return 0
	echo "did not make $count calls"
}

broker_is_back()
{
	hosts_wait 3 streams_has_state "$1" established && return 0
	hosts_on "$1" gss-ipsec status
	return 1
}

# After a broker's death in a living latch it is as if nothing had happened.
judge_survivor()
{
	local name=$1 victim=$2 stage=$3

	[ "$stage" != idle ] || report "$name: established again" broker_is_back "$victim"
	streams_wait client server
	report "$name: the transfer goes on" streams_done client server
}

run_moment()
{
	local victim=$1 stage=$2 name=$3

	streams_unbuffered=1
	streams_capture
	if [ "$stage" = calls ]; then
		kill_at_call "$victim"
	else
		kill_at_stage "$victim" "$stage" "$name"
	fi
	case $victim-$stage in
	[AB]-calls) hosts_has_ended "$(victim_pid "$victim")" && broker_restart "$victim" ;;
	[AB]-*) broker_restart "$victim" ;;
	esac
	case $victim-$stage in
	[AB]-idle | [AB]-transfer) judge_survivor "$name" "$victim" "$stage" ;;
	*) streams_wait client server ;;
	esac
	report "$name: nothing left" streams_gone 12
	streams_capture_end 0
	report "$name: no clear byte after ESP" streams_judge --cut-short
}

trap 'hosts_stop killer; streams_end' EXIT
echo "SEED=$seed"
RANDOM=$((seed % 32768))
streams_up "$1" "$2" 1
prepare
streams_snapshot
for round in $(seq "${KILLS:-1}"); do
	for number in "${!moments[@]}"; do
		read -r victim stage <<<"${moments[number]}"
		run_moment "$victim" "$stage" "$round.$number $victim at $stage"
	done
done
report_end
