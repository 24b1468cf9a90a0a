#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs that ask (examples/): explicit.sh STAGED BUILD.  They name the descriptor, insist on the
# latch, and send plain bytes, which must not be seen on the wire; without a broker on one side they
# must refuse.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

staged=$1
build=$2
text="plain bytes of the echo"
exchange_port=4545

echo_client()
{
	hosts_as alice A echo_client "${hosts_name[B]}" "$exchange_port" sample \
		"$text" >"$hosts_out/echo_client.log" 2>&1
}

echoes()
{
	echo_client && grep -qx "$text" "$hosts_out/echo_client.log" &&
		grep -q '^latch: latched' "$hosts_out/echo_client.log" && return 0
	tail -n 5 "$hosts_out/echo_client.log" "$hosts_out/echo_server.log"
	return 1
}

refuses()
{
	! echo_client && grep -q 'no context' "$hosts_out/echo_client.log" &&
		! grep -qx "$text" "$hosts_out/echo_client.log" && return 0
	tail -n 5 "$hosts_out/echo_client.log" "$hosts_out/echo_server.log"
	return 1
}

trap 'exchange_abort; hosts_down' EXIT
hosts_install "$staged"
hosts_install_programs "$build"/examples/echo_client "$build"/examples/echo_server
hosts_up
hosts_broker A --linger-seconds 3
hosts_broker B --linger-seconds 3
hosts_start echo_server as sample B echo_server "$exchange_port"
hosts_wait 20 exchange_is_listening || hosts_die "echo_server does not listen"
hosts_capture A "$hosts_out/echo.pcap"
report "echo over the latch" echoes
sleep 1
hosts_stop tcpdump.A
report "capture of the echo" "$here/capture.py" --port "$exchange_port" --absent "$text" \
	"$hosts_out/echo.pcap"
hosts_stop gss-ipsecd.B
report "no broker on B: refused, not in the clear" refuses
report_end
