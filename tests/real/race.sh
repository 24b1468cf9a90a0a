#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clear segments against the switch-over, on two processors: race.sh STAGED BUILD
# [DEFENCE].  The broker as it is, then with one defence each taken away.  See race_probe.c.
set -u
. "$(dirname "$0")/hosts.sh"
tracing=/sys/kernel/tracing
failed=0

# From now on the kernel counts the segments that it drops, by reason.
drops_begin()
{
	mountpoint -q "$tracing" || mount -t tracefs tracefs "$tracing"
	echo 'hist:keys=reason' >"$tracing/events/skb/kfree_skb/trigger"
}

# What it has counted: by the socket policy, by the recorder.
drops_end()
{
	local format=$tracing/events/skb/kfree_skb/format name number count

	for name in XFRM_POLICY SOCKET_FILTER; do
		number=$(grep -o "{ *[0-9]*, *\"$name\" *}" "$format" | tr -dc 0-9)
		count=$(sed -n "s/^{ reason: *$number *} *hitcount: *//p" \
			"$tracing/events/skb/kfree_skb/hist")
		echo "# dropped for $name: ${count:-0}"
	done
	echo '!hist:keys=reason' >"$tracing/events/skb/kfree_skb/trigger"
}

# Namespaces are made anew by each.
race()
{
	local output=$hosts_out/race.$2.log

	drops_begin
	"$build/tests/real/race_probe" "$1" "$2" >"$output" 2>&1 || failed=1
	grep -E '^(ok|FAILED|#)' "$output"
	drops_end
	ip netns delete probe-a
	ip netns delete probe-b
}

build=$2
hosts_install "$1"
[ -n "${3:-}" ] || race "$(command -v gss-ipsecd)" all
for defence in ${3:-drop settle}; do
	race "$build/tests/real/race_without_$defence" "without-$defence"
done
exit "$failed"
