#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds with one defence taken away each: build.sh OUT [NAME...]
#
# NAME is that of a patch in this folder, or several joined by "+", or "none" for the tree as it is;
# the default is all that attacks.table names.
# In OUT/NAME afterwards, made without optimization from the same sources:
#
#   root           gss-ipsecd and mech_ipsec.so where they are installed, to be put over those
#   attack_latch   attacks on broker and kernel, linked with the weakened client half
#   sandbox_probe  attacks out of the broker's sandbox
#   unit           the unit tests, attacks on the exchange among them
#
# Only what a patch changes is compiled again, and only what it can change is linked: what is not
# there is as in OUT/none.  The first line of each patch says what it takes away; doc/testing.md has
# the table.  build.sh --check OUT: no more than whether each patch applies and changes something.
# Options are lists in one word each, since functions that xargs starts see no arrays:
# shellcheck disable=SC2013,SC2016,SC2046,SC2086,SC2089,SC2090
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/weakened/rows.sh

CC=${CC:-cc}
CFLAGS="-std=c11 -D_GNU_SOURCE -O0 -fPIC -fvisibility=hidden -w -pthread -DSYSCONFDIR=\"/etc\"
	-DTESTS_SOURCE_DIR=\"$PWD\" -DPACKAGE_VERSION=\"weakened\""
modules="libcrypto mit-krb5-gssapi libnl-3.0 libseccomp check"
INCLUDES="-I$PWD $(pkg-config --cflags $modules)" || exit 1
LIBS="-Wl,--as-needed $(pkg-config --libs $modules) -lkrb5 -lcom_err -lpthread"
export CC CFLAGS INCLUDES

die()
{
	echo "weakened build: $*" >&2
	exit 1
}

# compile SOURCE OBJECT, in the current directory; what lies there goes before the tree
compile()
{
	[ "$2" -nt "$1" ] || $CC -I. $CFLAGS $INCLUDES -c "$1" -o "$2"
}
export -f compile

object_of()
{
	echo "$(echo "$1" | tr / _).o"
}

