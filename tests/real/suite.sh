#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Several tests in one boot of a guest, one after the other:
#
#   suite.sh STAGED BUILD TEST[:ARGUMENT]...
#
# TEST is a script of this folder without ".sh"; it gets STAGED (an installation made with DESTDIR),
# BUILD (the folder it was built in) and ARGUMENT.  Each has a folder of its own in $GUEST_OUT.
set -u
here=$(cd "$(dirname "$0")" && pwd)
staged=$1
build=$2
shift 2
out=$GUEST_OUT
failed=0

for item in "$@"; do
	test=${item%%:*}
	argument=
	[ "$test" = "$item" ] || argument=${item#*:}
	export GUEST_OUT=$out/${item/:/-}
	mkdir -p "$GUEST_OUT"
	echo "test $item"
	timeout -k 5 "${SUITE_TEST_SECONDS:-240}" "$here/$test.sh" "$staged" "$build" \
		${argument:+"$argument"} || {
		failed=$((failed + 1))
		echo "failed: $item"
	}
done
[ "$failed" = 0 ]
