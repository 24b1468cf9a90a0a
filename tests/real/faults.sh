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
	local -A commands=()

	for who in client server; do
		preload=(env "LD_PRELOAD=$library" "FAULTS_FILE=$hosts_dir/$who.faults" "$streams_program")
		if [ "$who" = client ]; then
			hosts_enter as alice A "${preload[@]}" client "${hosts_name[B]}" "$streams_port" \
				sample --timeout 4 --send 100
			client_command=("${hosts_command[@]}")
		else
			hosts_enter as sample B "${preload[@]}" server "$streams_port" --timeout 4 --send 100
			server_command=("${hosts_command[@]}")
		fi
	done
	python3 "$here/faults.py" "$hosts_dir" "$samples" 12 \
		"${hosts_pid[gss-ipsecd.A]},${hosts_pid[gss-ipsecd.B]}" "$@" ::: \
		"${server_command[@]}" ::: "${client_command[@]}" || report_failed=$((report_failed + 1))
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
for who in ${FAULTS_OF:-client server A B}; do
	faults_of "$who"
	report "faults of $who: nothing left" streams_gone 4
done
streams_server --timeout 6 --send 1000
streams_client --timeout 6 --send 1000
streams_wait client server
report "the next login is latched" both_latched
report "nothing left at the end" streams_gone 4
report_end
