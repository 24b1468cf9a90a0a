#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Proof that it is IKEv2, by a second daemon of other people: the mechanism's messages go over UDP
# (ike_peer on host A) to and from Libreswan's pluto on host B, once for each row of pluto.table and each
# role, with a transport-mode child SA; then what either side must refuse.  pluto.sh STAGED BUILD
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/ike_judge.sh"
table=$here/pluto.table
kinds=(rsa ecdsa-p256)
ike='aes_gcm256-sha2_256;dh31'
declare -A authby=([rsa]=rsa-sha2 [ecdsa-p256]=ecdsa)
pluto_root=$2/../build-peers/root
pluto=/usr/libexec/ipsec/pluto
export LD_LIBRARY_PATH=$pluto_root/usr/lib/x86_64-linux-gnu:$pluto_root/lib/x86_64-linux-gnu

# rows CMD...: CMD NAME KIND AUTHBY IKE ESP SUITE CONFIG NEGOTIATED METHOD for each row.
rows()
{
	local name kind authby ike esp suite config negotiated method

	while read -r name kind authby ike esp suite config negotiated method; do
		case $name in '#'* | '') continue ;; esac
		"$@" "$name" "$kind" "$authby" "$ike" "$esp" "$suite" "$config" "$negotiated" \
			"$method" </dev/null
	done <"$table"
}

# pluto_connection NAME IKE ESP LINE...: the lines say who each side is and how it proves that.
pluto_connection()
{
	judge_address "$1"
	cat >>"$hosts_dir/pluto/ipsec.conf" <<-CONFIG
		conn $1
		  ikev2=insist
		  type=transport
		  ike=$2
		  esp=$3
		  esn=yes
		  left=${hosts_address[B]}
		  right=$judge_own
		  auto=add
		  fragmentation=no
		  mobike=no
		  encapsulation=no
		  keyingtries=1
		  leftupdown=%disabled
		  retransmit-timeout=2s
		  retransmit-interval=500
	CONFIG
	shift 3
	printf '  %s\n' "$@" >>"$hosts_dir/pluto/ipsec.conf"
}

# key_connection NAME KIND AUTHBY IKE ESP
key_connection()
{
	pluto_connection "$1" "$4" "$5" "authby=$3" \
		"leftid=@host-$2.example" "leftpubkey=$(judge_spki "$judge_dir/theirs-$2.pub")" \
		"rightid=@us-$2.example" "rightpubkey=$(judge_spki "$judge_dir/ours-$2.pub")"
}

row_connections()
{
	local role

	for role in r i; do
		key_connection "$role-$1" "$2" "$3" "$4" "$5"
	done
}

refusal_connections()
{
	local kind

	for kind in "${kinds[@]}"; do
		key_connection "good-$kind" "$kind" "${authby[$kind]}" "$ike" aes_gcm256
	done
}

# Ends that are nobody (RFC 7619): both, and our side alone.
null_connections()
{
	local name key=$judge_dir/theirs-${kinds[0]}.pub

	for name in r-null i-null refused-null; do
		pluto_connection "$name" "$ike" aes_gcm256 authby=null leftid=%null rightid=%null
	done
	pluto_connection r-anonymous "$ike" aes_gcm256 leftauth=rsasig rightauth=null \
		"leftid=@host-${kinds[0]}.example" "leftpubkey=$(judge_spki "$key")" rightid=%null
}

# NSS takes private keys with a certificate only; nobody looks at that.
pluto_key()
{
	local key=$judge_dir/theirs-$1

	openssl req -x509 -new -key "$key.pem" -subj "/CN=host-$1" -out "$key.crt" -days 30 &&
		openssl pkcs12 -export -inkey "$key.pem" -in "$key.crt" -name "host-$1" \
			-passout pass: -out "$key.p12" &&
		"$pluto_root/usr/bin/pk12util" -i "$key.p12" -d "sql:$hosts_dir/pluto/nss" -W ''
}

pluto_configure()
{
	local kind

	# It looks for its helpers there and nowhere else.
	mkdir -p "$hosts_dir/pluto/nss" /usr/libexec/ipsec
	cp -a "$pluto_root/usr/libexec/ipsec/." /usr/libexec/ipsec/
	: >"$hosts_dir/pluto/secrets"
	echo "config setup" >"$hosts_dir/pluto/ipsec.conf"
	"$pluto_root/usr/bin/certutil" -N -d "sql:$hosts_dir/pluto/nss" --empty-password ||
		hosts_die "no database for pluto"
	for kind in "${kinds[@]}"; do
		pluto_key "$kind" >"$hosts_out/key-$kind.log" 2>&1 || hosts_die "no $kind key in NSS"
	done
	rows row_connections
	refusal_connections
	null_connections
	hosts_on B mkdir -p /run/pluto
}