# Everything once; the linker takes from the library what a program needs.
build_tree()
{
	local list headers

	mkdir -p "$out/objects" "$out/tests"
	headers=$(find base mech plugin kernel-bind include tools tests -name '*.h' \
		-newer "$out/library.a" 2>/dev/null) || headers=
	[ -z "$headers" ] || rm -f "$out"/objects/*.o "$out"/tests/*.o
	list=$(find base mech plugin kernel-bind tools/known_hosts.c tools/ssh_key.c -name '*.c' \
		! -name '*_main.c' | sort)
	echo "$list" | xargs -P "$(nproc)" -I{} bash -c \
		'compile {} "$0/objects/$(echo {} | tr / _).o"' "$out" || return 1
	list=$(ls kernel-bind/broker_main.c tests/unit/*.c tests/support/two_ends.c \
		tests/real/probe.c tests/real/probe_request.c tests/real/sandbox_*.c \
		tests/real/probe_wire.c tests/weakened/*.c)
	echo "$list" | xargs -P "$(nproc)" -I{} bash -c \
		'compile {} "$0/tests/$(echo {} | tr / _).o"' "$out" || return 1
	rm -f "$out/library.a"
	ar rcs "$out/library.a" "$out"/objects/*.o
}

link_broker()
{
	mkdir -p "$1/root/usr/sbin"
	$CC -o "$1/root/usr/sbin/gss-ipsecd" "$out/tests/kernel-bind_broker_main.c.o" "$2" $LIBS
}

# The entries that the mechglue looks for stand in plugin/; they draw in the rest.
link_plugin()
{
	mkdir -p "$1/root/usr/lib/gss"
	$CC -shared -o "$1/root/usr/lib/gss/mech_ipsec.so" -Wl,-Bsymbolic -Wl,--version-script=plugin/exports.map \
		$(sed -n 's/^[[:space:]]*\(gss[a-z_]*\);/-Wl,--undefined=\1/p' plugin/exports.map) \
		"$2" $LIBS
}

link_attack_latch()
{
	$CC -o "$1/attack_latch" "$out"/tests/tests_weakened_*.o \
		"$out"/tests/tests_real_probe*.o "$2" $LIBS
}

link_sandbox_probe()
{
	$CC -o "$1/sandbox_probe" "$out"/tests/tests_real_sandbox_*.o "$2" $LIBS
}

link_unit()
{
	$CC -o "$1/unit" $(sed -n '/^tests_unit_unit_LDFLAGS/,/[^\\]$/p' Makefile.am |
		grep -o -e '-Wl,--wrap=[a-z_]*') \
		"$out"/tests/tests_unit_*.o "$out/tests/tests_support_two_ends.c.o" "$2" $LIBS
}

# Which programs a source is part of.
programs_of()
{
	case $1 in
	kernel-bind/candidates.c | kernel-bind/client.c | kernel-bind/sighting.c | kernel-bind/verdict.c)
		echo attack_latch plugin ;;
	kernel-bind/broker_protocol.c | base/*) echo attack_latch broker plugin unit ;;
	kernel-bind/broker_calls.c | kernel-bind/broker_sandbox.c) echo broker sandbox_probe ;;
	kernel-bind/*) echo broker ;;
	mech/*) echo unit plugin ;;
	plugin/*) echo plugin ;;
	*) die "no program is made of $1" ;;
	esac
}

changed_by()
{
	sed -n 's|^+++ b/\([^[:space:]]*\).*|\1|p' "$1" | sort -u
}

# The files that a patch (or several) changes, patched, under FOLDER: patch_tree FOLDER PATCH...
patch_tree()
{
	local tree=$1 patch file
	shift

	rm -rf "$tree"
	for patch; do
		for file in $(changed_by "$patch"); do
			[ -f "$tree/$file" ] || install -D "$file" "$tree/$file" || return 1
		done
		patch -s -F0 -p1 --no-backup-if-mismatch -d "$tree" <"$patch" || return 1
	done
	for file in $(cd "$tree" && find . -type f); do
		! cmp -s "$file" "$tree/$file" || return 1
		[[ $file == *.c ]] || return 1
	done
}

patches_of()
{
	local part

	for part in ${1//+/ }; do
		echo "tests/weakened/$part.patch"
	done
}

build_weakened()
{
	local name=$1 dir=$out/$1 file program programs=

	patch_tree "$dir/tree" $(patches_of "$name") || return 1
	cp "$out/library.a" "$dir/library.a" || return 1
	for file in $(cd "$dir/tree" && find . -name '*.c' -printf '%P\n'); do
		(cd "$dir/tree" && compile "$file" "$dir/$(object_of "$file")") || return 1
		ar r "$dir/library.a" "$dir/$(object_of "$file")" || return 1
		programs+=" $(programs_of "$file")"
	done
	for program in $(echo $programs | tr ' ' '\n' | sort -u); do
		"link_$program" "$dir" "$dir/library.a" || return 1
	done
	rm -rf "$dir/library.a" "$dir"/*.o
}

build_one()
{
	local program

	rm -rf "${out:?}/$1"
	mkdir -p "$out/$1"
	if [ "$1" = none ]; then
		for program in broker plugin attack_latch sandbox_probe unit; do
			"link_$program" "$out/none" "$out/library.a" || return 1
		done
	else
		build_weakened "$1"
	fi
}

check_patches()
{
	local patch name failed=0

	for patch in tests/weakened/*.patch; do
		name=$(basename "$patch" .patch)
		if patch_tree "$out/tree" "$patch" && head -n 1 "$patch" | grep -q '^[A-Z].*\.$' &&
			weakened_builds | tr + '\n' | grep -qx "$name" &&
			grep -q "^| $name |" doc/testing.md; then
			echo "ok $name applies, changes only C sources, has an attack and is documented"
		else
			echo "FAIL $patch"
			failed=1
		fi
	done
	return "$failed"
}

mode=build
[ "${1:-}" != --check ] || { mode=check; shift; }
[ $# -ge 1 ] || die "usage: build.sh [--check] OUT [NAME...]"
mkdir -p "$1" && out=$(realpath "$1") || exit 1
shift
if [ "$mode" = check ]; then
	check_patches
	exit
fi
[ $# -gt 0 ] || set -- $(weakened_builds)
build_tree || die "the tree does not build"
for name; do
	build_one "$name" || die "$name does not build"
done
