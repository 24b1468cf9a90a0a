# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Another IKE daemon on host B as judge of our IKEv2, to be sourced behind hosts.sh and report.sh: keys
# and names of both sides, our messages carried to and from the daemon by ike_peer on host A, child SAs.
#
#   judge_up STAGED BUILD KIND...  both hosts; keys of these kinds on both sides; configurations of ours:
#                 good.conf; own_key.conf, own_id.conf: we have another key, another name, than the daemon
#                 expects; peer_key.conf, peer_id.conf: we expect another key, another name, of the daemon
#   judge_spki PUBLIC              a public key's DER SubjectPublicKeyInfo in base64
#   judge_address CONNECTION       one more address of host A, judge_own and judge_addresses[CONNECTION]:
#                                  IKE_SA_INIT alone says then which of the daemon's connections is meant
#   judge_initiate CONFIG KIND OPTIONS...  ike_peer from judge_own to the daemon; its status
#   judge_accept CONFIG KIND CMD OPTIONS... ike_peer waits at judge_own while CMD makes the daemon
#                                  initiate; its status
#   judge_content                  whether that CMD succeeded
#   judge_value NAME               what ike_peer printed
#   judge_child NAME               the child SA just made goes into A's kernel; ping
#   judge_end KIND...              what either side must refuse, in both roles, over the daemon's
#                                  connections good-KIND and id (it wants another name), which
#                                  judge_daemon_initiates CONNECTION begins, and judge_daemon is its
#                                  name; that no ping went outside ESP; the report's end
#
# We are us-KIND.example (and alice@example.org), the daemon is host-KIND.example.
judge_dir=
judge_own=
judge_peer=
judge_daemon=
judge_children=()
# Given to ike_peer whenever the daemon initiates what is to be refused.
judge_options=()
declare -A judge_addresses=()
declare -A judge_genpkey=(
	[ed25519]="-algorithm ed25519"
	[ecdsa-p256]="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
	[ecdsa-p384]="-algorithm EC -pkeyopt ec_paramgen_curve:P-384"
	[rsa]="-algorithm RSA -pkeyopt rsa_keygen_bits:2048"
)

# What stands between the lines of a PEM file.
judge_spki()
{
	local line text=

	while read -r line; do
		case $line in -*) ;; *) text+=$line ;; esac
	done <"$1"
	echo "$text"
}

# judge_config FILE OWN-KEYS OWN-NAME THEIR-KEYS THEIR-NAME KIND...
judge_config()
{
	local file=$judge_dir/$1 own=$2 own_name=$3 theirs=$4 their_name=$5 kind
	shift 5

	{
		echo "[identity]"
		for kind; do
			printf ' us-%s = {\n key = %s\n host = %s-%s.example\n }\n' "$kind" \
				"$judge_dir/$own-$kind.pem" "$own_name" "$kind"
			printf ' user-%s = {\n key = %s\n user = %s\n }\n' "$kind" \
				"$judge_dir/$own-$kind.pem" "$hosts_user"
		done
		printf ' nobody = {\n anonymous = yes\n }\n[peer]\n'
		for kind; do
			printf ' %s = {\n host = %s-%s.example\n key = %s\n }\n' "$kind" \
				"$their_name" "$kind" "$(judge_spki "$judge_dir/$theirs-$kind.pub")"
		done
	} >"$file"
}

judge_up()
{
	local kind side

	hosts_install "$1"
	judge_peer=$2/tests/real/ike_peer
	shift 2
	hosts_up
	judge_dir=$hosts_dir/judge
	mkdir "$judge_dir"
	for kind; do
		for side in ours theirs wrong; do
			# shellcheck disable=SC2086
			openssl genpkey ${judge_genpkey[$kind]} -out "$judge_dir/$side-$kind.pem" \
				2>/dev/null || hosts_die "no $kind key"
			chmod 600 "$judge_dir/$side-$kind.pem"
			openssl pkey -in "$judge_dir/$side-$kind.pem" -pubout \
				-out "$judge_dir/$side-$kind.pub"
		done
	done
	judge_config good.conf ours us theirs host "$@"
	judge_config own_key.conf wrong us theirs host "$@"
	judge_config own_id.conf ours stranger theirs host "$@"
	judge_config peer_key.conf ours us wrong host "$@"
	judge_config peer_id.conf ours us theirs stranger "$@"
	{
		printf '[gss-ipsec]\n ike_groups = p256\n'
		cat "$judge_dir/good.conf"
	} >"$judge_dir/p256.conf"
	printf '[gss-ipsec]\n anonymous_peer = accept\n[identity]\n nobody = {\n anonymous = yes\n }\n' \
		>"$judge_dir/nobody.conf"
	hosts_capture A "$hosts_out/judge.pcap"
}

