#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The attacker on the path between two hosts, against everything that attacks.table lists:
#
#   attacks.sh STAGED BUILD [--only PATTERN] [--defence NAME] [--expect-success] [--verbose]
#   attacks.sh STAGED BUILD qemu      the rows that want that guest's kernel (guest=qemu)
#
# Plugin and broker come from STAGED.  With --expect-success it is a weakened installation, and each
# row must succeed.  The cable between the hosts ends in this guest's own namespace, where
# attacker.py passes each frame on, or does not.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"

attacks_port=4747
attacks_third_name=host-c.example
declare -A attacks_ip6=([A]=fd77::1 [B]=fd77::2)
attacks_services="yes auto require yes5 auto5 require5"

# In place of the one of hosts.sh: two cables, whose other ends stay here.  Nobody answers ARP.
hosts_join()
{
	local host peer

	for host in A B; do
		ip link delete "middle$host" 2>/dev/null # of the test before, in the same guest
		hosts_wait 10 ip link add "middle$host" type veth peer name "wire$host" ||
			hosts_die "no veth in this kernel"
		ip link set "wire$host" netns "${hosts_pid[host$host]}" address "02:00:00:00:00:0$host" &&
			hosts_on "$host" ip link set "wire$host" name wire &&
			hosts_on "$host" ip address add "${hosts_address[$host]}/24" dev wire &&
			hosts_on "$host" sysctl -qw net.ipv6.conf.wire.router_solicitations=0 &&
			hosts_on "$host" ip address add "${attacks_ip6[$host]}/64" dev wire nodad &&
			hosts_on "$host" ip link set wire up || hosts_die "cannot join host $host"
		hosts_on "$host" "$here/attacker.py" --offloads-off wire ||
			hosts_die "cannot switch off offloads"
		sysctl -qw "net.ipv6.conf.middle$host.disable_ipv6=1"
		ip link set "middle$host" up promisc on
		peer=$([ "$host" = A ] && echo B || echo A)
		hosts_on "$host" ip neighbour add "${hosts_address[$peer]}" \
			lladdr "02:00:00:00:00:0$peer" dev wire nud permanent
		hosts_on "$host" ip neighbour add "${attacks_ip6[$peer]}" \
			lladdr "02:00:00:00:00:0$peer" dev wire nud permanent
		echo "${attacks_ip6[$peer]} ${hosts_name[$peer]}" >>"$hosts_dir/$host/hosts"
	done
}

# Another server that A knows, too: who relays a client's tokens to it finds its key on host B.
attacks_third()
{
	local key=$hosts_dir/B/gss/third.pem

	gss-ipsec keygen --out "$key" >"$hosts_dir/third.public" || hosts_die "gss-ipsec keygen failed"
	chown "${hosts_uid[sample]}" "$key"
	cat >>"$hosts_dir/B/gss/ipsec.conf" <<-CONFIG
		[identity]
			third = {
				key = /etc/gss/third.pem
				host = $attacks_third_name
				services = $attacks_services
			}
	CONFIG
	cat >>"$hosts_dir/A/gss/ipsec.conf" <<-CONFIG
		[peer]
			third = {
				host = $attacks_third_name
				key = $(hosts_fingerprint third)
			}
	CONFIG
}

# A service for each policy, with and without T5: what the programs ask for decides.
attacks_configure()
{
	local host service

	sed -i "s/services = sample/services = $attacks_services/" "$hosts_dir/B/gss/ipsec.conf"
	attacks_third
	for host in A B; do
		{
			echo '[service]'
			for service in $attacks_services; do
				echo "$service = {"
				echo "latch = ${service%5}"
				[ "$service" = "${service%5}" ] || echo "t5 = yes"
				echo '}'
			done
		} >>"$hosts_dir/$host/gss/ipsec.conf"
	done
}

# Configurations that rows ask for (config=): narrower policies, and ends that are nobody.
attacks_variants()
{
	local a=$hosts_dir/A/gss b=$hosts_dir/B/gss name

	for name in usual p256 nobody-client nobody-server nobody-both nobody-refused nobody-server-refused; do
		cp "$a/ipsec.conf" "$a/$name.conf"
		cp "$b/ipsec.conf" "$b/$name.conf"
	done
	printf '[gss-ipsec]\nike_groups = p256\n' >>"$b/p256.conf"
	for name in nobody-client nobody-both nobody-refused; do
		sed -i -e 's|key = /etc/gss/alice.pem|anonymous = yes|' -e '/user = /d' "$a/$name.conf"
	done
	for name in nobody-client nobody-both; do
		printf '[gss-ipsec]\nanonymous_peer = accept\n' >>"$b/$name.conf"
	done
	for name in nobody-server nobody-both nobody-server-refused; do
		sed -i -e 's|key = /etc/gss/sample.pem|anonymous = yes|' \
			-e "/host = ${hosts_name[B]}/d" "$b/$name.conf"
	done
	for name in nobody-server nobody-both; do
		sed -i "s|key = $(hosts_fingerprint sample)|anonymous = yes|" "$a/$name.conf"
	done
}

# Data in a SYN is taken from anybody, as a host may be configured.
attacks_open()
{
	hosts_on B sysctl -qw net.ipv4.tcp_fastopen=0x603
	hosts_on B ip neighbour add 10.77.0.66 lladdr 02:00:00:00:00:0A dev wire nud permanent
}

attacks_enter()
{
	hosts_enter "$1"
	printf '%q ' "${hosts_command[@]}"
}

attacks_victim()
{
	hosts_enter as "$@"
	printf '%q ' "${hosts_command[@]}"
}

staged=$1
build=$2
shift 2
[ "${1:-}" != qemu ] || set -- --guest qemu
trap hosts_down EXIT
hosts_install_programs "$build/tests/real/victim"
hosts_install "$staged"
hosts_up
attacks_configure
attacks_variants
attacks_open
hosts_broker A --linger-seconds 2
hosts_broker B --linger-seconds 2
python3 "$here/attacks.py" "$here/attacks.table" --interfaces middleA,middleB --out "$hosts_out" \
	--host-a "$(attacks_enter A)" --host-b "$(attacks_enter B)" \
	--client "$(attacks_victim alice A victim client "${hosts_name[B]}" "$attacks_port")" \
	--server "$(attacks_victim sample B victim server "$attacks_port")" "$@" || report_failed=1
report_end
