#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the unit tests from the top of the source tree, where they find vectors and examples: each
# suite is a process, and as they mostly wait, four at once for each processor.
unit=$(cd "$top_builddir" && pwd)/tests/unit/unit
[ -x "$unit" ] || { echo "check was not found by configure"; exit 77; }
cd "$top_srcdir" || exit 1
# A test that waits for its turn is not one that hangs.
export CK_TIMEOUT_MULTIPLIER=30
"$unit" --list | xargs -P $(($(nproc) * 4)) -I{} sh -c \
	'said=$("$0" {} 2>&1); status=$?; echo "$said"; [ "$status" = 0 ] || echo "{}: ended with $status"' \
	"$unit" | awk '{ print }
	/^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
	/: ended with [0-9]+$/ { broken++ }
	END {
		if (broken && !failed) failed = broken
		print passed + 0 " passed, " failed + 0 " failed"
		exit passed == 0 || failed + broken > 0
	}'
