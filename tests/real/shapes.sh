#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers of every shape, and many connections in one process: shapes.sh STAGED BUILD [long].
# Nobody names a descriptor.  The connection of each login is latched for that login, or for none,
# with a reason; what each end says of each login:
#
#   WHO: REASON ok|failed right|wrong|clear|-
#
# is the context's reason and end, and what the broker says of the connection: latched for this very
# login (right), for another (wrong), not at all (clear).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

port=4949
program=/usr/bin/shapes

server_is_listening()
{
	grep -q '^listening' "$hosts_out/server.log"
}

# attempt SERVER CLIENT COUNT
attempt()
{
	rm -f "$hosts_out/server.log" "$hosts_out/client.log"
	hosts_start server as sample B "$program" server "$1" "$port"
	hosts_wait 10 server_is_listening || hosts_die "the server does not listen"
	hosts_start client as alice A "$program" client "$2" "${hosts_name[B]}" "$port" "$3"
	streams_wait client
	hosts_stop server
	tally | sed 's/^/# /'
}

tally()
{
	cat "$hosts_out/client.log" "$hosts_out/server.log" | grep -E '^(client|server|error):' |
		sort | uniq -c
}

count()
{
	cat "$hosts_out/client.log" "$hosts_out/server.log" | grep -cxE "$1"
}

show()
{
	tally
	tail -n 5 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

# A context that says latched is latched on its own connection; at both ends.
is_never_wrong()
{
	[ "$(count '.*: [a-z-]+ ok (wrong|clear)')" = 0 ] &&
		[ "$(count 'client: .*')" = "$1" ] || show
}

all_right()
{
	is_never_wrong "$1" && [ "$(count 'client: latched ok right')" = "$1" ] &&
		[ "$(count 'server: latched ok right')" = "$1" ] || show
}

# shape NAME SERVER CLIENT COUNT [LOGINS]
shape()
{
	attempt "$2" "$3" "$4"
	report "$1" all_right "${5:-$4}"
}

# Nothing that was said behind a login may be seen on the wire.
nothing_is_clear()
{
	local host

	for host in A B; do
		[ "$(grep -ac hushed- "$hosts_dir/$host.pcap")" = 0 ] || return 1
	done
}

# One login between two programs of these shapes, judged packet by packet.
judged()
{
	streams_capture
	shape "$1 (judged)" "$1" one 1
	streams_capture_end 0.5
	streams_to=$port
	report "$1 (judged): no clear byte behind the tokens" streams_judge
}

# One connection for each client.
many_clients()
{
	shape "20 clients at once, one event loop" loop processes 20
	shape "10 clients at once, a pool of threads" pool processes 10
	shape "6 clients at once, a process for each" fork processes 6
	shape "6 clients at once, inetd" inetd processes 6
	shape "8 clients at once, processes with SO_REUSEPORT" reuseport processes 8
	shape "6 clients at once, tokens handed to a helper" helper processes 6
	shape "4 connections, pre-forked children" prefork turns 4
	shape "4 connections, descriptor passed to a child" passed turns 4
	shape "one process, closed and opened again" loop again 10
}

# Many connections of one client process.
many_connections()
{
	shape "one of ten authenticates" loop one 10 1
	shape "ten, one after the other" threads turns 10
	shape "ten at once in threads, one event loop" loop threads 10
	shape "ten at once in threads, a thread for each" threads threads 10
	shape "ten at once in threads, a pool" pool threads 10
	shape "ten opened in threads, a thread for each" threads threads-open 10
	shape "ten at once in one event loop, one event loop" loop loop 10
	shape "ten at once in one event loop, a thread for each" threads loop 10
}

# Hundreds: figures for doc/programs/servers.md.
long_form()
{
	attempt loop processes 500
	report "500 clients at once, one event loop" is_never_wrong 500
	attempt pool processes 300
	report "300 clients at once, a pool of threads" is_never_wrong 300
	attempt loop again 1000
	report "1000 logins of one process" is_never_wrong 1000
	attempt loop threads 50
	report "50 at once in threads, one event loop" is_never_wrong 50
	attempt threads threads 50
	report "50 at once in threads, a thread for each" is_never_wrong 50
	attempt pool threads 50
	report "50 at once in threads, a pool" is_never_wrong 50
	attempt threads loop 50
	report "50 at once in one event loop" is_never_wrong 50
}

trap 'streams_end' EXIT
ulimit -n 8192
hosts_install_programs "$2/tests/real/shapes"
[ "${3:-}" != long ] || streams_broker_options=(--larval-seconds 600)
streams_up "$1" "$2" 2
sed -i '/services = sample/d' "$hosts_dir/B/gss/ipsec.conf"
streams_snapshot
case ${3:-} in
long)
	long_form
	;;
*,*)
	# What is asked for: SERVER,CLIENT,COUNT...
	for combination in $3; do
		IFS=, read -r server client number <<<"$combination"
		shape "$server server, $client $number" "$server" "$client" "$number"
	done
	;;
*)
	judged helper
	judged pool
	streams_capture
	many_clients
	many_connections
	streams_capture_end 0.5
	report "nothing that was said behind a login is on the wire" nothing_is_clear
	;;
esac
report "nothing left" streams_gone 20
report_end
