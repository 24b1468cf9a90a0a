#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every kind of key, every ESP suite, every group, cipher and PRF latched once in a real kernel:
# algorithms.sh STAGED BUILD.  What the kernel has installed is compared with what was asked for, and
# the bytes of the echo must not be seen on the wire.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

staged=$1
build=$2
text="plain bytes of the echo"
exchange_port=4545

# An [identity] of that type, and the [peer] that the other side has for it.
put_identity()
{
	local host=$1 name=$2 type=$3 names=$4 file=$hosts_dir/$1/gss/$2.pem

	echo "[identity]"
	echo "	own = {"
	if [ "$type" = anonymous ]; then
		echo "		anonymous = yes"
		: >"$hosts_dir/$name.peer"
	else
		rm -f "$file"
		gss-ipsec keygen --type "$type" --out "$file" >"$hosts_dir/$name.public" ||
			hosts_die "gss-ipsec keygen --type $type failed"
		chown "${hosts_uid[$name]}" "$file"
		printf '\t\tkey = /etc/gss/%s.pem\n\t\t%s\n' "$name" "$names"
		printf '[peer]\n\tother = {\n\t\t%s\n\t\tkey = %s\n\t}\n' "$names" \
			"$(hosts_fingerprint "$name")" >"$hosts_dir/$name.peer"
	fi
	echo "	}"
}

# configure TYPE-OF-A TYPE-OF-B LINES-OF-A LINES-OF-B
configure()
{
	put_identity A alice "$1" "user = $hosts_user" >"$hosts_dir/A.identity"
	put_identity B sample "$2" "host = ${hosts_name[B]}" >"$hosts_dir/B.identity"
	printf '[gss-ipsec]\n%b\n' "$3" | cat - "$hosts_dir/A.identity" "$hosts_dir/sample.peer" \
		>"$hosts_dir/A/gss/ipsec.conf"
	printf '[gss-ipsec]\n%b\n' "$4" | cat - "$hosts_dir/B.identity" "$hosts_dir/alice.peer" \
		>"$hosts_dir/B/gss/ipsec.conf"
	chmod 0644 "$hosts_dir"/?/gss/ipsec.conf
}

# Two SAs on each side with that algorithm, and a key and salt of so many octets.
has_installed()
{
	local host
	for host in A B; do
		hosts_on "$host" ip xfrm state >"$hosts_out/state.$host"
		awk -v name="$1" -v digits=$((2 * $2)) '
			$1 == "aead" { found++; bad += $2 != name || length($3) != digits + 2 }
			/flag esn|esn/ { esn++ }
			END { exit !(found == 2 && bad == 0 && esn >= 2) }' \
			"$hosts_out/state.$host" && continue
		sed 's/0x[0-9a-f]\{40,\}/(key)/' "$hosts_out/state.$host"
		return 1
	done
}

echoes()
{
	hosts_as alice A echo_client "${hosts_name[B]}" "$exchange_port" sample "$text" \
		>"$hosts_out/echo_client.log" 2>&1
	grep -qx "$text" "$hosts_out/echo_client.log" &&
		grep -q '^latch: latched' "$hosts_out/echo_client.log" &&
		has_installed "$1" "$2" && return 0
	tail -n 5 "$hosts_out/echo_client.log" "$hosts_out/echo_server.log"
	return 1
}

nothing_is_left()
{
	[ "$(hosts_count_xfrm A)" = "0 0" ] && [ "$(hosts_count_xfrm B)" = "0 0" ]
}

# latches NAME ALGORITHM OCTETS TYPE-OF-A TYPE-OF-B [LINES-OF-A [LINES-OF-B]]
latches()
{
	configure "$4" "$5" "${6:-}" "${7:-}"
	hosts_start echo_server as sample B echo_server "$exchange_port"
	hosts_wait 20 exchange_is_listening || hosts_die "echo_server does not listen"
	report "$1" echoes "$2" "$3"
	hosts_stop echo_server
	hosts_wait 20 nothing_is_left || report "$1: nothing is left" nothing_is_left
}

is_hidden()
{
	! grep -qaF "$text" "$hosts_out/echo.pcap"
}

trap 'exchange_abort; hosts_down' EXIT
aes="rfc4106(gcm(aes))"
chacha="rfc7539esp(chacha20,poly1305)"
hosts_install "$staged"
hosts_install_programs "$build"/examples/echo_client "$build"/examples/echo_server
hosts_up
hosts_broker A --linger-seconds 3
hosts_broker B --linger-seconds 3
hosts_capture A "$hosts_out/echo.pcap"
latches "ECDSA P-256 and P-384, ESP AES-128-GCM" "$aes" 20 ecdsa-p256 ecdsa-p384 "" \
	"esp_ciphers = aes-128-gcm"
latches "ECDSA P-384 and RSA, ESP ChaCha20-Poly1305" "$chacha" 36 ecdsa-p384 rsa-2048 \
	"esp_ciphers = chacha20-poly1305"
latches "RSA and ECDSA P-256, IKE ChaCha20-Poly1305 and SHA2-512" "$aes" 36 rsa-2048 ecdsa-p256 \
	"ike_ciphers = chacha20-poly1305\n\tike_prfs = sha2-512"
latches "group P-256 after INVALID_KE_PAYLOAD" "$aes" 36 ed25519 ed25519 "" "ike_groups = p256"
latches "anonymous initiator" "$aes" 36 anonymous ed25519 "" "anonymous_peer = accept"
hosts_stop tcpdump.A
report "nothing of the echo in the clear" is_hidden
report_end
