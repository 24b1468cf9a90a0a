# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Lines of a test in a guest, to be sourced: "ok NAME" or "FAIL NAME", and a status at the end.
report_failed=0

# report NAME CMD...: one line for whether CMD succeeds; its output is shown when it does not.
report()
{
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "ok $name"
	else
		echo "FAIL $name"
		[ -z "$output" ] || echo "$output" | sed 's/^/    /' | tail -n 20
		report_failed=$((report_failed + 1))
	fi
}

report_end()
{
	[ "$report_failed" = 0 ]
	exit
}
