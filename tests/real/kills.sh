#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Sudden deaths: kills.sh STAGED BUILD.  Client, server, brokers and their workers are killed
# (SIGKILL) in every step from the first token to TIME_WAIT, at each of their own system calls that
# matter and between them.  What must hold at each: kill_lane.c.  Several pairs of hosts ("lanes")
# do this side by side, since most of the time is waiting.
#   SEED    reproduces the choice of moments and their order (it is printed)
#   KILLS   how many; default: one of each victim in each step (kills_long.sh runs 1 000)
#   FROM    go on behind so many of this seed
#   COUNTED the calls that an earlier guest counted, so that parts of one campaign have one plan
#   MOMENTS these and no others: the words behind "kill" of a line, with ";" between moments
#   LANES   default 4
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

# One identity more on A, which B does not know.
stranger_make()
{
	local key=$hosts_dir/A/gss/stranger.pem

	gss-ipsec keygen --out "$key" >/dev/null || hosts_die "gss-ipsec keygen failed"
	chown "${hosts_uid[alice]}" "$key"
	sed -e 's/alice\.pem/stranger.pem/' -e 's/user = .*/user = stranger@example.org/' \
		"$hosts_dir/A.conf" >"$hosts_dir/A/gss/stranger.conf"
}

# An orphaned socket shall not outlive the test, and T5 is wanted.
lane_prepare()
{
	local host

	hosts_up
	for host in A B; do
		cp "$hosts_dir/$host/gss/ipsec.conf" "$hosts_dir/$host.conf"
		streams_configure "$host" '[service]' 'sample = {' 't5 = yes' '}'
		hosts_on "$host" sysctl -qw net.ipv4.tcp_orphan_retries=2 net.ipv4.tcp_fin_timeout=2
	done
	hosts_on A ip address add 10.77.0.3/24 dev wire || hosts_die "no second address"
	hosts_on B ip address add 10.77.0.4/24 dev wire || hosts_die "no second address"
	stranger_make
}

lane_capture()
{
	local host

	for host in A B; do
		hosts_start "tcpdump.$host" "$host" nice -n -20 tcpdump -i wire -Q out -n -s 600 -B 4096 \
			--immediate-mode -Z root -w "$hosts_dir/$host.pcap" 'tcp or proto 50'
	done
	for host in A B; do
		hosts_wait 10 grep -q 'listening on' "$hosts_out/tcpdump.$host.log" ||
			hosts_die "tcpdump does not start on host $host"
	done
}

# In a namespace of its own: kills.sh lane count|run NUMBER.
lane_run()
{
	local status=0 host

	export GUEST_OUT=$GUEST_OUT/lane.$2
	hosts_out=$GUEST_OUT
	mkdir -p "$hosts_out"
	trap streams_end EXIT
	lane_prepare
	lane_capture
	kill_lane "$1" "${hosts_pid[hostA]}" "${hosts_pid[hostB]}" "$hosts_dir" "$hosts_out" \
		3>"$hosts_out/windows" || status=1
	streams_capture_end 0.2
	[ "$report_failed" = 0 ] || status=1
	"$here/kills.py" judge "$hosts_out/windows" "$hosts_dir/A.pcap" "$hosts_dir/B.pcap" \
		>"$hosts_out/judged" || {
		status=1
		cp "$hosts_dir/A.pcap" "$hosts_dir/B.pcap" "$hosts_out/"
	}
	return "$status"
}

# lane_start count|run NUMBER PLAN RESULT
lane_start()
{
	(
		trap - EXIT
		exec unshare --net "$0" lane "$1" "$2" <"$3" >"$4" 2>&1
	) &
	lane_pid[$2]=$!
}

if [ "$1" = lane ]; then
	lane_run "$2" "$3"
	exit
fi

declare -A lane_pid=()
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
lanes=${LANES:-4}
kills=${KILLS:-0}
started=$SECONDS
echo "SEED=$seed"
hosts_install "$1"
hosts_install_programs "$2/tests/real/kill_lane"

lane_start count count /dev/null "$hosts_out/calls"
wait "${lane_pid[count]}"
status=$?
report "every scenario without a death: $(wc -l <"$hosts_out/calls") lines" test "$status" = 0
[ "$status" = 0 ] || grep -vE ' (before|after)$' "$hosts_out/calls"
grep -E ' (before|after)$' "$hosts_out/calls" >"$hosts_out/moments"
if [ -n "${MOMENTS:-}" ]; then
	tr ';' '\n' <<<"$MOMENTS" | split -n "r/$lanes" -a 1 -d - "$hosts_out/plan." ||
		hosts_die "no plan"
else
	"$here/kills.py" plan --seed "$seed" --kills "$kills" --from "${FROM:-0}" --lanes "$lanes" \
		--folder "$hosts_out" "${COUNTED:-$hosts_out/moments}" || hosts_die "no plan"
fi

for lane in $(seq 0 $((lanes - 1))); do
	lane_start run "$lane" "$hosts_out/plan.$lane" "$hosts_out/result.$lane"
done
for lane in $(seq 0 $((lanes - 1))); do
	wait "${lane_pid[$lane]}" || report_failed=$((report_failed + 1))
done
cat "$hosts_out"/result.*
cat "$hosts_out"/lane.*/judged
"$here/kills.py" table --head "Seed $seed, $(uname -r) ($GUEST_KIND), $lanes lanes, \
$((SECONDS - started)) s" "$hosts_out"/result.* "$hosts_out"/lane.*/judged \
	>"$hosts_out/table.md" || report_failed=$((report_failed + 1))
tail -n 12 "$hosts_out/table.md"
report_end
