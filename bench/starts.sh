#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the plugin costs a program that does not use it: whole runs of ordinary programs on one host
# (tests/bystanders/host.sh), with the plugin registered and without, taking turns.
#
#   bench/starts.sh BUILD [ROUNDS]     after ./check install and make bench; else 200 rounds
#
# and what loading it takes, beside another plugin that does next to nothing.
#
# Programs are told by GSS_MECH_CONFIG which of two files to read, so that nothing else differs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tests/bystanders/host.sh"
[ "${1:-}" = inside ] || {
	out=$(mktemp -d) || exit 1
	build=$(cd "$1" && pwd)
	host_inside "$out" "$here/starts.sh" inside "$build" "${2:-200}"
}
host_make >/dev/null 2>&1
cp -a "$2/root/." /
cp /etc/gss/mech.d/ipsec.conf "$host_dir/with"
: >"$host_dir/without"
rm /etc/gss/mech.d/ipsec.conf
cp "$2/bench/bench_load" "$host_dir/"
cc -shared -fPIC -fvisibility=hidden -o "$host_dir/other.so" \
	"$here/../tests/support/decoy_mech.c" -lgssapi_krb5 ||
	host_die "no other plugin"
echo "decoy 1.3.6.1.4.1.311.127.1 $host_dir/other.so" >"$host_dir/other"
host_start
chown alice "$host_dir"
host_as alice /usr/bin/python3 "$here/starts.py" "$3" "$host_dir" "$host_name"
host_stop
