#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Shows that each fuzz target finds bugs: fuzz_planted.sh [TARGET...] (default: every target).
#
# Twice per target, from the seeds in fuzz/corpus with a fixed random seed: the tree as it is must
# run CLEAN_SECONDS without a finding; the tree with fuzz/planted/TARGET.patch must crash within
# PLANTED_SECONDS, though not on a seed, and on an input that the tree as it is takes.  Needs clang
# with libFuzzer; WORK keeps the builds.  doc/fuzzing.md says more.
# Options are lists in one word each, since functions that xargs starts see no arrays:
# shellcheck disable=SC2013,SC2016,SC2046,SC2086,SC2089,SC2090
set -u
cd "$(dirname "$0")/.." || exit 1

CLEAN_SECONDS=${CLEAN_SECONDS:-10}
PLANTED_SECONDS=${PLANTED_SECONDS:-60}
RANDOM_SEED=${RANDOM_SEED:-1}
CC=${CC:-clang}
SOURCES="base mech plugin kernel-bind include fuzz tools"
SANITIZE="address,undefined"
CFLAGS="-std=c11 -D_GNU_SOURCE -I. -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
	-DSYSCONFDIR=\"/etc\" -Wno-everything"
modules="libcrypto mit-krb5-gssapi libnl-3.0"
INCLUDES=$(pkg-config --cflags $modules) || exit 1
LIBS="$(pkg-config --libs $modules) -lkrb5 -lcom_err -lpthread"
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

passed=0
failed=0
work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work/objects" && work=$(realpath "$work") || exit 1

result()
{
	if [ "$1" = 0 ]; then
		echo "ok $2"
		passed=$((passed + 1))
	else
		echo "FAIL $2"
		failed=$((failed + 1))
	fi
}

# compile SOURCE OBJECT, in the current directory
compile()
{
	[ "$2" -nt "$1" ] || $CC $CFLAGS $INCLUDES -fsanitize=fuzzer-no-link,$SANITIZE -c "$1" -o "$2"
}
export -f compile
export CC CFLAGS INCLUDES SANITIZE

# Everything but programs, once; the linker takes from it what a target needs.
build_library()
{
	local list

	[ -z "$(find base mech plugin kernel-bind include tools -name '*.h' \
		-newer "$work/library.a" 2>/dev/null)" ] || rm -f "$work"/objects/*.o
	# Of the tools only what reads others' input; the rest is a program.
	list=$(find base mech plugin kernel-bind tools/known_hosts.c tools/ssh_key.c -name '*.c' ! -name '*_main.c' | sort)
	echo "$list" | xargs -P "$(nproc)" -I{} bash -c \
		'compile {} "$0/objects/$(echo {} | tr / _).o"' "$work" || return 1
	rm -f "$work/library.a"
	ar rcs "$work/library.a" "$work"/objects/*.o
}

# link_target NAME PROGRAM OBJECT...
link_target()
{
	local name=$1 program=$2
	shift 2
	$CC $CFLAGS $INCLUDES -fsanitize=fuzzer,$SANITIZE "fuzz/fuzz_$name.c" "$@" "$work/library.a" \
		$LIBS -o "$program"
}

# The tree with the patch; only what it changes is compiled again.
build_planted()
{
	local name=$1 tree=$work/$1/tree changed object objects=()

	rm -rf "$tree"
	mkdir -p "$tree"
	cp -r $SOURCES "$tree" || return 1
	patch -s -p1 -d "$tree" <"fuzz/planted/$name.patch" || return 1
	for changed in $(sed -n 's|^+++ b/\([^[:space:]]*\).*|\1|p' "fuzz/planted/$name.patch"); do
		object=$work/$name/$(echo "$changed" | tr / _).o
		rm -f "$object"
		(cd "$tree" && compile "$changed" "$object") || return 1
		objects+=("$object")
	done
	(cd "$tree" && link_target "$name" "$work/$name/planted" "${objects[@]}")
}

# fuzz PROGRAM CORPUS LOG OPTION...: what is found goes beside the log
fuzz()
{
	local program=$1 corpus=$2 log=$3 dictionary=()
	shift 3
	[ ! -f "fuzz/$name.dict" ] || dictionary=("-dict=fuzz/$name.dict")
	"$program" -seed="$RANDOM_SEED" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="${log%log}" \
		-verbosity=1 -print_final_stats=1 "${dictionary[@]}" "$@" "$corpus" >"$log" 2>&1
}

# Edges and functions that the run reached, from libFuzzer's own account.
reached()
{
	local edges total functions

	edges=$(grep -o ' cov: [0-9]*' "$1" | tail -n 1 | grep -o '[0-9]*')
	total=$(sed -n 's/.*Loaded 1 PC tables (\([0-9]*\) PCs).*/\1/p' "$1")
	functions=$(grep -c '^COVERED_FUNC' "$1")
	echo "$edges edges of $total linked, $functions functions"
}

run_clean()
{
	local name=$1 status

	rm -rf "$work/$name/corpus"
	cp -r "fuzz/corpus/$name" "$work/$name/corpus" || return 1
	fuzz "$work/$name/clean" "$work/$name/corpus" "$work/$name/clean.log" \
		-max_total_time="$CLEAN_SECONDS" -print_coverage=1
	status=$?
	result "$status" "$name: nothing found in $CLEAN_SECONDS s, $(reached "$work/$name/clean.log")"
	[ "$status" = 0 ] || tail -n 30 "$work/$name/clean.log"
}

run_planted()
{
	local name=$1 log=$work/$1/planted.log started elapsed status finding

	rm -rf "$work/$name/corpus" "$work/$name"/planted.crash-*
	cp -r "fuzz/corpus/$name" "$work/$name/corpus" || return 1
	if ! fuzz "$work/$name/planted" "$work/$name/corpus" "$work/$name/seeds.log" -runs=0; then
		result 1 "$name: a seed alone shows the planted bug"
		return
	fi
	started=${EPOCHREALTIME/[.,]/}
	fuzz "$work/$name/planted" "$work/$name/corpus" "$log" -max_total_time="$PLANTED_SECONDS"
	status=$?
	elapsed=$(((${EPOCHREALTIME/[.,]/} - started) / 100000))
	finding=$(find "$work/$name" -name 'planted.crash-*' | head -n 1)
	if [ "$status" = 0 ] || [ -z "$finding" ]; then
		result 1 "$name: the planted bug was not found in $PLANTED_SECONDS s"
		tail -n 3 "$log"
	elif ! "$work/$name/clean" "$finding" >"$work/$name/finding.log" 2>&1; then
		result 1 "$name: what was found is not the planted bug"
		tail -n 30 "$work/$name/finding.log"
	else
		result 0 "found $name after $((elapsed / 10)).$((elapsed % 10)) s: $(sed -n \
			's/.*ERROR: \(AddressSanitizer: attempting [a-z-]*\|AddressSanitizer: [a-z-]*\|libFuzzer: [a-z ]*\).*/\1/p
			s/.*runtime error: \(.\{1,60\}\).*/\1/p' "$log" | head -n 1)"
	fi
}

build_library || { echo "the tree does not build"; exit 1; }
if [ $# = 0 ]; then
	set -- $(find fuzz -maxdepth 1 -name 'fuzz_*.c' | sed 's|.*/fuzz_\(.*\)\.c|\1|' | sort)
fi
for name; do
	mkdir -p "$work/$name"
	if ! link_target "$name" "$work/$name/clean" || ! build_planted "$name"; then
		result 1 "$name: does not build"
		continue
	fi
	run_clean "$name"
	run_planted "$name"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
