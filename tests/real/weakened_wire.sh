#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The rows of attacks.table that name a defence, against a broker and a plugin without it:
# weakened_wire.sh STAGED BUILD [odd|even|DEFENCE...]: all of them, every other one, or these.  Each
# attack must succeed, and show the sign that its row promises.  BUILD/weakened is what
# tests/weakened/build.sh made.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/../weakened/rows.sh"
staged=$1
build=$2
shift 2
case ${1:-all} in
all) mapfile -t defences < <(weakened_wire_rows) ;;
odd) mapfile -t defences < <(weakened_wire_rows | sed -n 'p;n') ;;
even) mapfile -t defences < <(weakened_wire_rows | sed -n 'n;p') ;;
*) defences=("$@") ;;
esac
failed=0

for defence in "${defences[@]}"; do
	# What this defence does not change is as it was before the last one.
	hosts_install "$staged"
	hosts_install "$build/weakened/none/root"
	# The kernel takes its time over the last one's hosts; their cables go with them.
	ip link delete middleA 2>/dev/null
	ip link delete middleB 2>/dev/null
	GUEST_OUT=${GUEST_OUT:-/tmp}/$defence "$here/attacks.sh" "$build/weakened/$defence/root" \
		"$build" --defence "$defence" --expect-success || failed=1
done
exit "$failed"
