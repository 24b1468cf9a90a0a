#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The attacks on broker and kernel of tests/weakened/attacks.table: weakened.sh STAGED BUILD
# [latch|sandbox], where BUILD/weakened is what tests/weakened/build.sh made.  Each must be refused by the tree as it is,
# and succeed without the defence that it is aimed at.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../weakened/rows.sh"
. "$here/report.sh"
builds=$2/weakened
out=${GUEST_OUT:-/tmp}

# run NAME ATTACK...: its outcomes go to $out/NAME.log, apart from whatever is left of another run.
run()
{
	local name=$1 program broker
	shift
	program=$(weakened_program "$builds" "$name" attack_latch)
	broker=$(weakened_program "$builds" "$name" root/usr/sbin/gss-ipsecd)
	ip -all netns delete
	rm -rf /run/probe-a /run/probe-b
	timeout 120 "$program" "$broker" "$@" >>"$out/$name.log" 2>&1 </dev/null
}

# The same for what is tried in the broker's sandbox.
run_sandbox()
{
	local name=$1
	shift
	timeout 120 "$(weakened_program "$builds" "$name" sandbox_probe)" "$@" \
		>>"$out/$name.log" 2>&1 </dev/null
}

# is_outcome OUTCOME NAME ATTACK
is_outcome()
{
	grep -qx "$1 $3" "$out/$2.log" && return 0
	grep -vE '^(ok|FAILED) - ' "$out/$2.log"
	return 1
}

# The modules of the machine's own kernel are not ours to load.
can_run()
{
	[ "${GUEST_KIND:-native}" != native ] || [ "$1" != offload_loaded ]
}

# rows_run HOW RUN: all rows that are run so, by this function
rows_run()
{
	local rows row defence attack name part
	local -A wanted=()

	mapfile -t rows < <(weakened_rows "$1")
	for row in "${rows[@]}"; do
		read -r defence attack <<<"$row"
		can_run "$attack" || continue
		for name in none "$defence" $(weakened_one_left "$defence"); do
			[[ " ${wanted[$name]:-} " == *" $attack "* ]] || wanted[$name]+=" $attack"
		done
	done
	for name in "${!wanted[@]}"; do
		# shellcheck disable=SC2086
		"$2" "$name" ${wanted[$name]}
	done
	for row in "${rows[@]}"; do
		read -r defence attack <<<"$row"
		can_run "$attack" || continue
		report "$attack: refused" is_outcome refused none "$attack"
		report "$attack: succeeds without $defence" is_outcome succeeded "$defence" "$attack"
		for part in $(weakened_one_left "$defence"); do
			report "$attack: refused where only $part is missing" \
				is_outcome refused "$part" "$attack"
		done
	done
}

case ${3:-both} in
both | sandbox) rows_run sandbox run_sandbox ;;&
both | latch) rows_run latch run ;;
esac
report_end
