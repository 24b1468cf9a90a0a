#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Proof that it is IKEv2: the mechanism's messages go over UDP (ike_peer on host A) to and from
# strongSwan's charon on host B, once for each row of charon.table and each role; then what either side
# must refuse.  Raw keys, found by ID: charon sends no CERT.  charon.sh STAGED BUILD
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/ike_judge.sh"
table=$here/charon.table
kinds=(ed25519 ecdsa-p256 ecdsa-p384 rsa)

# rows CMD...: CMD NAME KIND PROPOSAL ESP SUITE CONFIG RESPONDS INITIATES for each row.
rows()
{
	local name kind proposal esp suite config responds initiates

	while read -r name kind proposal esp suite config responds initiates; do
		case $name in '#'* | '') continue ;; esac
		"$@" "$name" "$kind" "$proposal" "$esp" "$suite" "$config" "$responds" \
			"$initiates" </dev/null
	done <"$table"
}

# charon_connection NAME ADDRESS KIND PROPOSAL ESP THEIR-KEY OUR-ID
charon_connection()
{
	local esp=$5

	[ "$esp" != - ] || esp=aes256gcm16-esn
	cat <<-CONFIG
		$1 {
			version = 2
			mobike = no
			local_addrs = ${hosts_address[B]}
			remote_addrs = $2
			proposals = $4
			childless = allow
			keyingtries = 1
			local {
				auth = pubkey
				id = host-$3.example
				pubkeys = theirs-$3.pub
			}
			remote {
				auth = pubkey
				id = $7
				pubkeys = $6-$3.pub
			}
			children {
				$1 {
					mode = transport
					esp_proposals = $esp
				}
			}
		}
	CONFIG
}

row_connections()
{
	local name=$1 kind=$2 proposal=$3 esp=$4 role

	for role in r i; do
		judge_address "$role-$name"
		charon_connection "$role-$name" "$judge_own" "$kind" "$proposal" "$esp" ours \
			"us-$kind.example" >>"$connections"
	done
}

# What is to be refused, and with a user's name.
refusal_connections()
{
	local kind proposal=aes256gcm16-prfsha256-x25519

	for kind in "${kinds[@]}"; do
		judge_address "good-$kind"
		charon_connection "good-$kind" "$judge_own" "$kind" "$proposal" - ours \
			"us-$kind.example" >>"$connections"
	done
	judge_address id
	charon_connection id "$judge_own" "${kinds[0]}" "$proposal" - ours \
		"*.elsewhere.example" >>"$connections"
	judge_address user
	charon_connection user "$judge_own" "${kinds[0]}" "$proposal" - ours "$hosts_user" \
		>>"$connections"
}

