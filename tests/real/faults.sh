#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Calls that fail, one in each login, in client, server and both brokers, on the real kernel:
# faults.sh STAGED BUILD [SAMPLES].  Allocations, random octets, OpenSSL's calls, system calls and the
# kernel's answers; SAMPLES of each kind (0: all).  At the end the next login is latched, and
# kernels and brokers have nothing left.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"
samples=${3:-2}
library=/usr/lib/libfaults.so
# Seconds that a program waits for its peer.
patience=4
[ "$samples" != 0 ] || patience=10

# faults_broker HOST: its gss-ipsecd with the library, whose control block starts as zeros.
faults_broker()
{
	hosts_start "gss-ipsecd.$1" "$1" env "LD_PRELOAD=$library" "FAULTS_FILE=$hosts_dir/$1.faults" \
		gss-ipsecd --linger-seconds "$streams_linger" --quota-user 1000
	hosts_wait 20 grep -q 'gss-ipsecd serves' "$hosts_out/gss-ipsecd.$1.log" ||
		hosts_die "gss-ipsecd of host $1 does not listen"
}

# faults_of WHO...: all kinds.
faults_of()
{
	local who preload

	for who in client server; do
		preload=(env "LD_PRELOAD=$library" "FAULTS_FILE=$hosts_dir/$who.faults" "$streams_program")
		if [ "$who" = client ]; then
			hosts_enter as alice A "${preload[@]}" client "${hosts_name[B]}" "$streams_port" \
				sample --timeout "$patience" --send 100
			client_command=("${hosts_command[@]}")
		else
			hosts_enter as sample B "${preload[@]}" server "$streams_port" --timeout "$patience" --send 100
			server_command=("${hosts_command[@]}")
		fi
	done
	python3 "$here/faults.py" "$hosts_dir" "$hosts_out/faults.log" "$samples" $((4 * patience)) \
		"${hosts_pid[gss-ipsecd.A]},${hosts_pid[gss-ipsecd.B]}" "$@" ::: \
		"${server_command[@]}" ::: "${client_command[@]}" || report_failed=$((report_failed + 1))
}

# What HOST's broker holds: processes, and descriptors of all of them; and its memory, which is shown only.
broker_processes()
{
	local pid

	echo "$1"
	for pid in $(pgrep -P "$1"); do
		broker_processes "$pid"
	done
}

broker_holds()
{
	local pid key value opened processes=0 descriptors=0 memory=0

	for pid in $(broker_processes "${hosts_pid[gss-ipsecd.$1]}"); do
		opened=("/proc/$pid/fd/"*)
		processes=$((processes + 1))
		descriptors=$((descriptors + ${#opened[@]}))
		while read -r key value _; do
			[ "$key" != RssAnon: ] || memory=$((memory + value))
		done <"/proc/$pid/status"
	done
	broker_now="$processes processes, $descriptors descriptors"
	broker_kilobytes=$memory
}

brokers_hold_the_same()
{
	hosts_wait 5 brokers_are_as_before || brokers_are_as_before
}

brokers_are_as_before()
{
	local host

	for host in A B; do
		broker_holds "$host"
		[ "$broker_now" = "${broker_before[$host]}" ] && continue
		echo "broker $host: $broker_now; before: ${broker_before[$host]}"
		return 1
	done
}

both_latched()
{
	[ "$(streams_reason client)" = latched ] && [ "$(streams_reason server)" = latched ]
}

trap streams_end EXIT
install -m 755 "$2/tests/faults/.libs/libfaults.so" "$library"
streams_up "$1" "$2" 1
hosts_stop gss-ipsecd.A
hosts_stop gss-ipsecd.B
for who in A B client server; do
	head -c 4096 /dev/zero >"$hosts_dir/$who.faults"
	chmod 666 "$hosts_dir/$who.faults"
done
faults_broker A
faults_broker B
# An orphaned socket, whose peer has nothing left to answer with, shall not outlive the test.
for who in A B; do
	hosts_on "$who" sysctl -qw net.ipv4.tcp_orphan_retries=2 net.ipv4.tcp_fin_timeout=5
done
streams_snapshot
# The first login makes what a broker keeps for good.
streams_server --timeout 20 --send 1000
streams_client --timeout 20 --send 1000
streams_wait client server
report "a login without a failure is latched" both_latched
report "nothing left of it" streams_gone 4
declare -A broker_before=() kilobytes_before=()
for who in A B; do
	broker_holds "$who"
	broker_before[$who]=$broker_now
	kilobytes_before[$who]=$broker_kilobytes
done
for who in ${FAULTS_OF:-client server A B}; do
	faults_of "$who"
	report "faults of $who: nothing left" streams_gone 4
	report "faults of $who: the brokers hold what they held" brokers_hold_the_same
done
for who in A B; do
	broker_holds "$who"
	echo "# broker $who: $broker_now, ${kilobytes_before[$who]} kB and now $broker_kilobytes kB"
done
streams_server --timeout 20 --send 1000
streams_client --timeout 20 --send 1000
streams_wait client server
report "the next login is latched" both_latched
report "nothing left at the end" streams_gone 4
report_end
