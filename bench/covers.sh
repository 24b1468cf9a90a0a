#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What many latches cost unlatched traffic between the same two hosts, in both forms of the close
# cover, in a guest for each row (bench/bench_covers.c):
#
#   bench/covers.sh BUILD [LATCHES:COVER-MAX[:ENTRIES]...]
#
# COVER-MAX 0 is the second form only; ENTRIES are covers of the first form made by hand, besides.  Absolute figures belong to the guest: compare rows.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- 0:1000 1000:1000 1000:0 10:100000:990 10:100000:9990 10000:0
export GUEST_TIMEOUT=1800 GUEST_MEMORY=${GUEST_MEMORY:-1536M} GUEST_QUIET=1
for row in "$@"; do
	"$here/../tests/real/guest.sh" "${GUEST_KIND:-uml}" "$build/bench/bench_covers" \
		"$build/gss-ipsecd" ${row//:/ } 2>&1 | grep ' latches, '
done