# charon's own files on host B: /etc/swanctl and a minimal strongswan.conf.
charon_configure()
{
	local dir=$hosts_dir/B/swanctl

	mkdir -p "$dir"/{private,pubkey,conf.d,x509,x509ca,x509aa,x509ocsp,x509ac,x509crl} \
		"$dir"/{rsa,ecdsa,bliss,pkcs8,pkcs12}
	cp "$judge_dir"/theirs-*.pem "$dir/private/"
	cp "$judge_dir"/*.pub "$dir/pubkey/"
	connections=$hosts_dir/connections
	rows row_connections
	refusal_connections
	{
		echo "connections {"
		cat "$connections"
		echo "}"
	} >"$dir/swanctl.conf"
	cat >"$hosts_dir/B/strongswan.conf" <<-CONFIG
		charon-systemd {
			rsa_pss = yes
			reuse_ikesa = no
			retransmit_timeout = 1.0
			retransmit_tries = 1
			plugins {
				bypass-lan {
					load = no
				}
			}
			filelog {
				stderr {
					default = 1
					flush_line = yes
					${CHARON_LOG:-}
				}
			}
		}
	CONFIG
	hosts_on B mount --bind "$dir" /etc/swanctl
}

charon_up()
{
	hosts_start charon B env STRONGSWAN_CONF="$hosts_dir/B/strongswan.conf" charon-systemd
	hosts_wait 40 hosts_on B swanctl --stats || hosts_die "charon does not answer"
	hosts_on B swanctl --load-all >"$hosts_out/swanctl-load.log" 2>&1 ||
		hosts_die "swanctl cannot load"
}

charon_initiates()
{
	hosts_on B swanctl --initiate --timeout 10 "$@"
}

judge_daemon=charon
judge_daemon_initiates()
{
	charon_initiates --ike "$1"
}

# charon's own word, of all at once: the IKE SA with our SPI is established with this name.
established=()
note_established()
{
	established+=("$(judge_value spi_i) $1")
}

charon_says()
{
	local sa spi

	hosts_on B swanctl --list-sas --raw >"$hosts_out/sas"
	for sa in "${established[@]}"; do
		spi=${sa%% *}
		report "${sa#* }: charon says ESTABLISHED too" grep -q \
			"initiator-spi=$spi.* state=ESTABLISHED\|state=ESTABLISHED.* initiator-spi=$spi" \
			"$hosts_out/sas"
	done
}

child_option()
{
	child=()
	[ "$1" = - ] || child=(--child "$1")
}

# row_judge NAME KIND ESP NEGOTIATED,RETRIED
row_judge()
{
	local name=$1 kind=$2 esp=$3

	report "$name: we see host-$kind.example" [ "$(judge_value peer)" = "host/host-$kind.example" ]
	report "$name: $4" [ "$(judge_value encr)/$(judge_value prf)/$(judge_value group),$(judge_value \
		retried)" = "$4" ]
	note_established "$name"
	[ "$esp" = - ] || judge_child "$name"
}

row_responder()
{
	local name=$1 kind=$2 esp=$4 suite=$5 config=$6 negotiated=$7 child

	child_option "$suite"
	judge_own=${judge_addresses[r-$name]}
	report "$name: charon responds" judge_ends 0 "" judge_initiate "$config" "$kind" "${child[@]}"
	row_judge "$name, charon responds" "$kind" "$esp" "$negotiated"
}

row_initiator()
{
	local name=$1 kind=$2 esp=$4 suite=$5 config=$6 negotiated=$8 child what=--ike

	child_option "$suite"
	[ "$esp" = - ] || what=--child
	judge_own=${judge_addresses[i-$name]}
	report "$name: charon initiates" judge_ends 0 "" judge_accept "$config" "$kind" \
		"charon_initiates $what i-$name" "${child[@]}"
	report "$name: charon is content" judge_content
	row_judge "$name, charon initiates" "$kind" "$esp" "$negotiated"
}

# charon's names of the methods that it verified and that it signed with: AUTH was what the row means.
methods=(
	"ED25519"
	"ECDSA_WITH_SHA256_DER"
	"ECDSA_WITH_SHA384_DER"
	"RSA_EMSA_PSS_SHA2_256_SALT_32"
)

charon_methods()
{
	local method

	for method in "${methods[@]}"; do
		report "charon verified $method" grep -q "'us-.* with $method successful" \
			"$hosts_out/charon.log"
		report "charon signed with $method" grep -q "(myself) with $method successful" \
			"$hosts_out/charon.log"
	done
}

user_name()
{
	judge_own=${judge_addresses[user]}
	report "a user's name: charon responds" judge_ends 0 "" judge_initiate good.conf "$1" \
		--identity "user-$1"
	note_established "a user's name"
}

# charon knows no NULL (RFC 7619).
refuse_nobody()
{
	judge_own=${judge_addresses[good-$1]}
	report "charon refuses an initiator that is nobody" judge_ends 2 PEER_AUTH_FAILED \
		judge_initiate good.conf "$1" --identity nobody
}

# Nothing in common: the connections' only group is x25519.
refuse_group()
{
	judge_own=${judge_addresses[good-$1]}
	report "charon refuses our only group" judge_ends 2 PEER_NO_PROPOSAL judge_initiate p256.conf "$1"
	report "we refuse charon's only group" judge_ends 3 NO_PROPOSAL \
		judge_accept p256.conf "$1" "judge_daemon_initiates good-$1"
	report "charon is told: no proposal chosen" grep -q NO_PROP "$hosts_out/initiate.out"
}

trap hosts_down EXIT
judge_up "$1" "$2" "${kinds[@]}"
charon_configure
charon_up
rows row_responder
rows row_initiator
user_name "${kinds[0]}"
refuse_nobody "${kinds[0]}"
refuse_group "${kinds[0]}"
charon_says
charon_methods
judge_end "${kinds[@]}"
