# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Reads attacks.table, to be sourced:
#
#   weakened_rows HOW        "DEFENCE ATTACK" of each row that is run so
#   weakened_wire_rows       every defence that tests/real/attacks.table names
#   weakened_one_left NAME   of defences joined by "+": all but one, for each; else nothing
#   weakened_builds          every name that build.sh is to build
#   weakened_program DIR NAME PROGRAM   its path; where NAME does not change it, that of none

weakened_table=$(dirname "${BASH_SOURCE[0]}")/attacks.table

weakened_rows()
{
	awk -F '\t' -v how="$1" '$1 == how { print $2, $3 }' "$weakened_table"
}

weakened_wire_rows()
{
	awk -F '|' '!/^#/ && NF { gsub(/ |:.*/, "", $NF); if ($NF != "-") print $NF }' \
		"$(dirname "$weakened_table")/../real/attacks.table" | sort -u
}

weakened_one_left()
{
	local IFS=+ parts left

	read -ra parts <<<"$1"
	for left in "${!parts[@]}"; do
		[ "${#parts[@]}" = 1 ] || (unset "parts[$left]" && echo "${parts[*]}")
	done
}

weakened_builds()
{
	local defence

	{
		echo none
		weakened_wire_rows
		awk -F '\t' '!/^#/ { print $2 }' "$weakened_table" | while read -r defence; do
			echo "$defence"
			weakened_one_left "$defence"
		done
	} | sort -u
}

weakened_program()
{
	if [ -e "$1/$2/$3" ]; then
		echo "$1/$2/$3"
	else
		echo "$1/none/$3"
	fi
}
