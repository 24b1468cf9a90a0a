#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Records the key schedules of strongSwan's charon: two charons of two hosts in a guest, one exchange for
# each combination below, and the responder's log, which holds every key.  Run by hand, once:
#
#   GUEST_OUT=DIR tests/real/guest.sh uml tests/vectors/charon_record.sh STAGED
#   tests/vectors/charon_vectors.py DIR/charonB.log >tests/vectors/charon_keys.hex
set -u
. "$(dirname "$0")/../real/hosts.sh"

# What both charons propose: IKE, then ESP.
combinations=(
	"aes256gcm16-prfsha256-x25519 aes256gcm16-esn"
	"aes256gcm16-prfsha512-ecp256 aes128gcm16-esn"
	"chacha20poly1305-prfsha256-ecp256 chacha20poly1305-esn"
	"chacha20poly1305-prfsha512-x25519 aes256gcm16-esn"
)

# connection NUMBER OWN-HOST OTHER-HOST: each pair of addresses has one combination to itself.
connection()
{
	local own=10.77.1$1.${hosts_number[$2]} other=10.77.1$1.${hosts_number[$3]}

	cat <<-CONFIG
		c$1 {
			version = 2
			mobike = no
			local_addrs = $own
			remote_addrs = $other
			proposals = ${combinations[$1]% *}
			local {
				auth = psk
			}
			remote {
				auth = psk
			}
			children {
				c$1 {
					mode = transport
					esp_proposals = ${combinations[$1]#* }
				}
			}
		}
	CONFIG
}

charon_host()
{
	local host=$1 other=$2 dir=$hosts_dir/$1/swanctl number

	mkdir -p "$dir"/{private,pubkey,conf.d,x509,x509ca,x509aa,x509ocsp,x509ac,x509crl} \
		"$dir"/{rsa,ecdsa,bliss,pkcs8,pkcs12}
	{
		echo "connections {"
		for number in "${!combinations[@]}"; do
			hosts_on "$host" ip address add "10.77.1$number.${hosts_number[$host]}/24" dev wire
			connection "$number" "$host" "$other"
		done
		echo "}"
		printf 'secrets {\n ike-all {\n secret = "recorded"\n }\n}\n'
	} >"$dir/swanctl.conf"
	printf 'charon-systemd {\n filelog {\n stderr {\n default = 1\n ike = 4\n chd = 4\n flush_line = yes\n }\n }\n}\n' \
		>"$hosts_dir/$host/strongswan.conf"
	hosts_on "$host" mount --bind "$dir" /etc/swanctl
	hosts_start "charon$host" "$host" env STRONGSWAN_CONF="$hosts_dir/$host/strongswan.conf" charon-systemd
	hosts_wait 60 hosts_on "$host" swanctl --stats || hosts_die "charon of $host does not answer"
	hosts_on "$host" swanctl --load-all || hosts_die "swanctl cannot load"
}

trap hosts_down EXIT
hosts_install "$1"
hosts_up
charon_host B A
charon_host A B
for number in "${!combinations[@]}"; do
	hosts_on A swanctl --initiate --child "c$number" --timeout 10 >"$hosts_out/c$number.out" 2>&1 ||
		hosts_die "combination ${combinations[$number]} fails"
done
echo "recorded: ${#combinations[@]}"
