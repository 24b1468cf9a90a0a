#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Wireshark as judge of what we send: ike_peer talks to ike_peer over UDP on a loopback of its own, once
# for each kind of key, and tells its keys; tshark must decrypt T3 to T5 with them and show every
# payload.  No program that is installed can tell a key.  wireshark.sh BUILD
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
peer=$build/tests/real/ike_peer
[ "${WIRESHARK_INSIDE:-}" = yes ] ||
	WIRESHARK_INSIDE=yes exec unshare --net -- "$here/wireshark.sh" "$build"
. "$here/real/report.sh"
# tshark takes its own time to start; nobody's settings, and none of this user's.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
capture=$work/exchange.pcap
mkdir "$work/keys" "$work/no-keys"
kinds=(ed25519 ecdsa-p256 ecdsa-p384 rsa)
declare -A genpkey=(
	[ed25519]="-algorithm ed25519"
	[ecdsa-p256]="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
	[ecdsa-p384]="-algorithm EC -pkeyopt ec_paramgen_curve:P-384"
	[rsa]="-algorithm RSA -pkeyopt rsa_keygen_bits:2048"
)

# one_config OWN OTHER
one_config()
{
	printf '[identity]\n me = {\n key = %s\n host = %s.example\n }\n' "$work/$1.pem" "$1"
	printf '[peer]\n other = {\n host = %s.example\n key = %s\n }\n' "$2" \
		"$(openssl pkey -in "$work/$2.pem" -pubout -outform DER | base64 -w0)"
}

configure()
{
	local side

	for side in one two; do
		# shellcheck disable=SC2086
		openssl genpkey ${genpkey[$1]} -out "$work/$side.pem" 2>/dev/null || return 1
		chmod 600 "$work/$side.pem"
	done
	one_config one two >"$work/one.conf"
	one_config two one >"$work/two.conf"
}

# has_words TEXT FILE: within five seconds.
has_words()
{
	local tries=50

	until grep -q "$1" "$2" 2>/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

# A service with T5 and a child SA, so that there is every payload that we ever send.
exchange()
{
	local acceptor status

	configure "$1" || return 1
	: >"$work/two.out"
	"$peer" accept "$work/two.conf" 127.0.0.2 127.0.0.1 --child 1 >"$work/two.out" 2>&1 &
	acceptor=$!
	has_words waits "$work/two.out"
	"$peer" initiate "$work/one.conf" 127.0.0.1 127.0.0.2 --target HTTP@two.example --child 1 \
		--keys "$work/keys/ikev2_decryption_table"
	status=$?
	wait "$acceptor" || {
		cat "$work/two.out"
		return 1
	}
	return "$status"
}

capture_all()
{
	local kind tcpdump

	ip link set lo up
	tcpdump -i lo -U -n --immediate-mode -Z root -w "$capture" udp port 500 2>"$work/tcpdump" &
	tcpdump=$!
	has_words 'listening on' "$work/tcpdump" || exit 1
	for kind in "${kinds[@]}"; do
		report "$kind: exchange" exchange "$kind"
	done
	sleep 0.3
	kill "$tcpdump"
	wait "$tcpdump"
}

# tell KEYS FILTER FIELD: that field of the messages it selects, one on a line.
tell()
{
	WIRESHARK_CONFIG_DIR=$work/$1 HOME=$work tshark -n -r "$capture" -Y "isakmp and ($2)" -T fields \
		-e "$3" 2>/dev/null
}

# shows NAME FILTER FIELD VALUE: so many messages as there are kinds, with this value each.
shows()
{
	report "$1" [ "$(tell keys "$2" "$3" | uniq -c | tr -s ' ')" = " ${#kinds[@]} $4" ]
}

judge()
{
	local t3="isakmp.exchangetype == 35 and isakmp.flag_r == 0"
	local t4="isakmp.exchangetype == 35 and isakmp.flag_r == 1"
	local t5="isakmp.exchangetype == 37 and isakmp.messageid == 2"

	# Types of RFC 7296 3.2, and 2, 3 for a proposal and a transform inside SA, as Wireshark counts them.
	shows "T3: SK{ IDi CERT IDr AUTH N N SA TSi TSr }" "$t3" isakmp.typepayload \
		46,35,37,36,39,41,41,33,2,3,3,44,45
	shows "T3: N(GSS_CONTEXT) N(USE_TRANSPORT_MODE)" "$t3" isakmp.notify.msgtype 49921,16391
	shows "T4: SK{ IDr CERT AUTH N N SA TSi TSr }" "$t4" isakmp.typepayload \
		46,36,37,39,41,41,33,2,3,3,44,45
	shows "T4: N(GSS_CONTEXT) N(USE_TRANSPORT_MODE)" "$t4" isakmp.notify.msgtype 49921,16391
	shows "T5: SK{ N }" "$t5" isakmp.typepayload 46,41
	shows "T5: N(GSS_CONTEXT)" "$t5" isakmp.notify.msgtype 49921
	shows "AUTH is a digital signature" "$t4" isakmp.auth.method 14
	shows "IDi is an FQDN" "$t3" isakmp.id.data.fqdn one.example,two.example
	report "every tag is right" [ "$(WIRESHARK_CONFIG_DIR=$work/keys HOME=$work tshark -n -r \
		"$capture" -V 2>/dev/null | grep -c 'Integrity Checksum Data.*\[correct\]')" = \
		$((3 * ${#kinds[@]})) ]
	report "without the keys nothing of T3 is shown" [ "$(tell no-keys "$t3" isakmp.typepayload |
		uniq)" = 46 ]
}

# What of the installation could tell keys; ike_peer, which does, shows that the search finds.
words='ikev2_decryption_table|octet ICV \[RFC5282\]|SSLKEYLOGFILE'
tells_keys()
{
	grep -rlaE "$words" "$@"
}

capture_all
judge
report "ike_peer tells keys" tells_keys "$peer"
report "nothing that is installed does" eval "! tells_keys '$build/root'"
report_end
