# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Many logins on Apache, for http.sh, to be sourced there:
#
#   load_run CROWD FEW MANY    CROWD clients at once; then FEW logins in a row, and on to MANY, and
#                              what that left in memory beside as many who do not log in
#
# Each login has a connection of its own.  In a row Apache ends one behind its third request, the one
# that T5 comes with.  Every page says who asked; of a crowd's, that the connection was latched too.  In a
# row both sides' configuration requires it, and Apache is not asked for attributes: mod_auth_gssapi
# 1.6.4 frees the list of them never, some 500 octets for each login.

load_port_range="10000 60999"
load_growth_kb=64
load_log=/var/log/apache2/load.log
load_right=0 # pages that load_count found right

# load_configure THREADS KEEP...: two children that stay, so that their memory can be compared, with so
# many threads each: with all of its own busy a child closes connections that wait for their client's
# next request, and one may have accepted nearly all.
load_configure()
{
	{
		cat <<-CONFIG
			ListenBacklog 4096
			StartServers 2
			ServerLimit 2
			ThreadLimit $1
			ThreadsPerChild $1
			MaxRequestWorkers $((2 * $1))
			MinSpareThreads 1
			MaxSpareThreads $((2 * $1))
			MaxConnectionsPerChild 0
			GlobalLog $load_log "%{c}a %{remote}p %u %{IPSEC_LATCH}e"
		CONFIG
		shift
		printf '%s\n' "$@"
	} >/etc/apache2/conf-available/load.conf
	: >"$load_log"
	a2enconf -q load >/dev/null
	# mods-enabled/mpm_*.conf comes before conf-enabled, so these count.
	hosts_on A sysctl -q -w "net.ipv4.ip_local_port_range=$load_port_range"
	hosts_on A sysctl -q -w net.core.somaxconn=1024
	# Apache accepts a connection with its first request (TCP_DEFER_ACCEPT).  Until then it is half open,
	# two of them where curl tried both families; of more than half as many the kernel drops the old ones.
	hosts_on B sysctl -q -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096
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

# What went in the clear, for there are too many packets to keep: of each connection T1 and T2.  In
# frames for the longest of these, lest there be room for few while tcpdump waits for its turn.
load_capture()
{
	http_mark "$load_log"
	hosts_start tcpdump.load A nice -n -20 tcpdump -i wire -U -n -s 8192 -B 65536 --immediate-mode -Z root \
		-w "$hosts_out/load.pcap" 'tcp port 80'
	hosts_wait 10 grep -q 'listening on' "$hosts_out/tcpdump.load.log"
}

# The clients' ends of the connections on which Apache answered T5 by the page: both ends were done
# then, and its own said that this connection is latched, or (-) its configuration requires that.
load_latched()
{
	http_since_mark "$load_log" |
		sed -n "s/ $hosts_user \(latched\|-\)\$//p" >"$hosts_out/load.latched"
}

# Apache writes its log behind the page.
load_is_logged()
{
	load_latched
	[ "$(wc -l <"$hosts_out/load.latched")" -ge "$1" ]
}

# Where pages are missing, the connections of those that came are judged.
load_judge()
{
	local latched=(--latched "$1")

	if [ "$load_right" != "$1" ]; then
		hosts_wait 3 load_is_logged "$load_right"
		latched=(--latched "$load_right" --only "$hosts_out/load.latched")
	fi
	# The last login's segments.
	sleep 0.3
	hosts_stop tcpdump.load || return 1
	"$here/http_capture.py" --clear "${latched[@]}" --absent "$hosts_user" \
		"$hosts_out/load.pcap" && rm "$hosts_out/load.pcap"
}

# load_count NAME WANTED PAGE: pages that are right, and reasons of those that are not.
load_count()
{
	load_right=$(cat "$http_home/$1".page.* | grep -cxF "$3")
	echo "    $1: $load_right of $2 right; refused: $(cat "$http_home/$1".log.* |
		grep -o 'gss_init_sec_context() failed: [^:;]*\|^curl: ([0-9]*).*' | sort | uniq -c | tr -s ' \n' ' ')"
	[ "$load_right" = "$2" ] && [ "$(cat "$http_home/$1".page.* | wc -l)" = "$2" ]
}

