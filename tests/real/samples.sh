#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# MIT's gss-client and gss-server: samples.sh STAGED BUILD.  The commands of
# doc/programs/gss-samples.md: by OID and by SPNEGO, with and without tokens around the messages,
# many messages, many connections, a server that exports its contexts; each latched, the captures
# judged.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/program.sh"

staged=$1
text="words that nobody else shall read"
total=0

client()
{
	hosts_as alice A bash -c "$(page_commands 'client$' "$1")" >"$hosts_out/client.log" 2>&1
}

# Since the last time the server says: CONNECTIONS latched ones of alice, MESSAGES that are right.
server_has()
{
	tail -n +"$((server_lines + 1))" "$hosts_out/server.log" >"$hosts_out/server.new"
	[ "$(grep -c "^Accepted connection: \"$hosts_user\"" "$hosts_out/server.new")" = "$1" ] &&
		[ "$(grep -cx latched "$hosts_out/server.new")" = "$1" ] &&
		[ "$(grep -c "^Received message: \"$text\"" "$hosts_out/server.new")" = "$2" ]
}

# The client's last word on each message.
client_has()
{
	[ "$(grep -cE '^(Signature verified|Response received)\.' "$hosts_out/client.log")" = "$1" ] &&
		return 0
	tail -n 5 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

# one SECTION CONNECTIONS MESSAGES
one()
{
	server_lines=$(wc -l <"$hosts_out/server.log")
	total=$((total + $2))
	latched_capture
	report "$1: client" client "$1"
	report "$1: all $3 answers" client_has "$3"
	report "$1: the server saw alice latched, and all messages" hosts_wait 5 server_has "$2" "$3"
	latched_judge "$1" "$exchange_port" "$2" "$text"
}

# The page's server command number $1.
serve()
{
	hosts_start server as sample B bash -c "exec $(page_commands 'server$' "Set up" |
		sed -n "$1p")"
	hosts_wait 20 exchange_is_listening || hosts_die "gss-server does not listen"
}

trap hosts_down EXIT
page_open "$here/../../doc/programs/gss-samples.md"
hosts_install "$staged"
hosts_up
latched_brokers
serve 1
one "By OID" 1 20
one "By OID, nothing wrapped" 1 20
one "Many connections" 5 5
one "SPNEGO" 1 1
hosts_stop server
serve 2
one "SPNEGO with this mechanism only" 1 3
one "Many connections" 5 5
report "status of A names the acceptor $total times" latched_peers A "$total" \
	"sample/${hosts_name[B]}"
report "status of B names alice $total times" latched_peers B "$total" "$hosts_user"
report_end
