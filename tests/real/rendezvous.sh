#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A rendezvous that must not be fooled: rendezvous.sh STAGED BUILD.  The connection that carries the
# tokens is latched, or none is, with a reason; never another one.  What each end says:
#
#   result WHO: REASON ok|failed latched|clear OTHERS
#
# is the context's reason and end, whether the tokens' connection bears a recorder, and how many
# other connections of that process do.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

port=4848
program=/usr/bin/rendezvous
client_host=A
client_as=alice
server_name=${hosts_name[B]}

# Another user's key, for contexts of two names in one process.
rendezvous_bob()
{
	gss-ipsec keygen --out "$hosts_dir/A/gss/bob.pem" >"$hosts_dir/bob.public" ||
		hosts_die "no key for bob"
	chown "${hosts_uid[alice]}" "$hosts_dir/A/gss/bob.pem"
	cat >>"$hosts_dir/A/gss/ipsec.conf" <<-CONFIG
		[identity]
			bob = {
				key = /etc/gss/bob.pem
				user = bob@example.org
			}
	CONFIG
	cat >>"$hosts_dir/B/gss/ipsec.conf" <<-CONFIG
		[peer]
			bob = {
				user = bob@example.org
				key = $(hosts_fingerprint bob)
			}
	CONFIG
}

# A client on B, where the server is: alice's key and entries there too.
rendezvous_same_host()
{
	install -o "${hosts_uid[sample]}" -m 600 "$hosts_dir/A/gss/alice.pem" \
		"$hosts_dir/B/gss/alice.pem"
	cat >>"$hosts_dir/B/gss/ipsec.conf" <<-CONFIG
		[identity]
			alice = {
				key = /etc/gss/alice.pem
				user = $hosts_user
			}
		[peer]
			host-b = {
				host = ${hosts_name[B]}
				key = $(hosts_fingerprint sample)
			}
	CONFIG
}

server_is_listening()
{
	grep -q '^listening' "$hosts_out/server.log"
}

# attempt SERVER_SCENARIO CLIENT_SCENARIO LATCH [CONNECTIONS]
attempt()
{
	rm -f "$hosts_out/server.log" "$hosts_out/client.log"
	hosts_start server as sample B env "RENDEZVOUS_PIPES=$hosts_dir/pipes" "$program" server "$1" \
		"$port" "$3" "${4:-1}"
	hosts_wait 10 server_is_listening || hosts_die "the server does not listen"
	hosts_start client as "$client_as" "$client_host" env "RENDEZVOUS_PIPES=$hosts_dir/pipes" \
		"${client_prefix[@]}" "$program" client "$2" "$server_name" \
		"${client_port:-$port}" "$3"
	streams_wait client server
}
client_prefix=()

results()
{
	cat "$hosts_out/client.log" "$hosts_out/server.log" | sed -n 's/^result //p' | sort
}

