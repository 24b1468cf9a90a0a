#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Another IPsec daemon beside a live latch: peers.sh STAGED BUILD.  strongSwan's charon comes and goes
# and harms nothing; Libreswan's pluto flushes all IPsec state when it comes and when it goes, and the
# latch breaks closed, with its cause.  Both run on host A, whose kernel is theirs too.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

sa_gone='its security associations were deleted'
pluto_root=$2/../build-peers/root
pluto=$pluto_root/usr/libexec/ipsec/pluto

sockets_hurry()
{
	local host

	for host in A B; do
		hosts_on "$host" sysctl -qw net.ipv4.tcp_orphan_retries=2 net.ipv4.tcp_fin_timeout=5
	done
}

begin()
{
	streams_capture
	streams_server --timeout 3 --idle-ms "$2" --send 200000
	streams_client --timeout 3 --idle-ms "$2" --send 200000
	report "$1: idle" eval "streams_said client idle && streams_said server idle"
	report "$1: established" streams_has_state A established
}

finish()
{
	report "$1: nothing left in the end" streams_gone 12
	streams_capture_end 0
	report "$1: no clear byte" streams_judge
}

charon_answers()
{
	STRONGSWAN_CONF=$hosts_dir/strongswan.conf hosts_on A swanctl --stats
}

case_charon()
{
	local name="charon comes and goes"

	printf 'charon-systemd {\n plugins { bypass-lan { load = no } }\n }\n' \
		>"$hosts_dir/strongswan.conf"
	begin "$name" 6000
	hosts_start charon A env STRONGSWAN_CONF="$hosts_dir/strongswan.conf" charon-systemd
	report "$name: charon answers" hosts_wait 20 charon_answers
	report "$name: still established beside it" streams_has_state A established
	hosts_stop charon
	report "$name: still established" streams_has_state A established
	streams_wait client server
	report "$name: both programs done" streams_done client server
	finish "$name"
}

pluto_start()
{
	mkdir -p "$hosts_dir/pluto/nss" "$hosts_dir/pluto/run"
	hosts_on A sh -c "mkdir -p /run/pluto /var/lib/ipsec/nss"
	: >"$hosts_dir/pluto/secrets"
	hosts_start pluto A env "LD_LIBRARY_PATH=$pluto_root/usr/lib/x86_64-linux-gnu:$pluto_root/lib/x86_64-linux-gnu" \
		"$pluto" --nofork --stderrlog --rundir /run/pluto --nssdir "$hosts_dir/pluto/nss" \
		--secretsfile "$hosts_dir/pluto/secrets" --no-dnssec
}

pluto_listens()
{
	grep -q 'helper\|processing after\|initialized' "$hosts_out/pluto.log"
}

latch_is_broken()
{
	hosts_on A gss-ipsec status 2>&1 | grep -q "broken: $sa_gone"
}

# Both at its start and at its end whatever latch there is breaks.
case_pluto()
{
	local name="pluto starts"

	begin "$name" 8000
	pluto_start
	report "$name: broken, with its cause" hosts_wait 15 latch_is_broken
	report "$name: pluto runs" hosts_wait 15 pluto_listens
	streams_wait client server
	report "$name: neither program gets octets" eval "! streams_done client server"
	finish "$name"
	name="pluto stops"
	begin "$name" 5000
	hosts_stop pluto
	report "$name: broken, with its cause" hosts_wait 15 latch_is_broken
	streams_wait client server
	report "$name: neither program gets octets" eval "! streams_done client server"
	finish "$name"
}

trap streams_end EXIT
[ -x "$pluto" ] || hosts_die "no pluto in $pluto_root: tests/support/fetch_peers.sh"
streams_up "$1" "$2" 1
sockets_hurry
streams_snapshot
case_charon
case_pluto
report_end
