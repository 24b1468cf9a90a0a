#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every reason not to latch that can be made to happen: reasons.sh STAGED BUILD.  The one side says
# it, the other hears it, the broker logs it where the broker was asked; under "auto" the context
# completes without a latch, under "require" it never does.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

client_options=()
server_options=()

# attempt POLICY: one login and a short transfer; waits for both ends.
attempt()
{
	streams_server --timeout 6 --latch "$1" --send 10000 "${server_options[@]}"
	streams_client --timeout 6 --latch "$1" --send 10000 "${client_options[@]}"
	streams_wait client server
}

show_attempt()
{
	echo "client ${streams_status[client]}, server ${streams_status[server]}"
	tail -n 6 "$hosts_out/client.log" "$hosts_out/server.log"
	return 1
}

completes_with()
{
	[ "${streams_status[client]} ${streams_status[server]}" = "0 0" ] &&
		[ "$(streams_reason client)" = "$1" ] && [ "$(streams_reason server)" = "$2" ] ||
		show_attempt
}

# An empty word: that side hears nothing, since no token ever reaches it.
fails_with()
{
	[ "${streams_status[client]}" != 0 ] && [ "${streams_status[server]}" != 0 ] &&
		[ "$(streams_reason client)" = "$1" ] && [ "$(streams_reason server)" = "$2" ] &&
		! grep -q '^transfer' "$hosts_out/client.log" || show_attempt
}

log_says()
{
	grep -qw -e "$2" "$hosts_out/gss-ipsecd.$1.log" && return 0
	tail -n 5 "$hosts_out/gss-ipsecd.$1.log"
	return 1
}

# The sentence with which HOST's broker refused for that word stands in what both programs were told
# by gss_display_status: on the broker's own side as it is, on the other behind "the peer says".
log_and_status_agree()
{
	local sentence

	sentence=$(sed -n "s/.*refused .*: $2: //p" "$hosts_out/gss-ipsecd.$1.log" | tail -n 1)
	[ -n "$sentence" ] && grep -qF -e "$sentence" "$hosts_out/client.log" &&
		grep -qF -e "$sentence" "$hosts_out/server.log" && return 0
	printf '%s\n' "log of $1: $sentence"
	show_attempt
}

