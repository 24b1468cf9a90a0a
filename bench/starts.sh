#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the plugin costs a program that does not use it: whole runs of ordinary programs on one host
# (tests/bystanders/host.sh), with the plugin registered and without, taking turns.
#
#   bench/starts.sh BUILD [ROUNDS [PROGRAM...]]     else 200 rounds
#
# and what loading it takes.  In BUILD, which is for /usr and /etc (./check gcc), make bench and
# make install DESTDIR=$PWD/root (./check install) come first.  Third in turn is an empty plugin, that
# has the same names and does nothing in them: what libgssapi and the loader take for any plugin.
# REALTIME=1: the programs, and only they, run with a real-time priority.
#
# Programs are told by GSS_MECH_CONFIG which of three files to read, so that nothing else differs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tests/bystanders/host.sh"
[ "${1:-}" = inside ] || {
	build=$(cd "$1" && pwd) || exit 1
	[ -e "$build/root/etc/gss/mech.d/ipsec.conf" ] || host_die \
		"nothing is installed in $build/root: first ./check install, or make install DESTDIR=\$PWD/root there"
	[ -x "$build/bench/bench_load" ] || host_die "no $build/bench/bench_load: first make bench there"
	out=$(mktemp -d) || exit 1
	trap 'rm -rf "$out"' EXIT
	rounds=${2:-200}
	shift $(($# > 2 ? 2 : $#))
	(host_inside "$out" "$here/starts.sh" inside "$build" "$rounds" "$@")
	exit
}
# It ends us when it fails.
trap 'tail -n 3 /run/host_make.log >&2' EXIT
host_make >/run/host_make.log 2>&1
trap - EXIT
cp -a "$2/root/." / && cp /etc/gss/mech.d/ipsec.conf "$host_dir/with" || host_die "no plugin"
: >"$host_dir/without"
rm /etc/gss/mech.d/ipsec.conf
cp "$2/bench/bench_load" "$host_dir/"
{
	echo '#include <gssapi/gssapi.h>'
	sed -n 's/^[[:space:]]*\(gss[a-z_]*\);$/\1/p' "$here/../plugin/exports.map" | while read -r name; do
		echo "OM_uint32 empty_$name(OM_uint32 *minor) __asm__(\"$name\");"
		echo "OM_uint32 empty_$name(OM_uint32 *minor)"
		echo '{ *minor = 0; return GSS_S_UNAVAILABLE; }'
	done
} >"$host_dir/empty.c"
cc -O2 -shared -fPIC -Wl,-z,now -o "$host_dir/empty.so" "$host_dir/empty.c" -lgssapi_krb5 ||
	host_die "no empty plugin"
sed "s| /.*| $host_dir/empty.so|" "$host_dir/with" >"$host_dir/empty"
host_start
chown alice "$host_dir"
env -i HOME=/home/alice USER=alice LC_ALL=C PATH=/usr/bin:/bin:/usr/sbin KRB5CCNAME=FILE:/home/alice/cc \
	"REALTIME=${REALTIME:-}" /usr/bin/python3 "$here/starts.py" "$3" "$host_dir" "$host_name" "${@:4}"
host_stop
