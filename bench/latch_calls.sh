#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What one latch asks of broker and kernel, both ends together: latch_calls.sh BUILD, as root where
# ESP is there (bench/latch.sh).  The difference of 21 latches and 1, so that the start is left out.
set -eu
build=$1
log=$(mktemp -d)
trap 'rm -rf "$log"; hosts_delete' EXIT

# Those of bench_latch, and no others.
hosts_delete()
{
	ip netns list | awk '$1 ~ /^latch-[0-9]+-[ab]$/ { print $1 }' | xargs -r -n 1 ip netns delete
}

for latches in 1 21; do
	# A fresh start: the hosts of the run before are taken away.
	hosts_delete
	timeout 200 strace -f -qq -s 0 -o "$log/$latches" "$build/bench/bench_latch" "$build/gss-ipsecd" \
		"$latches" 1000 0 >"$log/out" || { cat "$log/out"; exit 1; }
done
# The first process is the bench; what asks unix sockets there is a client.
awk '
	FNR == 1 { bench = $1; sign = FILENAME ~ /\/21$/ ? 1 : -1 }
	/resumed>/ { next }
	$1 == bench && /connect\(.*AF_UNIX/ { requests += sign }
	$1 != bench && /sendmsg\(.*AF_NETLINK/ { netlink += sign }
	$1 != bench && /^[0-9]+ +[a-z0-9_]+\(/ {
		name = $2; sub(/\(.*/, "", name)
		calls[name] += sign; total += sign
	}
	END {
		printf "broker round trips per latch and side: %.1f\n", requests / 40
		printf "netlink messages per latch and side: %.1f\n", netlink / 40
		printf "system calls of daemon and workers per latch and side: %.0f:", total / 40
		for (name in calls)
			if (calls[name] / 40 >= 0.5)
				printf " %s %.1f", name, calls[name] / 40
		printf "\n"
	}' "$log/1" "$log/21"
