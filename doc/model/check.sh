#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The models of this folder, searched by Spin: whole they hold, and without one defence or one
# assumption each the search finds an attack.  doc/model/check.sh [-v]; -v shows the attacks' steps.
set -u
cd "$(dirname "$0")" || exit 1
is_verbose=${1:-}
models=$PWD
failures=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# search MODEL DEFINE...: the search's own report in $work/report, an attack in $work/MODEL.trail.
search()
{
	local model=$1
	shift
	rm -f "$work"/*
	cp "$models"/*.pml "$work" || return 1
	(
		cd "$work" || exit 1
		spin "$@" -a "$model" && gcc -w "$optimize" -DSAFETY -DMEMLIM=2048 -o pan pan.c &&
			./pan -E -m100000
	) >"$work/report" 2>&1
}

# What the attacker did and what came of it, from the trail.
attack()
{
	local model=$1
	shift
	(cd "$work" && spin "$@" -t "$model") | sed -n 's/^ *//; /^\(attacker\|violation\):/p'
}

failed()
{
	echo "FAILED - $1"
	tail -n 20 "$work/report"
	failures=$((failures + 1))
}

# holds TEXT MODEL DEFINE...
holds()
{
	local text=$1 states
	shift
	optimize=-O2
	search "$@"
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$work/report")
	if ! grep -q 'errors: 0$' "$work/report" || [ -z "$states" ] ||
		grep -qE 'not completed|depth too small|out of memory' "$work/report"; then
		failed "$text"
		return
	fi
	echo "ok - $text: model holds, $states states"
}

# breaks TEXT VIOLATION MODEL DEFINE...: the search must find this violation.
breaks()
{
	local text=$1 violation=$2 found
	shift 2
	optimize=-O0
	search "$@"
	found=$(attack "$@")
	if ! grep -q 'errors: 1$' "$work/report" || [[ $found != *"violation: $violation"* ]]; then
		failed "$text: no attack found (expected: $violation)"
		return
	fi
	echo "ok - $text: attack found: $(echo "$found" | sed 's/^[a-z]*: //' | paste -sd ';' |
		sed 's/;/; /g')"
	[ -z "$is_verbose" ] || (cd "$work" && spin "${@:2}" -t "$1") |
		sed -n '/^spin:/,$d; s/^ *//; s/^/    /p'
}

clear='a clear octet is read after COMPLETE'
missing='an octet of the protected stream is missing'
alone=(-DATTACKERS=1)

holds 'what is read, an application that reads ahead' receive.pml
holds 'what is read, one that reads what it needs' receive.pml -DREADS_AHEAD=0
holds 'what is read, three injections one after the other' receive.pml "${alone[@]}" -DELSEWHERE=0 \
	-DINJECTIONS=3
holds 'the record of clear ends, numbers going round' recorder.pml
holds 'one end, brokers and applications dying' life.pml
holds 'both ends, segments lost, an end refusing, a broker dying' pair.pml

breaks 'without (a), the inbound policy' "$missing" receive.pml "${alone[@]}" -DWITHOUT_A
breaks 'without (b), drop mode' "$clear" receive.pml "${alone[@]}" -DWITHOUT_B
breaks 'without (c), payload under the mark' "$clear" receive.pml "${alone[@]}" -DWITHOUT_C
breaks 'without (d), clear segments behind the start' "$clear" receive.pml "${alone[@]}" -DWITHOUT_D
breaks 'without (e), what is out of order' "$clear" receive.pml "${alone[@]}" -DWITHOUT_E
breaks 'without (f), the urgent mark' "$missing" receive.pml "${alone[@]}" -DWITHOUT_F
breaks 'without the second look, behind the recorder' "$clear" receive.pml "${alone[@]}" \
	-DWITHOUT_SECOND_LOOK
breaks 'without the grace period behind the recorder' "$clear" receive.pml "${alone[@]}" \
	-DWITHOUT_GRACE
breaks 'without the recorder' "$clear" receive.pml "${alone[@]}" -DELSEWHERE=0 -DWITHOUT_RECORDER
breaks 'with a filter that reads its mode before it records' "$clear" receive.pml "${alone[@]}" \
	-DWITHOUT_RECORD_FIRST
breaks 'with a recorder that is taken off after the verdict' "$clear" receive.pml "${alone[@]}" \
	-DWITHOUT_STAYING
breaks 'with the token in the clear, and without (c)' "$clear" receive.pml "${alone[@]}" \
	-DELSEWHERE=0 -DINJECTIONS=3 -DWITHOUT_OUT_POLICY -DWITHOUT_C
breaks 'with one running maximum in place of stretches' 'the record passes' recorder.pml \
	-DWITHOUT_STRETCHES
breaks 'with a reach that is counted from the start of ESP' 'the record passes' recorder.pml \
	-DWITHOUT_SPAN
breaks 'with numbers under the mark half of all apart, and ends beyond' 'the record passes' recorder.pml \
	-DFAR=4
breaks 'with numbers under the mark as far apart as they come' 'the record passes' recorder.pml \
	-DWITHOUT_ANCHOR
breaks 'with highest ends alone, and no whole stretches' 'the record passes' recorder.pml \
	-DWITHOUT_WHOLE
breaks 'without the outbound policy from T2 on' 'nobody refused' pair.pml -DWITHOUT_OUT_POLICY
breaks 'the same without (c): acknowledgements in the clear' 'nobody refused' pair.pml \
	-DWITHOUT_OUT_POLICY -DWITHOUT_C
breaks 'without the close cover' 'a late ESP segment' life.pml -DWITHOUT_COVER
breaks 'with the cover gone before the SAs' 'a late ESP segment' life.pml \
	-DWITHOUT_COVER_LAST
breaks 'with the state file written afterwards' 'a latched socket goes back' life.pml \
	-DWITHOUT_JOURNAL_FIRST

# The assumptions that README.md lists are ones: without them the same order can be attacked.
breaks 'unless the peer is silent where the tokens go another way' "$clear" receive.pml \
	"${alone[@]}" -DELSEWHERE_TALKS=1
breaks 'unless TIME_WAIT ends before the broker stops lingering' 'TIME_WAIT answers' life.pml \
	-DTIME_WAIT_OUTLIVES=1
[ "$failures" = 0 ]