# Exactly these lines, each a pattern, in any order.
says()
{
	local count=$#

	results >"$hosts_out/results"
	if [ "$(wc -l <"$hosts_out/results")" = "$count" ]; then
		while [ $# -gt 0 ]; do
			grep -qxE "$1" "$hosts_out/results" || break
			shift
		done
		[ $# -gt 0 ] || return 0
	fi
	cat "$hosts_out/results" "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

# rendezvous NAME SERVER CLIENT LATCH CONNECTIONS LINE...
rendezvous()
{
	local name="$1 ($4)"

	attempt "$2" "$3" "$4" "$5"
	report "$name" says "${@:6}"
}

both_latched=("client: latched ok latched 0" "server: latched ok latched 0")

# No line may tell of another connection's latch, or of a context that says latched on a clear one.
never_wrong()
{
	results >"$hosts_out/results"
	! grep -E ' latched ok clear | [1-9][0-9]*$' "$hosts_out/results" &&
		[ "$(grep -c 'client:' "$hosts_out/results")" = "$1" ] && return 0
	cat "$hosts_out/results" "$hosts_out/client.log"
	return 1
}

# The connections of the others are latched, or being latched, too: only what is said of the own counts.
never_clear()
{
	results >"$hosts_out/results"
	! grep -E ' latched ok clear ' "$hosts_out/results" &&
		[ "$(grep -c 'client:' "$hosts_out/results")" = "$1" ] && return 0
	cat "$hosts_out/results" "$hosts_out/client.log"
	return 1
}

case_many()
{
	rendezvous "one of ten connections" thread tenth require 10 "${both_latched[@]}"
	rendezvous "a server that reads slowly" slow plain require 1 "${both_latched[@]}"
	rendezvous "a server that peeks" peek plain require 1 "${both_latched[@]}"
	rendezvous "one of ten, a server that peeks" peek tenth require 10 "${both_latched[@]}"
}

case_busy()
{
	local latch

	for latch in auto yes; do
		attempt thread busy "$latch" 3
		report "a busy connection beside it ($latch): never that one" never_wrong 1
		report "a busy connection beside it ($latch): it goes on" pump_is_well
		results | sed 's/^/# /'
	done
	rendezvous "a busy connection beside a named one" thread busy-named require 3 \
		"${both_latched[@]}"
}

pump_is_well()
{
	! grep -q 'pump stopped' "$hosts_out/client.log" && return 0
	cat "$hosts_out/client.log"
	return 1
}

case_threads()
{
	local latch

	for latch in auto yes; do
		attempt thread threads "$latch" 10
		report "ten at once ($latch): never a wrong one" never_clear 10
		results | uniq -c | sed 's/^/# /'
	done
	attempt thread threads-named require 10
	report "ten named ones at once (require): all" all_latched 10
}

all_latched()
{
	[ "$(results | grep -c 'client: latched ok latched')" = "$1" ] &&
		[ "$(results | grep -c 'server: latched ok latched')" = "$1" ] && return 0
	results
	return 1
}

case_late()
{
	local latch

	rendezvous "connected after T1" thread late auto 1 "client: none ok clear 0" \
		"server: none ok clear 0"
	rendezvous "connected after T1" thread late yes 1 "client: none failed clear 0" \
		"server: none failed clear 0"
	for latch in auto yes; do
		attempt thread late-busy "$latch" 3
		report "connected after T1, a busy one before ($latch): never that one" never_wrong 1
		report "connected after T1, a busy one before ($latch): it goes on" pump_is_well
		results | sed 's/^/# /'
	done
	rendezvous "the wrong one named" thread wrong-named auto 2 "client: traffic ok clear 0" \
		"server: traffic ok clear 0"
	rendezvous "the wrong one named" thread wrong-named yes 2 "client: traffic failed clear 0" \
		"server: traffic failed clear 0"
	rendezvous "back over another connection" cross cross auto 2 "client: traffic ok clear 0" \
		"server: traffic ok clear 0"
	rendezvous "back over another connection" cross cross yes 2 \
		"client: traffic failed clear 0" "server: traffic failed (clear|latched) 0"
}

case_descriptors()
{
	rendezvous "number used again" thread swap require 2 "${both_latched[@]}"
	rendezvous "number used again behind T3" thread swap-late auto 2 \
		"client: socket-gone failed [a-z]* 0" "server: latched ok latched 0"
	rendezvous "all closed, the connection is 0" thread close-all require 2 \
		"${both_latched[@]}"
	rendezvous "inetd" inetd plain require 1 "${both_latched[@]}"
	rendezvous "5000 descriptors" thread descriptors auto 1 "client: too-many ok clear 0" \
		"server: too-many ok clear 0"
	rendezvous "5000 descriptors" thread descriptors yes 1 "client: too-many failed clear 0" \
		"server: too-many failed clear 0"
	rendezvous "5000 descriptors, one named" thread descriptors-named require 1 \
		"${both_latched[@]}"
}

case_processes()
{
	rendezvous "the server's child goes on" child plain require 1 "${both_latched[@]}"
	rendezvous "the client's child goes on" thread fork require 1 "${both_latched[@]}"
	rendezvous "both go on" thread fork-both auto 1 "client: latched ok latched 0" \
		"server: latched ok latched 0" "parent: (already-latched|socket-gone) .*"
	rendezvous "another process writes meanwhile" thread writer require 1 "${both_latched[@]}"
	rendezvous "four processes on one port" shared plain require 1 "${both_latched[@]}"
}

case_contexts()
{
	rendezvous "a second context of the same peers" thread again yes 1 "${both_latched[@]}" \
		"second: already-latched ok latched 0" "second: already-latched ok latched 0"
	rendezvous "a second context of the same peers" thread again require 1 \
		"${both_latched[@]}" "second: already-latched failed latched 0"
	rendezvous "a second context of another user" thread again-other yes 1 \
		"${both_latched[@]}" "second: already-latched failed latched 0" \
		"second: already-latched failed latched 0"
	rendezvous "a second context of another user" thread again-other auto 1 \
		"${both_latched[@]}" "second: already-latched ok latched 0" \
		"second: already-latched ok latched 0"
	rendezvous "a second context meanwhile" thread during yes 1 "${both_latched[@]}" \
		"second: already-latched failed latched 0" \
		"second: already-latched failed latched 0"
}

case_elsewhere()
{
	mkdir -p "$hosts_dir/pipes"
	mkfifo "$hosts_dir/pipes/up" "$hosts_dir/pipes/down"
	chmod -R a+rwX "$hosts_dir/pipes"
	rendezvous "tokens over pipes beside a connection" pipes pipes yes 1 \
		"client: traffic ok clear 0" "server: traffic ok clear 0"
	rendezvous "tokens over pipes beside a connection" pipes pipes require 1 \
		"client: traffic failed clear 0" "server: traffic failed clear [01]"
	hosts_start relay B /usr/bin/python3 "$here/relay.py" 4949 127.0.0.1 "$port"
	hosts_wait 10 grep -q listening "$hosts_out/relay.log"
	client_port=4949
	rendezvous "through a proxy" thread plain auto 1 "client: none ok clear 0" \
		"server: none ok clear 0"
	rendezvous "through a proxy" thread plain yes 1 "client: none failed clear 0" \
		"server: none failed clear 0"
	client_port=
	hosts_stop relay
	rendezvous "through a proxy in the server's process" proxy plain require 1 \
		"client: latched ok latched 0" "server: latched ok clear 1"
}

case_no_proc()
{
	client_prefix=()
	client_host=A
	attempt_without_proc plain auto
	report "without /proc (auto)" says "client: no-proc ok clear 0" "server: no-proc ok clear 0"
	attempt_without_proc plain yes
	report "without /proc (yes)" says "client: no-proc failed clear 0" \
		"server: no-proc failed clear 0"
	attempt_without_proc named require
	report "without /proc, named (require)" says "${both_latched[@]}"
}

attempt_without_proc()
{
	rm -f "$hosts_out/server.log" "$hosts_out/client.log"
	hosts_start server as sample B "$program" server thread "$port" "$2" 1
	hosts_wait 10 server_is_listening || hosts_die "the server does not listen"
	hosts_start client A unshare --mount sh -c "umount -l /proc; exec setpriv \
		--reuid ${hosts_uid[alice]} --regid ${hosts_uid[alice]} --clear-groups \
		--inh-caps=-all $program client $1 $server_name $port $2"
	streams_wait client server
}

# A peer that lies about which connection it is: not the one that carries its tokens, but another
# client's (the initiator), or another one of the client's (the acceptor), idle or busy.
case_liars()
{
	local latch

	for latch in auto require; do
		liar_initiator idle "$latch"
		report "another client's connection listed, idle ($latch): refused" \
			says "server: traffic failed clear [01]"
		report "another client's connection listed, idle ($latch): it goes on" victim_is_well
		liar_initiator busy "$latch"
		report "another client's connection listed, busy ($latch): refused" \
			says "server: (short|traffic) failed clear [01]"
		report "another client's connection listed, busy ($latch): it goes on" victim_is_well
	done
	# One that has named it and then says nothing: the victim's own login finds it reserved.
	for latch in yes require; do
		liar_initiator hold "$latch"
		report "another client's connection listed and held ($latch): that client logs in" \
			says "server: latched ok latched 0"
		report "another client's connection listed and held ($latch): latched" victim_is_well
	done
	liar_acceptor two auto
	report "another connection of the client named, idle (auto)" says "client: traffic ok clear 0"
	liar_acceptor two yes
	report "another connection of the client named, idle (yes)" \
		says "client: traffic failed clear 0"
	liar_acceptor two-busy auto
	# Where it was not busy enough between T1 and T2 that shows at once, and nothing is latched.
	report "another connection of the client named, busy: refused" \
		says "client: ((short|traffic) failed|traffic ok) clear [01]"
	report "another connection of the client named, busy: it goes on" pump_is_well
}

victim_is_well()
{
	grep -q '^victim is well' "$hosts_out/client.log" && return 0
	cat "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

liar_initiator()
{
	rm -f "$hosts_out/server.log" "$hosts_out/client.log"
	hosts_start server as sample B "$program" server thread "$port" "$2" 2
	hosts_wait 10 server_is_listening || hosts_die "the server does not listen"
	hosts_start client as alice A rendezvous_liar client "${hosts_name[B]}" "$port" "$1"
	streams_wait client server
}

liar_acceptor()
{
	rm -f "$hosts_out/server.log" "$hosts_out/client.log"
	hosts_start server as sample B rendezvous_liar server "$port"
	hosts_wait 10 server_is_listening || hosts_die "the server does not listen"
	hosts_start client as alice A "$program" client "$1" "$server_name" "$port" "$2"
	streams_wait client server
}

case_one_host()
{
	local address

	for address in "${hosts_address[B]}" 127.0.0.1; do
		hosts_on B sh -c "grep -v '${hosts_name[B]}' /etc/hosts >/run/hosts.new
			echo '$address ${hosts_name[B]}' >>/run/hosts.new; cat /run/hosts.new >/etc/hosts"
		rm -f "$hosts_out/client.log" "$hosts_out/server.log"
		: >"$hosts_out/server.log"
		hosts_start client as sample B env RENDEZVOUS_IDENTITY=alice "$program" both "${hosts_name[B]}" "$port" require
		streams_wait client
		report "one process is both, over $address" says "client: latched ok latched 1" \
			"server: latched ok latched 1"
		client_host=B client_as=sample client_prefix=(env RENDEZVOUS_IDENTITY=alice)
		rendezvous "both on one host, over $address" thread plain require 1 \
			"${both_latched[@]}"
		client_host=A client_as=alice client_prefix=()
		streams_gone 20 >/dev/null
	done
}

trap 'hosts_stop relay; streams_end' EXIT
ulimit -n 8192
hosts_install_programs "$2/tests/real/rendezvous" "$2/tests/real/rendezvous_liar"
streams_up "$1" "$2" 2
rendezvous_bob
streams_snapshot
case_many
case_busy
case_threads
case_late
case_descriptors
case_processes
case_contexts
case_elsewhere
case_no_proc
case_liars
rendezvous_same_host
case_one_host
report "nothing left" streams_gone 20
report_end
