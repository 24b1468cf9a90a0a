#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The attacks on the exchange, which need no guest: unit.sh BUILDS (made by build.sh).  Each must
# fail against the tree as it is, and succeed without the defence that it is aimed at.
set -u
builds=$(realpath "$1") || exit 1
cd "$(dirname "$0")/../.." || exit 1
. tests/weakened/rows.sh
. tests/real/report.sh

# attack NAME CASE: "refused", or "succeeded" where the case's own assertion says so.
attack()
{
	local output

	output=$(CK_RUN_CASE=$2 timeout 60 "$(weakened_program "$builds" "$1" unit)" 2>&1)
	if [[ $output == *"1 passed, 0 failed"* ]]; then
		echo refused
	elif [[ $output == *":F:$2:$2:"* ]]; then
		echo succeeded
	else
		echo "$output"
	fi
}

is_outcome()
{
	local outcome

	outcome=$(attack "$2" "$3")
	[ "$outcome" = "$1" ] || { echo "$outcome"; return 1; }
}

while read -r defence case; do
	report "$case: refused" is_outcome refused none "$case"
	report "$case: succeeds without $defence" is_outcome succeeded "$defence" "$case"
	for part in $(weakened_one_left "$defence"); do
		report "$case: refused where only $part is missing" is_outcome refused "$part" "$case"
	done
done < <(weakened_rows unit)
report_end
