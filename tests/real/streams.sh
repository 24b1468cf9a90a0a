# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The stream program between the two hosts of hosts.sh, to be sourced behind it and report.sh:
#
#   streams_up STAGED BUILD [LINGER_SECONDS]  installs, makes the hosts, starts both brokers
#   streams_server OPTS...        starts the server on B as sample, and waits until it listens
#   streams_client OPTS...        starts the client on A as alice
#   streams_said NAME TEXT [SECONDS]  waits until a line of server or client begins with TEXT
#   streams_wait NAME...          waits for their ends: exit status in streams_status[NAME]; not
#                                 within report, whose commands run in a subshell
#   streams_done NAME...          whether they all ended well
#   streams_capture, streams_capture_end, streams_judge [OPTS...]
#                                 what each host sends itself, in order, and capture.py's verdict
#   streams_snapshot, streams_is_clean, streams_left
#                                 kernels without anything of ours: noted, compared, shown
#   streams_configure HOST LINE...  other lines in front of HOST's configuration
#   streams_hurry [SETTING...]    an orphaned socket shall not outlive the test
#   streams_established           both latches are; else both hosts' status

streams_port=4646
streams_linger=3
streams_program=
streams_broker_options=()
declare -A streams_status=()

streams_up()
{
	streams_program=/usr/bin/stream
	hosts_install_programs "$2/tests/real/stream"
	streams_linger=${3:-3}
	hosts_install "$1"
	hosts_up
	cp "$hosts_dir/A/gss/ipsec.conf" "$hosts_dir/A.conf"
	cp "$hosts_dir/B/gss/ipsec.conf" "$hosts_dir/B.conf"
	streams_brokers
}

streams_brokers()
{
	local host

	for host in A B; do
		hosts_broker "$host" --linger-seconds "$streams_linger" \
			"${streams_broker_options[@]}"
	done
}

streams_is_listening()
{
	grep -q '^listening' "$hosts_out/server.log"
}

# Starts the program; with capabilities where $streams_filters is set, since some kernels (User Mode
# Linux) let nobody else attach a filter.
streams_start()
{
	local name=$1 user=$2 host=$3 capable=()
	shift 3

	rm -f "$hosts_out/$name.log"
	if [ -z "${streams_filters:-}" ]; then
		hosts_start "$name" as "$user" "$host" "$streams_program" "$@"
		return
	fi
	capable=("--inh-caps=-all,+bpf,+net_admin" "--ambient-caps=-all,+bpf,+net_admin")
	hosts_start "$name" "$host" setpriv --reuid "${hosts_uid[$user]}" --clear-groups \
		--regid "${hosts_uid[$user]}" "${capable[@]}" -- "$streams_program" "$@"
}

streams_server()
{
	streams_start server sample B server "$streams_port" "$@"
	hosts_wait 20 streams_is_listening || hosts_die "the stream server does not listen"
}

streams_client()
{
	streams_start client alice A client "${hosts_name[B]}" \
		"${streams_to:-$streams_port}" sample "$@"
}

streams_said()
{
	hosts_wait "${3:-20}" grep -q "^$2" "$hosts_out/$1.log"
}

streams_wait()
{
	local name

	for name in "$@"; do
		wait "${hosts_pid[$name]}" 2>/dev/null
		streams_status[$name]=$?
		unset "hosts_pid[$name]"
	done
}

streams_done()
{
	local name

	for name in "$@"; do
		[ "${streams_status[$name]}" = 0 ] && continue
		echo "$name ended with ${streams_status[$name]}"
		tail -n 6 "$hosts_out/client.log" "$hosts_out/server.log"
		return 1
	done
}

streams_reason()
{
	sed -n 's/^reason: [0-9]* //p' "$hosts_out/$1.log" | tail -n 1
}

# Outgoing packets only, so that loss and disorder of the wire do not show; whole as long as they
# are in the clear (tokens before ESP are shorter than that).
streams_capture()
{
	local host

	for host in A B; do
		hosts_start "tcpdump.$host" "$host" nice -n -20 tcpdump -i wire -Q out -n -s 600 -B 32768 \
			--immediate-mode -Z root ${streams_unbuffered:+-U} -w "$hosts_dir/$host.pcap" \
			'tcp or ip proto 50 or (ip6 and not icmp6)'
	done
	for host in A B; do
		hosts_wait 10 grep -q 'listening on' "$hosts_out/tcpdump.$host.log" ||
			hosts_die "tcpdump does not start on host $host"
	done
}

streams_capture_end()
{
	sleep "${1:-1}"
	hosts_stop tcpdump.A
	hosts_stop tcpdump.B
}

streams_judge()
{
	"$here/capture.py" --port "${streams_to:-$streams_port}" "$@" "$hosts_dir/A.pcap" \
		"$hosts_dir/B.pcap"
}

# What HOST has, as text: all SAs and policies of its kernel, and what its broker knows.
streams_kernel()
{
	hosts_on "$1" sh -c 'ip xfrm state list; ip xfrm policy list; gss-ipsec status' 2>&1 |
		sed 's/0x[0-9a-f]\{40,\}/(key)/'
}

streams_snapshot()
{
	streams_kernel A >"$hosts_dir/A.kernel"
	streams_kernel B >"$hosts_dir/B.kernel"
}

streams_is_clean()
{
	local host

	for host in A B; do
		streams_kernel "$host" | cmp -s - "$hosts_dir/$host.kernel" || return 1
	done
}

streams_left()
{
	local host

	for host in A B; do
		streams_kernel "$host" | diff - "$hosts_dir/$host.kernel" | sed "s/^/$host /"
	done
}

# Nothing of ours is left when the lingering time is over; what was there before is still there.
streams_gone()
{
	local tries=$(((streams_linger + ${1:-8}) * 4))

	# A look is a dozen processes, which a slow guest is busy with: not ten times a second.
	until streams_is_clean; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { streams_left; return 1; }
		sleep 0.4
	done
}

streams_configure()
{
	local host=$1
	shift
	{
		[ $# = 0 ] || printf '%s\n' "$@"
		cat "$hosts_dir/$host.conf"
	} >"$hosts_dir/$host/gss/ipsec.conf"
}

# State of HOST's latch, by gss-ipsec status as root.
streams_has_state()
{
	hosts_on "$1" gss-ipsec status 2>&1 | grep -qw "$2"
}

streams_established()
{
	streams_has_state A established && streams_has_state B established && return 0
	hosts_on A gss-ipsec status
	hosts_on B gss-ipsec status
	return 1
}

streams_hurry()
{
	local host

	for host in A B; do
		hosts_on "$host" sysctl -qw net.ipv4.tcp_orphan_retries=2 \
			net.ipv4.tcp_fin_timeout=5 "$@"
	done
}

streams_end()
{
	hosts_stop client
	hosts_stop server
	hosts_stop tcpdump.A
	hosts_stop tcpdump.B
	hosts_down
}
