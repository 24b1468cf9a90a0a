#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A latched connection's whole life, to its last segment: closing.sh STAGED BUILD [BATCH], BATCH one
# of quick (default), long, destroy, without-cover.  closing.py has the rows; every frame between
# the hosts passes through it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"

# In place of the one of hosts.sh: two cables, whose other ends stay in this guest's own namespace.
hosts_join()
{
	local host

	for host in A B; do
		ip link delete "middle$host" 2>/dev/null # of the test before, in the same guest
		hosts_wait 10 ip link add "middle$host" type veth peer name "wire$host" ||
			hosts_die "no veth in this kernel"
		ip link set "wire$host" netns "${hosts_pid[host$host]}" &&
			hosts_on "$host" ip link set "wire$host" name wire &&
			hosts_on "$host" ip address add "${hosts_address[$host]}/24" dev wire &&
			hosts_on "$host" sysctl -qw net.ipv6.conf.wire.keep_addr_on_down=1 \
				net.ipv4.tcp_orphan_retries=3 &&
			hosts_on "$host" ip address add "fd77::${hosts_number[$host]}/64" dev wire \
				nodad &&
			hosts_on "$host" ip link set wire up || hosts_die "cannot join host $host"
		hosts_on "$host" "$here/attacker.py" --offloads-off wire ||
			hosts_die "cannot switch off offloads"
		sysctl -qw "net.ipv6.conf.middle$host.disable_ipv6=1"
		ip link set "middle$host" up promisc on
	done
	closing_join_second
}

# Another way out of A, for routes that change.
closing_join_second()
{
	ip link add middleA2 type veth peer name wire2 &&
		ip link set wire2 netns "${hosts_pid[hostA]}" &&
		hosts_on A ip link set wire2 up && ip link set middleA2 up promisc on &&
		sysctl -qw net.ipv6.conf.middleA2.disable_ipv6=1 &&
		hosts_on A "$here/attacker.py" --offloads-off wire2 || hosts_die "no second cable"
}

closing_broker()
{
	hosts_enter "$1" gss-ipsecd
	printf '%q ' "${hosts_command[@]}"
}

trap hosts_down EXIT
hosts_install "$1"
hosts_up
python3 "$here/closing.py" "${3:-quick}" --out "$hosts_out" --interfaces middleA,middleB,middleA2 \
	--pids "${hosts_pid[hostA]},${hosts_pid[hostB]}" --run "$hosts_dir/A/run,$hosts_dir/B/run" \
	--brokers "$(closing_broker A)" "$(closing_broker B)" ${4:+--only "$4"} || report_failed=1
report_end
