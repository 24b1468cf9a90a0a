# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# One exchange between the two hosts of hosts.sh, to be sourced behind it: Debian's own gss-server
# and gss-client (krb5-gss-samples), unmodified, as ordinary users, captured on both ends.
#
#   exchange_begin MESSAGE [COUNT]  server, captures, client; returns when both sides are latched,
#                                   with the client stopped in the middle
#   exchange_finish                 lets the client go on, waits for it and for the connection's end
#
# exchange_server_options: more for gss-server, none by default.
# Leaves in $hosts_out: A.pcap, B.pcap, status.A, status.B, client.log, server.log.

exchange_port=4444
exchange_server_options=()

exchange_is_listening()
{
	hosts_on B ss -Hltn "sport = :$exchange_port" | grep -q LISTEN
}

# Both sides say "established".  The client is stopped while each is looked at, so that it does not
# finish before both have been asked.
exchange_is_latched()
{
	local pid=${hosts_pid[client]} host
	kill -STOP "$pid" 2>/dev/null || return 1
	for host in A B; do
		if ! hosts_on "$host" gss-ipsec status >"$hosts_out/status.$host" 2>&1 ||
			! grep -qw established "$hosts_out/status.$host"; then
			kill -CONT "$pid"
			return 1
		fi
	done
}

exchange_begin()
{
	local message=$1 count=${2:-30} preload=()

	# A sanitized plugin wants its runtime loaded before the program that does not know it.
	[ -z "${HOSTS_PRELOAD:-}" ] || preload=(env "LD_PRELOAD=$HOSTS_PRELOAD")
	hosts_start server as sample B "${preload[@]}" gss-server -port "$exchange_port" \
		"${exchange_server_options[@]}" sample
	hosts_wait 20 exchange_is_listening || hosts_die "gss-server does not listen"
	hosts_capture A "$hosts_out/A.pcap"
	hosts_capture B "$hosts_out/B.pcap"
	hosts_start client as alice A "${preload[@]}" gss-client -port "$exchange_port" \
		-mech "$hosts_mech" -mcount "$count" "${hosts_name[B]}" "sample@${hosts_name[B]}" \
		"$message"
	hosts_wait "${EXCHANGE_SECONDS:-20}" exchange_is_latched
}

exchange_finish()
{
	local pid=${hosts_pid[client]} status

	kill -CONT "$pid"
	wait "$pid"
	status=$?
	# A wait that told of the stop is no end.
	while [ "$status" -gt 128 ] && ! hosts_has_ended "$pid"; do
		wait "$pid"
		status=$?
	done
	unset 'hosts_pid[client]'
	# The close's last segments, TIME_WAIT's answers too.
	sleep 2
	hosts_stop tcpdump.A
	hosts_stop tcpdump.B
	return "$status"
}

# Ends what is left of an exchange that failed.
exchange_abort()
{
	[ -z "${hosts_pid[client]:-}" ] || kill -CONT "${hosts_pid[client]}" 2>/dev/null
	hosts_stop client
	hosts_stop tcpdump.A
	hosts_stop tcpdump.B
}
