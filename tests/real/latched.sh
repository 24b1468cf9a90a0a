# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What proves that other people's programs are latched, to be sourced behind hosts.sh and report.sh.
#
#   latched_brokers            starts both brokers; what is closed stays listed for the whole test
#   latched_capture            both captures anew, for what comes next
#   latched_judge NAME PORT COUNT TEXT...  ends the captures and reports for each host: COUNT
#                              connections to PORT, all latched by what `gss-ipsec status` says,
#                              each in ESP from T3 to its last segment, no TEXT in any packet;
#                              latched_options: more for capture.py
#   latched_peers HOST COUNT NAME  `gss-ipsec status` of HOST has COUNT connections with that peer

latched_options=()

latched_brokers()
{
	hosts_broker A --linger-seconds 600
	hosts_broker B --linger-seconds 600
}

latched_capture()
{
	local host
	for host in A B; do
		# Else the line that it waits for may be the last one's.
		rm -f "$hosts_out/tcpdump.$host.log"
		hosts_capture "$host" "$hosts_out/$host.pcap"
	done
}

latched_judge()
{
	local name=$1 port=$2 count=$3 host absent=() text
	shift 3
	for text; do absent+=(--absent "$text"); done
	# The close's last segments.
	sleep 1
	for host in A B; do
		hosts_stop "tcpdump.$host"
		hosts_on "$host" gss-ipsec status >"$hosts_out/leases.$host" 2>&1
		report "$name: capture of $host, $count latched" "$here/capture.py" --port "$port" \
			--leases "$hosts_out/leases.$host" --connections "$count" \
			"${latched_options[@]}" "${absent[@]}" "$hosts_out/$host.pcap"
	done
}

latched_peers()
{
	local found
	hosts_on "$1" gss-ipsec status >"$hosts_out/status.$1" 2>&1
	found=$(grep -c "peer: *$3\$" "$hosts_out/status.$1")
	[ "$found" = "$2" ] && return 0
	echo "$found connections of $2 with $3"
	cat "$hosts_out/status.$1"
	return 1
}
