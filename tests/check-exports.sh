#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the plugin exports is what exports.map lists, and each entry is documented:
# check-exports.sh [PLUGIN]
set -u

top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
plugin=${1:-${top_builddir:-.}/.libs/mech_ipsec.so}
document=$top_srcdir/doc/entry-points.md
. "$top_srcdir/tests/support/structure.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

grep -o '^[[:space:]]*gss[a-z_]*;' "$top_srcdir/plugin/exports.map" | tr -d '	 ;' |
	sort >"$work/map"
[ "$(wc -l <"$work/map")" -ge 30 ] && [ -z "$(uniq -d "$work/map")" ]
result $? "exports.map lists $(wc -l <"$work/map") entries, each once"

if [ -f "$plugin" ]; then
	nm -D --defined-only "$plugin" | awk '{ print $3 }' | sort >"$work/plugin"
	diff "$work/map" "$work/plugin"
	result $? "exports.map and the built plugin agree"
	# Every program that lists mechanisms would pay for more, libgssapi included, of which it uses no
	# symbol: so it can be loaded by those that opened libgssapi for themselves (RTLD_LOCAL), too.
	if ! readelf -d "$plugin" | grep -qE 'NEEDED.*\[lib[a-z]+san\.so'; then
		! readelf -d "$plugin" | grep NEEDED | grep -vE '\[(libc\.so\.6|ld[-a-z0-9_]*\.so\.[0-9]+)\]'
		result $? "the plugin needs the C library and no other"
		! nm -D -u "$plugin" | grep -v '@GLIBC_'
		result $? "the plugin asks the C library for all that it calls"
	fi
	tool=$(dirname "$plugin")/../gss-ipsec
	for library in libcrypto libkrb5; do
		readelf -d "$tool" | grep -q "NEEDED.*$library\\.so"
		result $? "gss-ipsec is linked with $library, for packages to depend on"
	done
	! ldd -r "$plugin" 2>&1 | grep 'undefined symbol'
	result $? "the plugin finds all that it calls"
	readelf -d "$plugin" | grep -q 'SYMBOLIC'
	result $? "the plugin binds its own symbols first"
	! readelf -lW "$plugin" | grep -q ' TLS '
	result $? "the plugin has no _Thread_local (base/thread_memory.h)"
	readelf -d "$plugin" | grep -q 'NODELETE'
	result $? "the plugin stays loaded: libcrypto calls it at the end of threads"
else
	result 1 "there is no $plugin"
fi

# shellcheck disable=SC2016
sed -n '/^## /q; s/^| `\(gss[a-z_]*\)`.*/\1/p' "$document" | sort >"$work/document"
diff "$work/map" "$work/document"
result $? "exports.map and doc/entry-points.md agree"

# shellcheck disable=SC2016
sed -n '/^## Left out/,$ s/^| \(`[^|]*\) | .*/\1/p' "$document" | tr -d '`,' |
	tr ' ' '\n' | grep . | sort >"$work/left-out"
[ "$(wc -l <"$work/left-out")" -ge 10 ] && [ -z "$(comm -12 "$work/map" "$work/left-out")" ]
result $? "what the document says is left out is not exported"

# Loaded into every program that lists mechanisms, and never unloaded: nothing may run then.
! grep -rnE '__attribute__\(\((constructor|destructor)|\b(atexit|on_exit|pthread_atfork)\(' \
	"$top_srcdir/base" "$top_srcdir/mech" "$top_srcdir/plugin" \
	"$top_srcdir/kernel-bind/client.c" "$top_srcdir/kernel-bind/candidates.c" \
	"$top_srcdir/kernel-bind/sighting.c" "$top_srcdir/kernel-bind/verdict.c"
result $? "nothing runs when the plugin is loaded or the program ends"

exit $failed