# reason NAME CLIENT_WORD SERVER_WORD CLIENT_FAILS_WITH SERVER_FAILS_WITH [LOG_HOST LOG_WORD]
reason()
{
	local name=$1

	attempt auto
	report "$name: auto completes with it" completes_with "$2" "$3"
	attempt require
	report "$name: require fails with it" fails_with "$4" "$5"
	[ $# -ge 7 ] || return 0
	report "$name: log of $6" log_says "$6" "$7"
	report "$name: gss_display_status says what the log of $6 says" log_and_status_agree "$6" "$7"
}

# broker HOST [OPTS...]: another one in place of HOST's; broker_under HOST CMD... within CMD.
broker()
{
	hosts_stop "gss-ipsecd.$1"
	hosts_on "$1" rm -f /run/gss-ipsec/broker.sock
	hosts_broker "$1" --linger-seconds "$streams_linger" "${@:2}"
}

broker_under()
{
	local host=$1
	shift

	hosts_stop "gss-ipsecd.$host"
	hosts_on "$host" rm -f /run/gss-ipsec/broker.sock
	hosts_start "gss-ipsecd.$host" "$host" "$@" gss-ipsecd --linger-seconds "$streams_linger"
	hosts_wait 10 grep -q "gss-ipsecd serves" "$hosts_out/gss-ipsecd.$host.log"
}

reset_options()
{
	client_options=()
	server_options=()
}

# Two programs behind a relay share no connection, yet each holds one that carried the tokens.
reasons_relay()
{
	hosts_start relay B /usr/bin/python3 "$here/relay.py" 4747 127.0.0.1 "$streams_port"
	hosts_wait 10 grep -q listening "$hosts_out/relay.log"
	streams_to=4747
	reason "relay" none none none none
	attempt yes
	report "relay: yes fails with it" fails_with none none
	streams_to=
	hosts_stop relay
}

reasons_sockets()
{
	client_options=(--descriptor --name-input)
	reason "no socket, but named" not-tcp not-tcp not-tcp ""
	client_options=(--ulp)
	reason "kTLS at the client" ulp ulp ulp ""
	reset_options
	server_options=(--ulp)
	reason "kTLS at the server" ulp ulp ulp ulp
	reset_options
	streams_filters=1
	client_options=(--own-filter)
	reason "filter of the client" has-filter has-filter has-filter ""
	reset_options
	server_options=(--own-filter)
	reason "filter of the server" has-filter has-filter has-filter has-filter
	streams_filters=
}

reasons_again()
{
	client_options=(--login-twice)
	server_options=(--login-twice)
	attempt yes
	report "second context: yes completes" completes_with already-latched already-latched
	attempt auto
	report "second context: auto completes" completes_with already-latched already-latched
	report "second context: the first is latched" grep -q '^reason: 0 latched' \
		"$hosts_out/client.log"
	attempt require
	report "second context: require fails" fails_with already-latched latched
	reset_options
}

reasons_policy()
{
	streams_server --timeout 6 --latch no --send 1000
	streams_client --timeout 6 --latch auto --send 1000
	streams_wait client server
	report "policy no at the server: told" completes_with policy-no policy-no
	streams_server --timeout 6 --latch auto --send 1000
	streams_client --timeout 6 --latch no --send 1000
	streams_wait client server
	report "policy no at the client: told" completes_with policy-no policy-no
}

# A policy of the host's own for these addresses; "use" lets packets pass without an SA.
reasons_prescribed()
{
	local selector=(src "${hosts_address[B]}/32" dst "${hosts_address[A]}/32" dir in)

	hosts_on A ip xfrm policy add "${selector[@]}" tmpl proto esp reqid 77 mode transport \
		level use
	reason "prescribed at A" prescribed prescribed prescribed prescribed A prescribed
	hosts_on A ip xfrm policy delete "${selector[@]}"
	selector=(src "${hosts_address[B]}/32" dst "${hosts_address[A]}/32" dir out)
	hosts_on B ip xfrm policy add "${selector[@]}" tmpl proto esp reqid 77 mode transport \
		level use
	reason "prescribed at B" prescribed prescribed prescribed prescribed B prescribed
	hosts_on B ip xfrm policy delete "${selector[@]}"
	selector=(src "${hosts_address[A]}/32" dst "${hosts_address[B]}/32" dir out)
	hosts_on A ip xfrm policy add "${selector[@]}"
	reason "let pass before any cover" prescribed prescribed prescribed prescribed A prescribed
	hosts_on A ip xfrm policy delete "${selector[@]}"
	hosts_on A ip xfrm policy add "${selector[@]}" priority 5 tmpl proto esp reqid 77 mode transport level use
	hosts_on A ip xfrm policy add dev lo "${selector[@]}" priority 3
	reason "prescribed behind an entry for a device" prescribed prescribed prescribed prescribed A prescribed
	hosts_on A ip xfrm policy delete dev lo "${selector[@]}"
	hosts_on A ip xfrm policy delete "${selector[@]}"
}

is_closing()
{
	hosts_on A gss-ipsec status | grep -c closing | grep -qx "$1" && return 0
	hosts_on A gss-ipsec status
	return 1
}

# What is over does not count, but three of four of all are what one user may have of it.
reasons_quota_closing()
{
	local over

	for over in 1 2; do
		hosts_wait 10 is_closing "$over" >"$hosts_out/closing.log"
		report "quota of A: $over over and kept" is_closing "$over"
		attempt require
		report "quota of A: one more" completes_with latched latched
	done
	hosts_wait 10 is_closing 3 >"$hosts_out/closing.log"
	attempt require
	report "quota of A: three over and kept, a fourth is refused" fails_with quota quota
}

reasons_quota()
{
	broker A --quota-user 1 --quota-total 4 --linger-seconds 60
	hosts_start holder_server as sample B "$streams_program" server 4647
	hosts_wait 10 grep -q listening "$hosts_out/holder_server.log"
	hosts_start holder as alice A "$streams_program" client "${hosts_name[B]}" 4647 sample \
		--idle-ms 60000
	streams_said holder "login ok"
	reason "quota of A" quota quota quota quota A quota
	hosts_stop holder
	hosts_stop holder_server
	reasons_quota_closing
	broker A
}

reasons_no_broker()
{
	hosts_stop gss-ipsecd.A
	reason "no broker on A" no-broker no-broker no-broker no-broker
	attempt yes
	report "no broker on A: yes fails" fails_with no-broker no-broker
	hosts_broker A --linger-seconds "$streams_linger"
	hosts_stop gss-ipsecd.B
	reason "no broker on B" no-broker no-broker no-broker no-broker
	attempt yes
	report "no broker on B: yes fails" fails_with no-broker no-broker
	hosts_broker B --linger-seconds "$streams_linger"
}

reasons_no_bpf()
{
	broker_under B /usr/bin/python3 "$here/without_bpf.py"
	reason "no eBPF on B" no-bpf no-bpf no-bpf no-bpf B no-bpf
	broker B
}

reasons_modules()
{
	local loader

	modprobe esp4_offload || return 0
	reason "offload" offload offload offload offload B offload
	modprobe -r esp4_offload
	streams_gone 20 >/dev/null
	loader=$(sysctl -n kernel.modprobe)
	report "esp4 can be unloaded" modprobe -r esp4
	sysctl -qw kernel.modprobe=/bin/false
	reason "no esp4" no-esp no-esp no-esp no-esp B no-esp
	sysctl -qw kernel.modprobe="$loader"
	modprobe esp4
}

trap 'hosts_stop relay; hosts_stop holder; hosts_stop holder_server; streams_end' EXIT
streams_up "$1" "$2" 2
streams_snapshot
attempt require
report "nothing in the way: latched" completes_with latched latched
reasons_relay
reasons_sockets
reasons_again
reasons_policy
reasons_prescribed
reasons_quota
reasons_no_broker
reasons_no_bpf
[ "${GUEST_KIND:-native}" = native ] || reasons_modules
report "nothing left" streams_gone 20
report_end