pluto_whack()
{
	hosts_on B /usr/libexec/ipsec/whack --rundir /run/pluto "$@"
}

pluto_up()
{
	hosts_start pluto B "$pluto" --nofork --stderrlog --rundir /run/pluto --nssdir "$hosts_dir/pluto/nss" \
		--secretsfile "$hosts_dir/pluto/secrets" --no-dnssec
	hosts_wait 30 pluto_whack --briefstatus || hosts_die "pluto does not answer"
	hosts_on B /usr/libexec/ipsec/addconn --config "$hosts_dir/pluto/ipsec.conf" \
		--ctlsocket /run/pluto/pluto.ctl --autoall >"$hosts_out/addconn.log" 2>&1
	pluto_whack --listen >"$hosts_out/listen.log" 2>&1
}

judge_daemon=pluto
# pluto always asks for a child.
judge_options=(--child 1)
# whack's status says little: its words do.  What is left of an earlier exchange must not be used again.
judge_daemon_initiates()
{
	local words

	pluto_whack --terminate --name "$1" >/dev/null 2>&1
	words=$(pluto_whack --initiate --name "$1" 2>&1)
	echo "$words"
	[[ $words == *"established Child SA"* ]]
}

# row_judge NAME KIND NEGOTIATED METHOD ROLE: names and algorithms, and pluto's own word on AUTH.
row_judge()
{
	report "$1: we see host-$2.example" [ "$(judge_value peer)" = "host/host-$2.example" ]
	report "$1: $3" \
		[ "$(judge_value encr)/$(judge_value prf)/$(judge_value group)" = "$3" ]
	report "$1: pluto verified $4" grep -q \
		"$5 established IKE SA; authenticated peer '.*$4.* '@us-$2.example'" \
		"$hosts_out/pluto.log"
}

row_responder()
{
	local name=$1 kind=$2 suite=$6 config=$7 negotiated=$8 method=$9

	judge_own=${judge_addresses[r-$name]}
	report "$name: pluto responds, childless" judge_ends 0 "" judge_initiate "$config" "$kind"
	row_judge "$name, pluto responds" "$kind" "$negotiated" "$method" responder
	report "$name: pluto responds" judge_ends 0 "" judge_initiate "$config" "$kind" --child "$suite"
	judge_child "$name, pluto responds"
}

row_initiator()
{
	local name=$1 kind=$2 suite=$6 config=$7 negotiated=$8 method=$9

	judge_own=${judge_addresses[i-$name]}
	report "$name: pluto initiates" judge_ends 0 "" judge_accept "$config" "$kind" \
		"judge_daemon_initiates i-$name" --child "$suite"
	report "$name: pluto is content" judge_content
	row_judge "$name, pluto initiates" "$kind" "$negotiated" "$method" initiator
	judge_child "$name, pluto initiates"
}

nobody()
{
	judge_own=${judge_addresses[r-null]}
	report "NULL: pluto responds" judge_ends 0 "" judge_initiate nobody.conf nobody \
		--identity nobody --target host --no-mutual
	report "NULL: we see nobody" [ "$(judge_value peer)" = anonymous ]
	judge_own=${judge_addresses[i-null]}
	report "NULL: pluto initiates" judge_ends 0 "" judge_accept nobody.conf nobody \
		"judge_daemon_initiates i-null" --identity nobody --child 1
	report "NULL: pluto is content" judge_content
	report "NULL: we see nobody there too" [ "$(judge_value peer)" = anonymous ]
	judge_child "NULL, pluto initiates"
	judge_own=${judge_addresses[refused-null]}
	report "NULL: we refuse nobody where the policy does not say so" judge_ends 3 AUTH_METHOD \
		judge_accept good.conf "${kinds[0]}" "judge_daemon_initiates refused-null" \
		--identity nobody --child 1
	report "NULL: pluto is told" eval "! judge_content"
	judge_own=${judge_addresses[r-anonymous]}
	report "anonymous initiator: pluto proves itself" judge_ends 0 "" \
		judge_initiate good.conf "${kinds[0]}" --identity nobody
	report "anonymous initiator: we see host-${kinds[0]}.example" \
		[ "$(judge_value peer)" = "host/host-${kinds[0]}.example" ]
}

trap hosts_down EXIT
[ -x "$pluto_root$pluto" ] || hosts_die "no pluto in $pluto_root: tests/support/fetch_peers.sh"
judge_up "$1" "$2" "${kinds[@]}"
pluto_configure
pluto_up
rows row_responder
rows row_initiator
nobody
judge_end "${kinds[@]}"
