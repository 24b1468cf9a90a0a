#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Contexts that change their process while the connection is latched: handover.sh STAGED BUILD.
# Debian's gss-server with -export; then a server whose worker takes context and socket over.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

staged=$1
message="said behind a handover"
port=4646

client_succeeded()
{
	[ "$client_status" = 0 ] && grep -q 'Signature verified' "$hosts_out/client.log" &&
		grep -q "Received message: \"$message\"" "$hosts_out/server.log" && return 0
	tail -n 5 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

judge()
{
	"$here/capture.py" --port "$1" --absent "$2" "$hosts_out/$3"
}

server_listens()
{
	hosts_on B ss -Hltn "sport = :$port" | grep -q LISTEN
}

worker_answers()
{
	hosts_as alice A handover.py ask "${hosts_name[B]}" "$port" sample "$message" \
		>"$hosts_out/ask.log" 2>&1 || { cat "$hosts_out/ask.log"; return 1; }
	[ "$(grep -c "^answer: ${message^^}\$" "$hosts_out/ask.log")" = 3 ]
}

# says LOG LINE
says()
{
	grep -qx "$2" "$hosts_out/$1.log" && return 0
	cat "$hosts_out/$1.log"
	return 1
}

worker_is_done()
{
	grep -qx 'answered 3' "$hosts_out/worker.log"
}

trap 'exchange_abort; hosts_down' EXIT
hosts_install "$staged"
hosts_install_programs "$here/handover.py"
hosts_up
hosts_broker A --linger-seconds 3
hosts_broker B --linger-seconds 3

exchange_server_options=(-export)
exchange_begin "$message" || hosts_die "gss-server -export: not latched on both sides"
exchange_finish
client_status=$?
report "gss-server -export: messages arrive behind the handover" client_succeeded
report "gss-server -export: capture of A" judge "$exchange_port" "$message" A.pcap
hosts_stop server

hosts_start worker as sample B handover.py serve "$port" sample
hosts_wait 20 server_listens || hosts_die "the server does not listen"
hosts_capture A "$hosts_out/worker.pcap"
report "a worker answers in place of the server" worker_answers
hosts_wait 5 worker_is_done
sleep 1
hosts_stop tcpdump.A
report "the server was latched" says worker "accepted: $hosts_user latched"
report "the worker's context says so too" says worker "imported: $hosts_user latched"
report "the client was latched" says ask "connected: sample/${hosts_name[B]} latched"
report "a login inside is bound to the channel at the server" says worker "inside: bound already-latched"
report "a login inside is bound to the channel at the client" says ask "inside: bound already-latched"
report "capture of the worker's conversation" judge "$port" "$message" worker.pcap
report_end
