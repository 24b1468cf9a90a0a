#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a latch costs, and what it carries, each in a guest of its own (tests/real/guest.sh):
#
#   bench/latch.sh BUILD [calls|time|transfer]...
#
#   calls     round trips to the broker, netlink messages and system calls of one latch
#   time      200 latches beside 10, 100, 1 000 and 5 000 live ones, in shuffled order
#   transfer  throughput beside hand-made SAs, 21 pairs in turns
#
# Absolute figures belong to the guest: look at ratios.  LIVE, COVER_MAX, ROUNDS, PAIRS, MEGABYTES
# and GUEST_KIND say something else than what is above.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- calls time transfer
export GUEST_TIMEOUT=${GUEST_TIMEOUT:-3000} GUEST_MEMORY=${GUEST_MEMORY:-1536M} GUEST_QUIET=1

guest()
{
	"$here/../tests/real/guest.sh" "${GUEST_KIND:-uml}" "$@"
}

for part in "$@"; do
	case $part in
	calls)
		guest "$here/latch_calls.sh" "$build"
		;;
	time)
		# shellcheck disable=SC2086
		guest "$build/bench/bench_latch" "$build/gss-ipsecd" "${ROUNDS:-200}" \
			"${COVER_MAX:-1000}" ${LIVE:-10 100 1000 5000}
		;;
	transfer)
		guest "$build/bench/bench_transfer" "$build/gss-ipsecd" "${PAIRS:-21}" \
			"${MEGABYTES:-16}"
		;;
	*)
		echo "latch.sh: no such part: $part" >&2
		exit 2
		;;
	esac
done
