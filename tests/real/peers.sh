#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Another IPsec daemon beside a live latch: peers.sh STAGED BUILD.  strongSwan's charon comes and goes
# and harms nothing, and so does Libreswan's pluto; but its systemd unit flushes SAs and SPD when it has
# stopped, and the latch breaks closed, with its cause.  Both run on host A, whose kernel is theirs too.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/streams.sh"

sa_gone='its security associations were deleted'
pluto_root=$2/../build-peers/root
pluto=/usr/libexec/ipsec/pluto
pluto_libraries=$pluto_root/usr/lib/x86_64-linux-gnu:$pluto_root/lib/x86_64-linux-gnu

begin()
{
	rm -f "$go"
	streams_capture
	streams_server --timeout 6 --wait-file "$go" --send 200000
	streams_client --timeout 6 --wait-file "$go" --send 200000
	report "$1: idle" eval "streams_said client idle && streams_said server idle"
	report "$1: established" streams_has_state A established
}

# pluto has SPD entries of its own meanwhile.
ours_are_gone()
{
	local host

	for host in A B; do
		hosts_on "$host" gss-ipsec status | grep -q '^No connection' &&
			[ -z "$(hosts_on "$host" ip xfrm state list)" ] &&
			! hosts_on "$host" ip xfrm policy list nosock | grep -q 'proto esp' ||
			return 1
	done
}

finish()
{
	report "$1: nothing left in the end" hosts_wait 12 ours_are_gone
	streams_capture_end 0
	report "$1: no clear byte" streams_judge
}

charon_answers()
{
	STRONGSWAN_CONF=$hosts_dir/strongswan.conf hosts_on A swanctl --stats
}

# unharmed NAME: what comes after is a whole transfer and close.
unharmed()
{
	report "$1: still established" streams_has_state A established
	: >"$go"
	streams_wait client server
	report "$1: both programs done" streams_done client server
	finish "$1"
}

case_charon()
{
	local name="charon comes and goes"

	printf 'charon-systemd {\n plugins { bypass-lan { load = no } }\n }\n' \
		>"$hosts_dir/strongswan.conf"
	begin "$name"
	hosts_start charon A env STRONGSWAN_CONF="$hosts_dir/strongswan.conf" charon-systemd
	report "$name: charon answers" hosts_wait 30 charon_answers
	report "$name: still established beside it" streams_has_state A established
	hosts_stop charon
	unharmed "$name"
}

# Its own files: a database of keys, which has none, and secrets, of which there are none either.
pluto_configure()
{
	# It looks for its helpers there and nowhere else.
	mkdir -p "$hosts_dir/pluto/nss" /usr/libexec/ipsec
	cp -a "$pluto_root/usr/libexec/ipsec/." /usr/libexec/ipsec/
	: >"$hosts_dir/pluto/secrets"
	hosts_on A mkdir -p /run/pluto
	LD_LIBRARY_PATH=$pluto_libraries hosts_on A "$pluto_root/usr/bin/certutil" -N \
		-d "sql:$hosts_dir/pluto/nss" --empty-password || hosts_die "no database for pluto"
}

pluto_start()
{
	hosts_start pluto A env "LD_LIBRARY_PATH=$pluto_libraries" "$pluto" --nofork --stderrlog --rundir /run/pluto --nssdir "$hosts_dir/pluto/nss" \
		--secretsfile "$hosts_dir/pluto/secrets" --no-dnssec
}

pluto_answers()
{
	LD_LIBRARY_PATH=$pluto_libraries hosts_on A /usr/libexec/ipsec/whack --rundir /run/pluto \
		--briefstatus
}

latch_is_broken()
{
	hosts_on A gss-ipsec status 2>&1 | grep -q "broken: $sa_gone"
}

case_pluto_starts()
{
	local name="pluto starts"

	begin "$name"
	pluto_start
	report "$name: pluto answers" hosts_wait 30 pluto_answers
	unharmed "$name"
}

# Stopped as its systemd unit does it.
case_pluto_stops()
{
	local name="pluto stops" flushes

	flushes=$(grep -o 'ip xfrm [a-z]* flush' "$pluto_root/lib/systemd/system/ipsec.service")
	report "$name: its unit flushes SAs and SPD" [ "$(echo "$flushes" | wc -l)" = 2 ]
	begin "$name"
	hosts_stop pluto
	hosts_on A sh -c "$flushes"
	report "$name: broken, with its cause" hosts_wait 5 latch_is_broken
	: >"$go"
	streams_wait client server
	report "$name: neither program gets octets" eval "! streams_done client server"
	finish "$name"
}

trap streams_end EXIT
[ -x "$pluto_root$pluto" ] || hosts_die "no pluto in $pluto_root: tests/support/fetch_peers.sh"
streams_up "$1" "$2" 1
streams_hurry
go=$hosts_dir/go
case_charon
pluto_configure
case_pluto_starts
case_pluto_stops
report_end
