#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The whole thing once, in a guest: first_light.sh STAGED BUILD [LINGER_SECONDS | default].
# Unmodified gss-client and gss-server on two hosts; both sides latched; the captures judged; and
# when the lingering time is over, nothing of ours left in either kernel.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

staged=$1
linger=${3:-3}
message="first light over the wire"
broker_options=(--linger-seconds "$linger")
if [ "$linger" = default ]; then
	broker_options=()
	linger=120
fi

judge()
{
	"$here/capture.py" --port "$exchange_port" --absent "$message" "$hosts_out/$1.pcap"
}

client_succeeded()
{
	[ "$client_status" = 0 ] && grep -q 'Signature verified' "$hosts_out/client.log" && return 0
	tail -n 5 "$hosts_out/client.log"
	return 1
}

status_names()
{
	grep -q "$2" "$hosts_out/status.$1" || { cat "$hosts_out/status.$1"; return 1; }
}

is_clean()
{
	[ "$(hosts_count_xfrm "$1")" = "0 0" ]
}

nothing_is_left()
{
	hosts_wait $((linger + 15)) is_clean "$1" && return 0
	hosts_on "$1" ip xfrm state | sed 's/0x[0-9a-f]\{40,\}/(key)/'
	hosts_on "$1" ip xfrm policy
	hosts_on "$1" gss-ipsec status
	return 1
}

status_is_empty()
{
	! hosts_on "$1" gss-ipsec status 2>&1 | grep -E 'established|closing|larval|broken|failed'
}

# SAs must outlive the socket for the lingering time: TIME_WAIT's segments are still to come.
lingers()
{
	[ "$(hosts_count_xfrm "$1")" != "0 0" ]
}

trap 'exchange_abort; hosts_down' EXIT
hosts_install "$staged"
hosts_up
hosts_broker A "${broker_options[@]}"
hosts_broker B "${broker_options[@]}"
if ! exchange_begin "$message"; then
	echo "FAIL both sides latched"
	tail -v -n 5 "$hosts_out"/*.log "$hosts_out"/status.*
	exit 1
fi
echo "ok both sides latched"
report "status of A names the acceptor" status_names A "sample/${hosts_name[B]}"
report "status of B names the initiator" status_names B "$hosts_user"
exchange_finish
client_status=$?
report "the messages arrive" client_succeeded
report "capture of A" judge A
report "capture of B" judge B
[ "$linger" -lt 10 ] || report "A lingers" lingers A
[ "$linger" -lt 10 ] || report "B lingers" lingers B
report "nothing left on A after $linger s" nothing_is_left A
report "nothing left on B after $linger s" nothing_is_left B
report "status of A is empty" status_is_empty A
report "status of B is empty" status_is_empty B
report_end
