#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Replays the seed corpus of every fuzz target, and each seed cut short and with a byte changed.
set -u

: "${top_srcdir:?}" "${FUZZ_TARGETS:?}"
failed=0
ran=0
work=$(mktemp -d) || exit 1
mkdir "$work/seeds"
trap 'rm -rf "$work"' EXIT

for target in $FUZZ_TARGETS; do
	name=${target##*/fuzz_}
	corpus=$top_srcdir/fuzz/corpus/$name
	if [ -z "$(ls "$corpus" 2>/dev/null)" ]; then
		echo "FAIL $target: no corpus"
		failed=$((failed + 1))
		continue
	fi
	rm -f "$work"/seeds/*
	for seed in "$corpus"/*; do
		base=$work/seeds/${seed##*/}
		size=$(stat -c %s "$seed")
		head -c $((size / 2)) "$seed" >"$base.half"
		head -c $((size > 0 ? size - 1 : 0)) "$seed" >"$base.short"
		{ cat "$seed" && printf '\377'; } >"$base.long"
		tr '\000-\377' '\001-\377\000' <"$seed" >"$base.shifted"
	done
	if "./$target" "$corpus"/* "$work"/seeds/* >"$work/log" 2>&1; then
		echo "ok $target"
	else
		echo "FAIL $target"
		tail -n 30 "$work/log"
		failed=$((failed + 1))
	fi
	ran=$((ran + 1))
done
echo "$ran targets replayed, $failed failed"
[ "$failed" = 0 ]