# One curl, which asks for one page after the other.
load_in_a_row()
{
	rm -f "$http_home/row".*
	hosts_as alice A bash -c "curl -v --max-time 3000 --negotiate -u : \
		'$private/lean/who.shtml?[1-$1]' 2>&1 >$http_home/row.page.1 |
		grep -F 'failed:' >$http_home/row.log.1"
	load_count row "$1" "$hosts_user (none)"
}

# Keeps one of alice's pipes open until hosts_stop of its name.
load_hold()
{
	hosts_as alice A mkfifo "$http_home/$1"
	hosts_start "$1" as alice A sh -c "exec sleep 3000 <>$http_home/$1"
}

# load_have_open COUNT PIPES: so many processes, those that hold the pipes among them.
load_have_open()
{
	[ "$(find /proc/[0-9]*/fd -lname "$http_home/$2" 2>/dev/null | wc -l)" -ge "$1" ]
}

load_is_over()
{
	hosts_has_ended "${hosts_pid[crowd]}"
}

load_has_failed()
{
	grep -qs 'failed:\|^curl: (' "$http_home"/crowd.log.*
}

# So many latches on both hosts at one time, or never.
load_is_crowded()
{
	hosts_are_established "$1" || load_is_over || load_has_failed
}

# A process for each client, all loaded before one begins: curl reads its options from a pipe.  None
# can end its connection before all are latched: it writes its page to another pipe.
load_start_clients()
{
	local count=$1

	rm -f "$http_home/go" "$http_home"/crowd.* "$http_home/pages"
	load_hold go
	hosts_as alice A mkfifo "$http_home/pages"
	hosts_start crowd as alice A bash -c "cd $http_home
		for i in \$(seq $count); do
			curl -v --max-time 2000 --negotiate -u : -K go \
				-o pages $private/who.shtml?\$i 2>crowd.log.\$i &
		done
		wait"
	hosts_wait 600 load_have_open $((count + 1)) go
}

# The pages of all, who end with that.
load_end_clients()
{
	hosts_start pages as alice A sh -c "exec sleep 3000 <>$http_home/pages"
	hosts_start crowd-pages as alice A sh -c "cat $http_home/pages >$http_home/crowd.page.1"
	hosts_wait 300 load_is_over
	# What is in the pipe is lost with its holder, unless it has a reader by then.
	hosts_wait 60 load_have_open 2 pages
	hosts_stop pages
	hosts_wait 10 hosts_has_ended "${hosts_pid[crowd-pages]}"
	hosts_stop crowd-pages
	hosts_stop crowd
}

load_at_once()
{
	local count=$1 are_latched

	load_start_clients "$count"
	hosts_stop go
	hosts_wait 600 load_is_crowded "$count"
	# The others' answers are of interest too.
	! load_has_failed || hosts_wait 60 hosts_are_established "$count"
	hosts_are_established "$count"
	are_latched=$?
	echo "    crowd: $(hosts_count_established A) and $(hosts_count_established B) latched at once"
	load_end_clients
	load_count crowd "$count" "$hosts_user latched" && [ "$are_latched" = 0 ]
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
	local crowd=$1 few=$2 many=$3 began=$SECONDS host

	[ "$crowd" = 0 ] || {
		load_configure $((crowd + 32)) "KeepAliveTimeout 900" "Timeout 900" \
			"RequestReadTimeout header=0 body=0"
		load_report "clients at once" "$crowd" load_at_once
		echo "    $((SECONDS - began)) s"
	}
	[ "$many" != 0 ] || return 0
	[ "$many" = "$few" ] || heap_watch apache2
	# Few threads, each of which has been busy long before the first look.
	load_configure 8 "MaxKeepAliveRequests 2" \
		"$(http_make_place lean 'Require valid-user' | sed '/NameAttributes/d')"
	for host in A B; do http_configure "$host" -e '$a[gss-ipsec]\n\tlatch = require'; done
	load_row "$few"
	[ "$many" = "$few" ] || {
		load_keep_memory few
		load_row "$((many - few))"
		load_keep_memory many
		load_memory_report "memory after login $few and $many"
		load_baseline "$few" "$many"
	}
	echo "    $((SECONDS - began)) s"
	for host in A B; do http_configure "$host"; done
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
