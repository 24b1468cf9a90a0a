#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Cyrus SASL: Debian's samples through pipes, and programs over TCP, latched, with channel bindings
# and demands of strength: sasl.sh STAGED BUILD.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"
. "$here/page.sh"

hosts_name=([A]=client.example.org [B]=server.example.org)
staged=$1
exchange_port=4747
sample_server="sasl-sample-server -s sample -d server.example.org -m"
sample_client="sasl-sample-client -s sample -n server.example.org"
sample_client+=" -a alice@example.org -u alice@example.org -m"

# What hosts_as runs, as one shell command.
command_as()
{
	hosts_enter as "$@"
	printf '%q ' "${hosts_command[@]}"
}

# samples MECHANISM [MORE_OF_THE_SERVER [OF_THE_CLIENT]]
samples()
{
	local mechanism=$1

	page_command 'server$' "$sample_server $mechanism"
	page_command 'client$' "$sample_client $mechanism"
	sasl_hands.py "$(command_as sample B sh -c "exec $sample_server $mechanism ${2:-}")" \
		"$(command_as alice A sh -c "exec $sample_client $mechanism ${3:-}")" \
		>"$hosts_out/samples.log" 2>&1
}

# samples_log_in SSF MECHANISM...
samples_log_in()
{
	local ssf=$1
	shift
	samples "$@" && grep -qx 'server: Username: alice@example.org' "$hosts_out/samples.log" &&
		grep -qx "server: SSF: $ssf" "$hosts_out/samples.log" &&
		grep -q "recieved decoded message 'client message 1'" "$hosts_out/samples.log" && return 0
	cat "$hosts_out/samples.log"
	return 1
}

# samples_fail TEXT MECHANISM...
samples_fail()
{
	local text=$1
	shift
	! samples "$@" && grep -qF -- "$text" "$hosts_out/samples.log" && return 0
	cat "$hosts_out/samples.log"
	return 1
}

is_unlatched()
{
	[ "$(hosts_count_xfrm A) $(hosts_count_xfrm B)" = "0 0 0 0" ] &&
		! grep -q '^latched' "$hosts_out"/gss-ipsecd.?.log
}

server_listens()
{
	hosts_on B ss -Hltn "sport = :$exchange_port" | grep -q LISTEN
}

# serve OPTIONS...: the server anew, with these
serve()
{
	hosts_stop serve
	hosts_start serve as sample B sasl_program.py serve "$exchange_port" sample server.example.org "$@"
	hosts_wait 20 server_listens || hosts_die "sasl_program does not listen"
}

# ask LINE OPTIONS...: one login; LINE is what comes of it
ask()
{
	local line=$1
	shift
	hosts_as alice A timeout 30 sasl_program.py ask server.example.org "$exchange_port" sample \
		alice@example.org "$@" >"$hosts_out/ask.log" 2>&1
	says ask "$line"
}

says()
{
	grep -qF -- "$2" "$hosts_out/$1.log" && return 0
	cat "$hosts_out/$1.log"
	return 1
}

# What the server logs of a refusal: the sentence of doc/errors.md for different bindings.
server_logs_bindings()
{
	says serve "log: GS2 Error: " && says serve "the channel bindings of the two programs differ"
}

status_names()
{
	grep -qw established "$hosts_out/status.$1" && grep -qF "$2" "$hosts_out/status.$1"
}

judge()
{
	"$here/capture.py" --port "$exchange_port" --absent "said behind the login" \
		--absent "SAID BEHIND THE LOGIN" "$hosts_out/$1.pcap"
}

# One login as it should be, both ends asked while it lasts, and on the wire.
bound_and_latched()
{
	serve --binding "one channel" --critical
	hosts_capture A "$hosts_out/A.pcap"
	hosts_capture B "$hosts_out/B.pcap"
	hosts_start client as alice A sasl_program.py ask server.example.org "$exchange_port" sample \
		alice@example.org --binding "one channel" --critical --hold 4
	report "PLUS: latched on both sides" hosts_wait "${EXCHANGE_SECONDS:-20}" exchange_is_latched
	report "PLUS: status of A" status_names A sample/server.example.org
	report "PLUS: status of B" status_names B alice@example.org
	exchange_finish
	report "PLUS: the client ends well" [ $? = 0 ]
	report "PLUS: offered" says client "offered: GS2-63L22ULZSVD-PLUS"
	report "PLUS: logged in" says client "logged in: GS2-63L22ULZSVD ssf 0"
	report "PLUS: answer" says client "answer: SAID BEHIND THE LOGIN"
	report "PLUS: the server says who" says serve \
		"accepted: alice@example.org GS2-63L22ULZSVD ssf 0"
	report "PLUS: capture of A" judge A
	report "PLUS: capture of B" judge B
}

bindings()
{
	report "PLUS, another channel: refused" ask "refused: the other side has closed" \
		--binding "another channel" --critical
	report "PLUS, another channel: the server says why" server_logs_bindings
	report "server insists, client has none: nothing in common" ask "refused: -4 "
	serve --binding "one channel"
	report "server has one, client none: plain" ask "logged in: GS2-63L22ULZSVD ssf 0"
	report "server has one, client too: PLUS" ask "logged in: GS2-63L22ULZSVD ssf 0" \
		--binding "one channel"
	serve
	report "client has one, server none: plain" ask "logged in: GS2-63L22ULZSVD ssf 0" \
		--binding "one channel"
	report "client insists, server has none: refused" ask "refused: " \
		--binding "one channel" --critical
}

strength()
{
	report "GS2, minssf 1: no mechanism" ask "refused: -4 " --minssf 1
	report "GS2, minssf 256, 256 of them external" ask "logged in: GS2-63L22ULZSVD ssf 0" \
		--minssf 256 --external 256
	report "GSS-SPNEGO, minssf 256" ask "logged in: GSS-SPNEGO ssf 256" --minssf 256 \
		--mechanisms GSS-SPNEGO
	report "GSS-SPNEGO: its layer carries" says ask "answer: SAID BEHIND THE LOGIN"
}

trap 'exchange_abort; hosts_down' EXIT
page_open "$here/../../doc/programs/sasl.md"
hosts_install "$staged"
hosts_install_programs "$here/sasl_program.py" "$here/sasl_hands.py"
hosts_up
hosts_broker A --linger-seconds 3
hosts_broker B --linger-seconds 3
report "samples, GS2" samples_log_in 0 GS2-63L22ULZSVD
report "samples, GS2, server sends last" samples_log_in 0 GS2-63L22ULZSVD -l -l
report "samples, GSS-SPNEGO" samples_log_in 256 GSS-SPNEGO
report "samples, GSS-SPNEGO, at least 256" samples_log_in 256 GSS-SPNEGO "-b min=256" "-b min=256"
report "samples, GSS-SPNEGO, at most 0: 256 all the same" samples_log_in 256 GSS-SPNEGO \
	"" "-b max=0"
report "samples, GS2, at least 1: none" samples_fail "no mechanism available" \
	GS2-63L22ULZSVD "" "-b min=1"
report "samples, GS2, at least 1, external" samples_log_in 0 GS2-63L22ULZSVD "" \
	"-b min=1 -e ssf=256"
report "nothing was latched" is_unlatched
bound_and_latched
bindings
strength
printf '[gss-ipsec]\n\tlatch = require\n' >>"$hosts_dir/B/gss/ipsec.conf"
report "samples, latch = require: refused" samples_fail "no connection joins the two processes" \
	GS2-63L22ULZSVD
report_end
