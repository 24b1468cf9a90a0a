#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Proof that it is IKEv2: host A carries the mechanism's messages over UDP (charon_peer) to strongSwan's
# charon on host B, with Ed25519 raw keys found by ID.  Run in a guest:
# charon.sh STAGED BUILD
set -u
. "$(dirname "$0")/hosts.sh"
passed=0
failed=0
peer=$2/tests/real/charon_peer

verdict()
{
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		echo "ok    charon: $2"
	else
		failed=$((failed + 1))
		echo "FAIL  charon: $2"
	fi
}

spki()
{
	openssl pkey -in "$1" -pubout -outform DER | base64 -w0
}

# charon's own files on host B: /etc/swanctl and a minimal strongswan.conf.
charon_configure()
{
	local dir=$hosts_dir/B/swanctl

	mkdir -p "$dir"/{private,pubkey,conf.d,x509,x509ca,x509aa,x509ocsp,x509ac,x509crl,rsa,ecdsa,bliss,pkcs8,pkcs12}
	cp "$hosts_dir/B/gss/sample.pem" "$dir/private/"
	openssl pkey -in "$hosts_dir/B/gss/sample.pem" -pubout -out "$dir/pubkey/own.pem"
	openssl pkey -in "$hosts_dir/A/gss/alice.pem" -pubout -out "$dir/pubkey/alice.pem"
	cat >"$dir/swanctl.conf" <<-CONFIG
		connections {
			alice {
				version = 2
				local_addrs = ${hosts_address[B]}
				remote_addrs = ${hosts_address[A]}
				proposals = aes256gcm16-prfsha256-x25519
				childless = allow
				local {
					auth = pubkey
					id = ${hosts_name[B]}
					pubkeys = own.pem
				}
				remote {
					auth = pubkey
					id = $hosts_user
					pubkeys = alice.pem
				}
				children {
					all {
						mode = transport
						esp_proposals = aes256gcm16-esn
					}
				}
			}
		}
	CONFIG
	printf 'charon-systemd {\n plugins { bypass-lan { load = no } }\n journal { default = 1 }\n filelog { stderr { default = 1 } }\n}\n' \
		>"$hosts_dir/B/strongswan.conf"
	hosts_on B mount --bind "$dir" /etc/swanctl
}

charon_up()
{
	hosts_start charon B env STRONGSWAN_CONF="$hosts_dir/B/strongswan.conf" charon-systemd
	hosts_wait 40 hosts_on B swanctl --stats || hosts_die "charon does not answer"
	hosts_on B swanctl --load-all >"$hosts_out/swanctl-load.log" 2>&1 ||
		hosts_die "swanctl cannot load"
}

# Host A needs charon's whole key, since charon sends no CERT for a raw one.
initiator_configure()
{
	cat >"$hosts_dir/A/gss/ipsec.conf" <<-CONFIG
		[identity]
			alice = {
				key = $1
				user = $hosts_user
			}
		[peer]
			host-b = {
				host = ${hosts_name[B]}
				key = $(spki "$2")
			}
	CONFIG
}

run_peer()
{
	hosts_on A "$peer" /etc/gss/ipsec.conf "host@${hosts_name[B]}" "${hosts_address[A]}" \
		"${hosts_address[B]}" "$@" >"$hosts_out/peer.out" 2>"$hosts_out/peer.err"
}

value()
{
	sed -n "s/^$1=//p" "$hosts_out/peer.out"
}

test_childless()
{
	run_peer
	verdict $? "charon and we establish a childless IKE SA"
	hosts_on B swanctl --list-sas >"$hosts_out/sas"
	grep -q "ESTABLISHED" "$hosts_out/sas" && grep -q "$(value spi_i)" "$hosts_out/sas" &&
		grep -q "$hosts_user" "$hosts_out/sas"
	verdict $? "swanctl --list-sas shows our SPI $(value spi_i) and $hosts_user ESTABLISHED"
	[ "$(value peer)" = "host/${hosts_name[B]}" ]
	verdict $? "we see charon as $(value peer)"
}

test_refusals()
{
	run_peer flip
	[ $? = 2 ]
	verdict $? "charon refuses a T3 with one flipped bit"
	openssl genpkey -algorithm ed25519 -out "$hosts_dir/A/gss/wrong.pem" 2>/dev/null
	chmod 600 "$hosts_dir/A/gss/wrong.pem"
	initiator_configure /etc/gss/wrong.pem "$hosts_dir/B/gss/sample.pem"
	run_peer
	[ $? = 2 ] && grep -q PEER_AUTH_FAILED "$hosts_out/peer.err"
	verdict $? "charon refuses a wrong key, and we say so: $(tail -n 1 "$hosts_out/peer.err" | cut -c1-60)"
	initiator_configure /etc/gss/alice.pem "$hosts_dir/A/gss/wrong.pem"
	run_peer
	[ $? = 1 ] && grep -q -E 'AUTH_FAILED|PEER_' "$hosts_out/peer.err"
	verdict $? "we refuse charon when the peer database has another key for it"
	initiator_configure /etc/gss/alice.pem "$hosts_dir/B/gss/sample.pem"
}

add_sa() # SRC DST SPI KEY
{
	hosts_on A ip xfrm state add src "$1" dst "$2" proto esp spi "$3" mode transport \
		reqid 7 flag esn replay-window 32 aead 'rfc4106(gcm(aes))' "$4" 128
}

test_child()
{
	local a=${hosts_address[A]} b=${hosts_address[B]}

	run_peer child
	verdict $? "charon and we agree on a transport-mode child SA"
	add_sa "$a" "$b" "$(value spi_out)" "$(value key_out)" &&
		add_sa "$b" "$a" "$(value spi_in)" "$(value key_in)" &&
		hosts_on A ip xfrm policy add src "$a" dst "$b" dir out tmpl proto esp mode transport reqid 7 &&
		hosts_on A ip xfrm policy add src "$b" dst "$a" dir in tmpl proto esp mode transport reqid 7
	verdict $? "its keys go into the kernel"
	hosts_capture A "$hosts_out/child.pcap"
	hosts_on A ping -c 3 -i 0.2 -W 2 "$b" >"$hosts_out/ping.log"
	verdict $? "a ping crosses: $(grep -o '[0-9]* received' "$hosts_out/ping.log")"
	sleep 0.5
	hosts_stop tcpdump.A
	[ "$(tcpdump -n -r "$hosts_out/child.pcap" esp 2>/dev/null | wc -l)" -ge 6 ] &&
		[ "$(tcpdump -n -r "$hosts_out/child.pcap" icmp 2>/dev/null | wc -l)" = 0 ]
	verdict $? "in ESP, by the capture"
}

trap hosts_down EXIT
hosts_install "$1"
hosts_up
# charon_peer runs as root here: UDP port 500.
chown 0:0 "$hosts_dir"/?/gss/*.pem
charon_configure
charon_up
initiator_configure /etc/gss/alice.pem "$hosts_dir/B/gss/sample.pem"
test_childless
test_refusals
test_child
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
