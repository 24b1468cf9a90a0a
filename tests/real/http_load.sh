# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Many logins on Apache, for http.sh, to be sourced there:
#
#   load_run CROWD FEW MANY    CROWD clients at once; then FEW logins in a row, and on to MANY, and
#                              what that left in memory beside as many who do not log in
#
# Each login has a connection of its own: Apache ends one behind its third request, the one that T5
# comes with.  Every page says who asked, and that the connection was latched then.

load_port_range="10000 60999"
load_growth_kb=64

# Two children that stay, so that their memory can be compared.
load_configure()
{
	cat >/etc/apache2/conf-available/load.conf <<-CONFIG
		MaxKeepAliveRequests 2
		ListenBacklog 1024
		StartServers 2
		ServerLimit 2
		ThreadsPerChild 64
		MaxRequestWorkers 128
		MinSpareThreads 1
		MaxSpareThreads 128
		MaxConnectionsPerChild 0
	CONFIG
	a2enconf -q load >/dev/null
	# mods-enabled/mpm_*.conf comes before conf-enabled, so these count.
	hosts_on A sysctl -q -w "net.ipv4.ip_local_port_range=$load_port_range"
	for host in A B; do hosts_on "$host" sysctl -q -w net.core.somaxconn=1024; done
	http_start event
}

load_unconfigure()
{
	a2disconf -q load >/dev/null
}

# The brokers' processes of both hosts, and Apache's.
load_memory()
{
	local pid

	for pid in $(pgrep -x apache2) $(pgrep -x 'gss-ipsecd.*'); do heap_line "$pid"; done | sort
}

load_compare()
{
	heap_report "$hosts_out/memory.few" "$hosts_out/memory.many" "$load_growth_kb"
}

load_memory_report()
{
	local status

	load_compare >"$hosts_out/memory.grown"
	status=$?
	report "$1" [ "$status" = 0 ]
	cat "$hosts_out/memory.grown"
}

# What went in the clear, for there are too many packets to keep: of each connection T1 and T2.
load_capture()
{
	hosts_start tcpdump.load A tcpdump -i wire -U -n -s 0 -B 8192 --immediate-mode -Z root \
		-w "$hosts_out/load.pcap" 'tcp port 80'
	hosts_wait 10 grep -q 'listening on' "$hosts_out/tcpdump.load.log"
}

load_judge()
{
	# The last login's segments.
	sleep 0.3
	hosts_stop tcpdump.load
	"$here/http_capture.py" --clear --latched "$1" --absent "$hosts_user" "$hosts_out/load.pcap" &&
		rm "$hosts_out/load.pcap"
}

# load_count NAME WANTED: pages that are right, and reasons of those that are not.
load_count()
{
	local pages

	pages=$(cat "$http_home/$1".page.* | grep -cx "$hosts_user latched")
	echo "    $1: $pages of $2 right; refused: $(cat "$http_home/$1".log.* |
		grep -o 'gss_init_sec_context() failed: [^:;]*' | sort | uniq -c | tr -s ' \n' ' ')"
	[ "$pages" = "$2" ] && [ "$(cat "$http_home/$1".page.* | wc -l)" = "$2" ]
}

# One curl, which asks for one page after the other.
load_in_a_row()
{
	rm -f "$http_home/row".*
	hosts_as alice A bash -c "curl -v --max-time 3000 --negotiate -u : \
		'$private/who.shtml?[1-$1]' 2>&1 >$http_home/row.page.1 |
		grep -F 'failed:' >$http_home/row.log.1"
	load_count row "$1"
}

# A process for each client; all wait for somebody to open the pipe.
load_at_once()
{
	hosts_as alice A bash -c "cd $http_home
		rm -f go && mkfifo go
		for i in \$(seq $1); do
			(
				: <go
				exec curl -v --max-time 600 --negotiate -u : -o crowd.page.\$i \
					$private/who.shtml?\$i 2>crowd.log.\$i
			) &
		done
		sleep 2
		: >go
		wait"
	load_count crowd "$1"
}

# As many connections and requests of people who do not log in: what Apache takes for itself.
load_plain()
{
	local pages

	pages=$(hosts_as alice A curl -sS --max-time 3000 -H 'Connection: close' -o /dev/null \
		-w '%{http_code}\n' "http://$http_server/refused.html?[1-$1]" | grep -cx 200)
	echo "    plain: $pages of $1 right"
	[ "$pages" = "$1" ]
}

load_baseline()
{
	local few=$1 many=$2

	http_start event
	report "$few pages without a login" load_plain "$few"
	load_keep_memory few
	report "$((many - few)) more" load_plain "$((many - few))"
	load_keep_memory many
	echo "    Apache alone:"
	load_compare
}

load_report()
{
	local name=$1 count=$2
	shift 2

	load_capture
	if "$@" "$count"; then echo "ok $count $name"; else
		report "$count $name" false
	fi
	report "$count $name: clear bytes" load_judge "$count"
}

load_run()
{
	local crowd=$1 few=$2 many=$3 began=$SECONDS

	[ "$many" = "$few" ] || heap_watch apache2
	load_configure
	[ "$crowd" = 0 ] || load_report "clients at once" "$crowd" load_at_once
	load_row "$few"
	[ "$many" = "$few" ] || {
		load_keep_memory few
		load_row "$((many - few))"
		load_keep_memory many
		load_memory_report "memory after login $few and $many"
		load_baseline "$few" "$many"
	}
	echo "    $((SECONDS - began)) s"
	load_unconfigure
}

load_row()
{
	load_report "logins in a row" "$1" load_in_a_row
}

load_keep_memory()
{
	# What is closing takes some, and goes.
	sleep 5
	load_memory >"$hosts_out/memory.$1"
}
