#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The long form of kills.sh, several guests one after the other:
#
#   kills_long.sh STAGED BUILD OUT
#
# The table of results is OUT/kills.md in the end (doc/kills.md is such a one), each guest's logs are
# beside it.  A guest that breaks down (User Mode Linux does, now and then) is started again.  Exit status 0: every kill was made and nothing complained.
#   KILLS   how many in all (default 1020,    PART   in each guest (default 85)
#           since a few calls do not come again)
#   SEED    printed                           LANES  pairs of hosts in a guest (default 6)
set -u
here=$(cd "$(dirname "$0")" && pwd)
staged=$1
build=$2
out=$(realpath -m "$3")
total=${KILLS:-1020}
part=${PART:-85}
export SEED=${SEED:-$((RANDOM * 32768 + RANDOM))} LANES=${LANES:-6}
export GUEST_ENV="SEED KILLS FROM LANES COUNTED" GUEST_TIMEOUT=${GUEST_TIMEOUT:-3000}
export GUEST_MEMORY=${GUEST_MEMORY:-1536M}
status=0
lost=0
kernel=
export COUNTED=

mkdir -p "$out" || exit 1
echo "SEED=$SEED"
# part_run FROM: 125 where the guest itself came to grief
part_run()
{
	GUEST_OUT=$out/from-$1 "$here/guest.sh" auto "$here/kills.sh" "$staged" "$build" \
		>"$out/from-$1.log" 2>&1
}

for ((from = 0; from < total; from += part)); do
	export FROM=$from KILLS=$((total - from < part ? total - from : part))
	for try in 1 2 3; do
		part_run "$from" && break
		[ $? = 125 ] && [ "$try" != 3 ] || {
			status=1
			grep '^FAIL' "$out/from-$from.log" || tail -n 3 "$out/from-$from.log"
			break
		}
		lost=$((lost + 1))
	done
	# All parts follow the plan of the first: every moment comes once before any comes twice.
	[ -n "$COUNTED" ] || [ ! -s "$out/from-$from/moments" ] || COUNTED=$out/from-$from/moments
	kernel=$(sed -n 's|^Seed [0-9]*, \(.*)\), [0-9]* lanes.*|\1|p' "$out/from-$from/table.md")
	grep ' failed; ' "$out/from-$from.log" | tail -n 1
done
[ "$lost" = 0 ] || echo "$lost guests broke down and were started again"
"$here/kills.py" table --head "# kill -9: the long form of tests/real/kills.sh

$(date -u +%Y-%m-%d), kernel $kernel, seed $SEED, $total kills asked for, $((SECONDS / 60)) min.
Rows: where in a connection's life; columns: who was killed. doc/testing.md says what must hold." \
	"$out"/from-*/result.* "$out"/from-*/lane.*/judged >"$out/kills.md"
cat "$out/kills.md"
exit "$status"