judge_address()
{
	judge_own=10.77.0.$((101 + ${#judge_addresses[@]}))
	judge_addresses[$1]=$judge_own
	hosts_on A ip address add "$judge_own/24" dev wire
}

judge_initiate()
{
	local config=$1 kind=$2
	shift 2

	hosts_on A "$judge_peer" initiate "$judge_dir/$config" "$judge_own" "${hosts_address[B]}" \
		--identity "us-$kind" --target "host@host-$kind.example" "$@" \
		>"$hosts_out/peer.out" 2>"$hosts_out/peer.err"
}

judge_accept()
{
	local config=$1 kind=$2 command=$3 status pid
	shift 3

	: >"$hosts_out/peer.out"
	hosts_enter A "$judge_peer" accept "$judge_dir/$config" "$judge_own" "${hosts_address[B]}" \
		--identity "us-$kind" "$@"
	(
		trap - EXIT
		exec "${hosts_command[@]}" >"$hosts_out/peer.out" 2>"$hosts_out/peer.err" </dev/null
	) &
	pid=$!
	hosts_wait 10 [ -s "$hosts_out/peer.out" ]
	$command >"$hosts_out/initiate.out" 2>&1
	echo $? >"$hosts_out/their.status"
	wait "$pid"
	status=$?
	return "$status"
}

judge_value()
{
	sed -n "s/^$1=//p" "$hosts_out/peer.out"
}

# What the daemon's own command said of the exchange that it began.
judge_content()
{
	[ "$(cat "$hosts_out/their.status")" = 0 ]
}

# judge_ends STATUS [WORD] CMD...: CMD ends so, and ike_peer says WORD.
judge_ends()
{
	local expected=$1 word=$2 status
	shift 2

	"$@"
	status=$?
	if [ "$status" = "$expected" ] &&
		{ [ -z "$word" ] || grep -q -E -e "$word" "$hosts_out/peer.err"; }; then
		return 0
	fi
	echo "status $status, not $expected; wanted: $word"
	cat "$hosts_out/peer.out" "$hosts_out/peer.err" "$hosts_out/initiate.out" 2>/dev/null
	return 1
}

judge_add_sa() # SRC DST SPI KEY
{
	local esn=()

	[ "$(judge_value esn)" = 0 ] || esn=(flag esn)
	hosts_on A ip xfrm state add src "$1" dst "$2" proto esp spi "$3" mode transport reqid 7 \
		"${esn[@]}" replay-window 32 aead "$(judge_value kernel_name)" "$4" \
		"$(judge_value icv_bits)"
}

judge_install()
{
	local other=${hosts_address[B]}

	judge_add_sa "$judge_own" "$other" "$(judge_value spi_out)" "$(judge_value key_out)" &&
		judge_add_sa "$other" "$judge_own" "$(judge_value spi_in)" "$(judge_value key_in)" &&
		hosts_on A ip xfrm policy add src "$judge_own" dst "$other" dir out \
			tmpl proto esp mode transport reqid 7 &&
		hosts_on A ip xfrm policy add src "$other" dst "$judge_own" dir in \
			tmpl proto esp mode transport reqid 7
}

judge_child()
{
	report "$1: its keys go into the kernel" judge_install
	report "$1: ping 3/3" eval "hosts_on A ping -I '$judge_own' -c 3 -i 0.2 -W 2 \
		${hosts_address[B]} | tee '$hosts_out/ping.log' | grep -q ' 3 received'"
	judge_children+=("$judge_own $1")
}

judge_packets()
{
	tcpdump -n -r "$hosts_out/judge.pcap" "$@" 2>/dev/null | wc -l
}

# All children at once, since a capture for each would cost more than the exchange.
judge_capture_ends()
{
	local child address

	hosts_wait 3 eval '[ "$(judge_packets esp)" -ge $((6 * ${#judge_children[@]})) ]'
	hosts_stop tcpdump.A
	for child in "${judge_children[@]}"; do
		address=${child%% *}
		report "${child#* }: in ESP, by the capture" [ "$(judge_packets esp and host "$address")" -ge 6 ]
	done
	report "no ping outside ESP" [ "$(judge_packets 'icmp[icmptype] == 0 or icmp[icmptype] == 8')" = 0 ]
}

# One key is not the one that is expected, on either side, in either role.
judge_refuse_keys()
{
	local kind=$1

	judge_own=${judge_addresses[good-$kind]}
	report "$kind: $judge_daemon refuses our wrong key" judge_ends 2 PEER_AUTH_FAILED \
		judge_initiate own_key.conf "$kind"
	judge_accept own_key.conf "$kind" "judge_daemon_initiates good-$kind" "${judge_options[@]}"
	report "$kind: $judge_daemon refuses the acceptor's wrong key" eval "! judge_content"
	report "$kind: we refuse $judge_daemon's wrong key" judge_ends 3 ' AUTH_FAILED' \
		judge_initiate peer_key.conf "$kind"
	report "$kind: we refuse the initiator $judge_daemon's wrong key" judge_ends 3 ' AUTH_FAILED' \
		judge_accept peer_key.conf "$kind" "judge_daemon_initiates good-$kind" "${judge_options[@]}"
	report "$kind: $judge_daemon is told" eval "! judge_content"
}

judge_refuse_names()
{
	local kind=$1

	judge_own=${judge_addresses[good-$kind]}
	report "$judge_daemon refuses a name that it does not know" judge_ends 2 PEER_AUTH_FAILED \
		judge_initiate own_id.conf "$kind"
	report "we refuse $judge_daemon's wrong name" judge_ends 3 'PEER_NAME|PEER_UNKNOWN' \
		judge_initiate peer_id.conf "$kind"
	report "we refuse the initiator $judge_daemon's wrong name" judge_ends 3 PEER_UNKNOWN \
		judge_accept peer_id.conf "$kind" "judge_daemon_initiates good-$kind" "${judge_options[@]}"
	report "$judge_daemon is told" eval "! judge_content"
	report "we do not answer for another's name" judge_ends 3 TARGET_HOST \
		judge_accept own_id.conf "$kind" "judge_daemon_initiates good-$kind" "${judge_options[@]}"
	# A daemon that says whom it wants never gets that far: we refuse before.
	[ -n "${judge_addresses[id]:-}" ] || return 0
	judge_own=${judge_addresses[id]}
	judge_accept good.conf "$kind" "judge_daemon_initiates id"
	report "$judge_daemon refuses the answer of another name" eval "! judge_content"
}

judge_refuse_flips()
{
	local kind=$1

	judge_own=${judge_addresses[good-$kind]}
	report "$judge_daemon refuses a T3 with one flipped bit" judge_ends 2 "nothing came" \
		judge_initiate good.conf "$kind" --flip sent --seconds 1
	report "we refuse $judge_daemon's T4 with one flipped bit" judge_ends 3 IKE_INTEGRITY \
		judge_initiate good.conf "$kind" --flip received
	report "we refuse $judge_daemon's T3 with one flipped bit" judge_ends 3 IKE_INTEGRITY \
		judge_accept good.conf "$kind" "judge_daemon_initiates good-$kind" \
		"${judge_options[@]}" --flip received
	judge_accept good.conf "$kind" "judge_daemon_initiates good-$kind" "${judge_options[@]}" \
		--flip sent --seconds 1
	report "$judge_daemon refuses our T4 with one flipped bit" eval "! judge_content"
}

judge_end()
{
	local kind

	for kind; do
		judge_refuse_keys "$kind"
	done
	judge_refuse_names "$1"
	judge_refuse_flips "$1"
	judge_capture_ends
	report_end
}
