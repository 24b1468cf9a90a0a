#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One gss-ipsecd --namespaces for containers: namespaces.sh STAGED BUILD [TEST].  First what a
# namespace's root can do (namespaces_probe.c); then Debian's gss-client and gss-server in hosts A and
# B, which have no broker of their own but the outer one's socket, bind-mounted; then with B's program
# in a user namespace too, where the outer root has no name.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

message="out of one container into another"
outer_run=/run/gss-ipsec

outer_broker()
{
	(
		trap - EXIT
		exec gss-ipsecd --linger-seconds 3 "$@" >"$hosts_out/outer.log" 2>&1 </dev/null
	) &
	hosts_pid[outer]=$!
	hosts_wait 20 grep -q 'gss-ipsecd serves /' "$hosts_out/outer.log" ||
		hosts_die "the outer gss-ipsecd does not listen"
}

socket_mount()
{
	local host
	for host in A B; do
		hosts_on "$host" mkdir -p "$outer_run" &&
			hosts_on "$host" mount --bind "$hosts_dir/outer" "$outer_run" || return 1
	done
}

refused_with_reason()
{
	hosts_as alice A gss-client -port "$exchange_port" -mech "$hosts_mech" "${hosts_name[B]}" \
		"sample@${hosts_name[B]}" "$message" >"$hosts_out/refused.log" 2>&1 && return 1
	grep -q 'refused .*other-netns' "$hosts_out/outer.log"
}

judge()
{
	"$here/capture.py" --port "$exchange_port" --absent "$message" "$hosts_out/$1.pcap"
}

status_is_empty_outside()
{
	gss-ipsec status 2>&1 | grep -q 'No connection is latched'
}

client_succeeded()
{
	[ "$client_status" = 0 ] && grep -q 'Signature verified' "$hosts_out/client.log"
}

exchange_check()
{
	local host

	if ! exchange_begin "$message"; then
		echo "FAIL $1: both latched"
		tail -v -n 8 "$hosts_out"/*.log "$hosts_out"/status.*
		exchange_abort
		report_failed=$((report_failed + 1))
		return
	fi
	echo "ok $1: both latched"
	report "$1: outside there is no lease" status_is_empty_outside
	exchange_finish
	client_status=$?
	report "$1: the messages arrive" client_succeeded
	for host in A B; do
		report "$1: capture of $host" judge "$host"
	done
	hosts_stop server
	hosts_wait 20 is_clean A
}

is_clean()
{
	[ "$(hosts_count_xfrm "$1")" = "0 0" ]
}

trap 'exchange_abort; hosts_down' EXIT
hosts_install "$1"
"$2/tests/real/namespaces_probe" "$(command -v gss-ipsecd)" ${3:+"$3"} 2>"$hosts_out/probe.log" ||
	report_failed=1
mkdir -p "$outer_run"
hosts_up
mkdir -p "$hosts_dir/outer"
outer_broker --socket "$hosts_dir/outer/broker.sock" --state "$hosts_dir/outer/state"
mount --bind "$hosts_dir/outer" "$outer_run"
socket_mount || hosts_die "the socket cannot be mounted"
hosts_start server as sample B gss-server -port "$exchange_port" sample
hosts_wait 20 exchange_is_listening || hosts_die "gss-server does not listen"
report "without --namespaces: refused, other-netns" refused_with_reason
hosts_stop server
hosts_stop outer
outer_broker --namespaces --socket "$hosts_dir/outer/broker.sock" --state "$hosts_dir/outer/state"
exchange_check "containers"

hosts_stop outer
hosts_down
umount "$outer_run"

# B in a user namespace of its own: the outer root has no name there, and the socket itself is mounted
# into a folder of B's root.
hosts_owner[B]=sample
hosts_up
mkdir -p "$hosts_dir/outer"
outer_broker --namespaces --socket "$hosts_dir/outer/broker.sock" --state "$hosts_dir/outer/state"
mount --bind "$hosts_dir/outer" "$outer_run"
hosts_on A mkdir -p "$outer_run"
hosts_on A mount --bind "$hosts_dir/outer" "$outer_run"
install -d -o "${hosts_uid[sample]}" -m 755 "$hosts_dir/B/run/gss-ipsec"
: >"$hosts_dir/B/run/gss-ipsec/broker.sock"
hosts_on B mount --bind "$hosts_dir/outer/broker.sock" "$outer_run/broker.sock"
chown -R "${hosts_uid[sample]}" "$hosts_dir/B/gss"
exchange_check "user namespace"
report_end
