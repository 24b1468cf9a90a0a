#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# gss-ipsec doctor against set-ups that are broken in one way each: doctor.sh STAGED BUILD [FORM].
# On two hosts that are well (it says so, and a login latches) each row breaks one thing: the doctor
# names it; its commands, as printed, run by root, mend it; and then the doctor is content and a
# login latches again.  FORM: "long" has all rows, or one of their groups (rows_...), without it those
# that many a host has seen; "qemu" what User Mode Linux lacks, the firewall and xfrm interfaces.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

plugin=/usr/lib/gss/mech_ipsec.so
form=${3:-short}
linger=(--linger-seconds 1)
doctor_user=
doctor_more=()
doctor_under=()
preload=()

# --- the doctor ---

# The client's host asks as alice's program would, the server's as its own; or as root.
doctor_on()
{
	local command=(gss-ipsec doctor)

	if [ "$1" = A ]; then
		command+=(--service "sample@${hosts_name[B]}")
	else
		command+=(--server --service "sample@${hosts_name[B]}" --peer "$hosts_user")
	fi
	command=(timeout 30 "${doctor_under[@]}" "${command[@]}" "${doctor_more[@]}")
	if [ "$doctor_user" = root ]; then
		hosts_on "$1" "${command[@]}" >"$hosts_out/doctor.out" 2>&1
	elif [ "$1" = A ]; then
		hosts_as alice A "${command[@]}" >"$hosts_out/doctor.out" 2>&1
	else
		hosts_as sample B "${command[@]}" >"$hosts_out/doctor.out" 2>&1
	fi
}

show()
{
	cat "$hosts_out/doctor.out"
	return 1
}

# The line with that verdict and sentence is there, and the exit status is what follows from it.
doctor_names()
{
	local status

	doctor_on "$1"
	status=$?
	grep -q "^$2 .*$3" "$hosts_out/doctor.out" || show || return 1
	[ "$2" != broken ] || [ "$status" = 1 ] || show || return 1
	[ "$2" = broken ] || [ "$status" = 0 ] || show
}

doctor_is_content()
{
	doctor_on "$1" && ! grep -q '^broken' "$hosts_out/doctor.out" || show
}

# All commands that it printed, as they stand.
mend_as_printed()
{
	local command

	cp "$hosts_out/doctor.out" "$hosts_out/doctor.mend"
	grep -q '^ *mend: ' "$hosts_out/doctor.mend" || show || return 1
	while IFS= read -r command; do
		echo "$command"
		hosts_on "$1" timeout 20 sh -c "$command" </dev/null >"$hosts_out/mend.out" 2>&1 ||
			{ cat "$hosts_out/mend.out"; return 1; }
	done < <(sed -n 's/^ *mend: //p' "$hosts_out/doctor.mend")
}

# --- logins ---

server_start()
{
	hosts_start server as sample B "${preload[@]}" gss-server -port "$exchange_port" sample
	hosts_wait 20 exchange_is_listening || hosts_die "gss-server does not listen"
}

# Servers keep what they have read.
server_again()
{
	hosts_stop server
	server_start
}

# latch = require on both hosts: what completes is latched.
login()
{
	hosts_as alice A "${doctor_under[@]}" "${preload[@]}" timeout 20 gss-client \
		-port "$exchange_port" -mech "$hosts_mech" "${hosts_name[B]}" \
		"sample@${hosts_name[B]}" "hello" >"$hosts_out/client.log" 2>&1 &&
		grep -q 'Signature verified' "$hosts_out/client.log" && return 0
	tail -n 4 "$hosts_out/client.log"
	return 1
}

# --- brokers ---

# All of HOST's, those that a mending command started too; the guest's processes are all ours.
brokers_end()
{
	local place pid

	[ -n "${hosts_pid[host$1]:-}" ] || return 0
	place=$(readlink "/proc/${hosts_pid[host$1]}/ns/net")
	hosts_stop "gss-ipsecd.$1"
	for pid in /proc/[0-9]*; do
		[ "$(cat "$pid/comm" 2>/dev/null)" = gss-ipsecd ] || continue
		[ "$(readlink "$pid/ns/net")" = "$place" ] || continue
		kill "${pid#/proc/}" 2>/dev/null
		hosts_wait 5 test ! -e "$pid"
	done
	hosts_on "$1" rm -f /run/gss-ipsec/broker.sock
	# The next one's log begins when its process does, and is looked at before.
	rm -f "$hosts_out/gss-ipsecd.$1.log"
}

broker_again()
{
	brokers_end "$1"
	hosts_broker "$1" "${linger[@]}" "${@:2}"
}

broker_answers()
{
	hosts_on "$1" gss-ipsec status
}

# broker_under HOST CMD...: one within CMD.
broker_under()
{
	local host=$1
	shift

	brokers_end "$host"
	hosts_start "gss-ipsecd.$host" "$host" "$@" gss-ipsecd "${linger[@]}"
	hosts_wait 10 grep -q 'gss-ipsecd serves' "$hosts_out/gss-ipsecd.$host.log"
}

# --- rows ---

# row NAME HOST VERDICT SENTENCE BREAK [MEND [AFTER]]: commands of this script; without MEND, what the
# doctor printed is run; AFTER follows either.
row()
{
	local name=$1 host=$2 mend=${6:-}

	eval "$5"
	report "$name: named" doctor_names "$host" "$3" "$4"
	if [ -z "$mend" ]; then
		report "$name: its commands run" mend_as_printed "$host"
	else
		eval "$mend"
	fi
	eval "${7:-}"
	hosts_wait 5 broker_answers "$host"
	report "$name: the doctor is content" doctor_is_content "$host"
	report "$name: a login latches" login
}

# A row of the long form.
more()
{
	[ "$form" = short ] || row "$@"
}

on()
{
	hosts_on "$@" || echo "FAIL in $1: ${*:2}"
}

config_keep()
{
	cp -p "$hosts_dir/$1/gss/ipsec.conf" "$hosts_dir/$1.conf"
}

config_restore()
{
	cp -p "$hosts_dir/$1.conf" "$hosts_dir/$1/gss/ipsec.conf"
}

# config_edit HOST SED-EXPRESSION
config_edit()
{
	sed -i "$2" "$hosts_dir/$1/gss/ipsec.conf"
}

rows_registration()
{
	row "plugin not registered" A broken 'nor a file \*.conf in /etc/gss/mech.d registers' \
		'on A rm /etc/gss/mech.d/ipsec.conf'
	row "registered, but the file missing" A broken 'gone.so, which is not there' \
		'on A sed -i s,mech_ipsec.so,gone.so, /etc/gss/mech.d/ipsec.conf'
	more "plugin gone" A broken "the plugin $plugin, which .* is not there" \
		'mv $plugin $plugin.kept' 'mv $plugin.kept $plugin'
	more "plugin not readable" A broken "may not read the plugin $plugin" 'chmod 600 $plugin'
	more "plugin cut short" A broken "the plugin $plugin cannot be loaded" \
		'mv $plugin $plugin.kept; head -c 5000 $plugin.kept >$plugin; chmod 755 $plugin' \
		'mv $plugin.kept $plugin'
	more "registration not readable" A broken 'may not read /etc/gss/mech.d/ipsec.conf' \
		'on A chmod 600 /etc/gss/mech.d/ipsec.conf'
	on A sh -c ': >/etc/gss/other.conf'
	doctor_under=(env GSS_MECH_CONFIG=/etc/gss/other.conf)
	more "GSS_MECH_CONFIG" A broken 'other.conf, which does not register the plugin' true
	doctor_under=()
}

rows_configuration()
{
	more "configuration writable by all" A broken 'others than its owner may write' \
		'on A chmod 666 /etc/gss/ipsec.conf'
	more "configuration of another user" A broken 'belongs to neither root nor this user' \
		'on A chown 40002 /etc/gss/ipsec.conf'
	more "configuration not readable" A broken 'may not read /etc/gss/ipsec.conf' \
		'on A chmod 600 /etc/gss/ipsec.conf'
	more "no configuration" A broken 'configuration: there is none' \
		'on A rm /etc/gss/ipsec.conf' 'config_restore A'
	more "mistake in the configuration" A broken 'ipsec.conf:.*frob' \
		'config_edit A "s/key = /frob = /"' 'config_restore A'
	row "latch = no" A broken 'latching is switched off' \
		'config_edit A "s/latch = require/latch = no/"' 'config_restore A'
	row "no identity" A broken 'identity: none is configured' \
		'config_edit A "/^\[identity\]/,/}/d"' 'config_restore A'
	more "identity for another use" A broken 'none that this user may use begins connections' \
		'config_edit A "s/^user = .*/&\nusage = accept/"' 'config_restore A'
	doctor_more=(--service "imap@${hosts_name[B]}")
	report "service that nobody answers for: named" \
		doctor_names B broken "answers for imap@${hosts_name[B]}"
	doctor_more=()
}

rows_keys()
{
	row "key world-readable" A broken 'others can read its key file' \
		'on A chmod 644 /etc/gss/alice.pem'
	more "key of another user" A broken 'may not read its key file' \
		'on A chown 40002 /etc/gss/alice.pem' 'on A chown 40001 /etc/gss/alice.pem'
	more "key file is none" A broken 'identity: alice: .*alice.pem' \
		'on A cp -p /etc/gss/alice.pem /etc/gss/kept.pem; on A sed -i s/^M/N/ /etc/gss/alice.pem' \
		'on A mv /etc/gss/kept.pem /etc/gss/alice.pem'
	doctor_user=root
	more "key world-readable, root looks" B broken 'others can read its key file' \
		'on B chmod 644 /etc/gss/sample.pem'
	doctor_user=
}

# A new key at one side, which the other side's database does not have yet.
rows_changed_key()
{
	server_again
	on A rm /etc/gss/alice.pem
	report "key file missing: named" doctor_names A broken 'its key file .* is not there'
	report "key file missing: its commands run" mend_as_printed A
	report "key file missing: the doctor is content" doctor_is_content A
	doctor_more=(--key "$(sed -n 's/.*key \(SHA256:.*\)$/\1/p' "$hosts_out/doctor.out" | head -n 1)")
	report "peer's key changed: a login fails" eval '! login'
	row "peer's key changed" B broken 'has another key for alice@example.org' true '' server_again
	doctor_more=()
}

rows_peers()
{
	local key

	key=$(hosts_fingerprint sample)
	more "empty peer database" A broken 'does not have host-b.example' \
		'config_edit A "/^\[peer\]/,/}/d"' 'config_restore A'
	doctor_more=(--key "$key")
	row "peer unknown" A broken 'does not have host-b.example' \
		'config_edit A "/^host-b = /,/}/d"'
	config_restore A
	row "peer's key, another name" A broken 'but it is host-c.example there' \
		'config_edit A "s/host = host-b/host = host-c/"' 'config_restore A'
	row "peer's old key" A broken 'has another key for host-b.example' \
		'config_edit A "s|key = SHA256:...|key = SHA256:AAA|"'
	config_restore A
	doctor_more=(--service sample@host-b)
	report "a host's short name: named" doctor_names A broken 'does not have host-b, but host-b.example'
	doctor_more=()
	printf '[peer]\n\tthemselves = {\n\t\tuser = %s\n\t\tkey = %s\n\t}\n' "$hosts_user" "$(own_key)" \
		>>"$hosts_dir/A/gss/ipsec.conf"
	report "own entry in the list: no trouble" doctor_names A ok 'themselves is this side itself'
	config_restore A
	more "own key in the peer database" A broken "is this side's own" \
		'config_edit A "s|key = SHA256:.*|key = $(own_key)|"' 'config_restore A'
	more "service the key may not answer for" A broken 'may not answer for the service sample' \
		'config_edit A "s|key = SHA256:.*|&\nservices = imap|"' 'config_restore A'
}

own_key()
{
	hosts_on A gss-ipsec peer show-key /etc/gss/alice.pem | grep -o 'SHA256:.*' | head -n 1
}

rows_broker()
{
	row "broker not running" A broken 'gss-ipsecd is not running' 'brokers_end A'
	more "broker killed" A broken 'nobody listens at' \
		'hosts_on A true; kill -KILL "$(broker_pid A)"; sleep 0.3'
	more "broker stopped" A broken 'does not answer: it hangs' 'kill -STOP "$(broker_pid A)"'
	row "socket not writable" A broken "may not write to the broker's socket" \
		'on A chmod 600 /run/gss-ipsec/broker.sock'
	more "socket's folder closed" A broken "cannot get to the broker's socket" \
		'on A chmod 700 /run/gss-ipsec'
	doctor_user=root
	more "socket deleted" A broken 'there is no socket' 'on A rm /run/gss-ipsec/broker.sock'
	doctor_user=
	more "user not allowed" A broken 'its --allow-user names others' \
		'broker_again A --allow-user 1'
	more "quota" A broken 'as many latches as gss-ipsecd allows' 'broker_again A --quota-user 1'
	row "eBPF refused" A broken "does not take gss-ipsecd's recorder" \
		'broker_under A /usr/bin/python3 "$here/without_bpf.py"'
	more "no CAP_BPF" A broken 'runs without the privilege CAP_BPF' \
		'broker_under A setpriv --bounding-set=-all,+net_admin,+setpcap'
	[ "$form" != short ] || return 0
	doctor_user=root
	doctor_under=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
	report "another network namespace: named" \
		doctor_names A broken 'does not serve this network namespace'
	report "another network namespace: its commands run" mend_as_printed A
	hosts_wait 5 broker_answers A
	report "another network namespace: the doctor is content" doctor_trial_is_good A
	doctor_under=()
	doctor_user=
	report "another network namespace: a login latches" login
	broker_again A
}

# In a namespace without a way to the other host all but the peer's address is as it should be.
doctor_trial_is_good()
{
	doctor_on "$1"
	grep -q '^ok .*trial: .* latched over IPv4' "$hosts_out/doctor.out" || show
}

# The oldest of HOST's: workers are younger.
broker_pid()
{
	local place pid oldest=

	place=$(readlink "/proc/${hosts_pid[host$1]}/ns/net")
	for pid in /proc/[0-9]*; do
		[ "$(cat "$pid/comm" 2>/dev/null)" = gss-ipsecd ] || continue
		[ "$(readlink "$pid/ns/net")" = "$place" ] || continue
		pid=${pid#/proc/}
		[ -n "$oldest" ] && [ "$oldest" -lt "$pid" ] || oldest=$pid
	done
	echo "$oldest"
}

flush_and_unload()
{
	hosts_on A ip xfrm state flush
	hosts_on B ip xfrm state flush
	hosts_wait 5 modprobe -r "$1" || echo "FAIL modprobe -r $1"
}

# The guest has no iptables: its words are those of iptables-save, and what is called writes down its own.
iptables_make() # iptables_make LINE...
{
	printf '%s\n' '*filter' "$@" COMMIT >"$hosts_out/rules"
	printf '#!/bin/sh\ncat "%s"\n' "$hosts_out/rules" >/usr/sbin/iptables-save
	printf '#!/bin/sh\nprintf "%%s\\n" "$@" >"%s"; : >"%s"\n' "$hosts_out/words" "$hosts_out/rules" \
		>/usr/sbin/iptables
	chmod 755 /usr/sbin/iptables-save /usr/sbin/iptables
}

iptables_words_are_right()
{
	# shellcheck disable=SC2016 # nothing in it is to be run
	diff - "$hosts_out/words" <<-'END' && [ ! -e orders ]
	-t
	filter
	-D
	INPUT
	-p
	esp
	-m
	comment
	--comment
	a "b" it's $(touch orders) `touch orders`
	-j
	DROP
	END
}

rows_iptables()
{
	local esp_dropped

	IFS= read -r esp_dropped <<-'END'
	-A INPUT -p esp -m comment --comment "a \"b\" it\'s $(touch orders) `touch orders`" -j DROP
	END
	[ ! -e /usr/sbin/iptables-save ] || { report "the guest has no iptables" false; return; }
	doctor_user=root
	more "a rule of iptables" A broken 'a rule drops protocol 50' \
		'iptables_make ":INPUT ACCEPT [0:0]" "$esp_dropped"' '' \
		'report "a rule of iptables: a comment is run by no shell" iptables_words_are_right'
	more "iptables let ESP in as an answer" A warning 'chain INPUT lets protocol 50 (ESP) in as an answer only' \
		'iptables_make ":INPUT DROP [0:0]" "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"'
	more "iptables let no ESP out" A broken 'chain OUTPUT drops what no rule accepts' \
		'iptables_make ":OUTPUT DROP [0:0]" "-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"'
	doctor_user=
	rm -f /usr/sbin/iptables-save /usr/sbin/iptables
}

rows_kernel()
{
	local loader

	more "late segments unprotected" A warning 'wire/disable_policy is on' \
		'on A sysctl -qw net.ipv4.conf.wire.disable_policy=1'
	more "no loopback" A broken 'cannot connect to itself' 'on A ip link set lo down'
	doctor_user=root
	row "prescribed" A broken 'prescribes how connections with host-b.example' \
		'on A ip xfrm policy add src 10.77.0.1/32 dst 10.77.0.2/32 dir out tmpl proto esp reqid 77 mode transport level use'
	more "blocked" A broken 'action block) prescribes' \
		'on A ip xfrm policy add src 10.77.0.0/24 dst 10.77.0.1/32 dir in action block'
	row "another IPsec daemon" A warning 'another IPsec daemon runs, pluto' \
		'cp /bin/sleep /usr/bin/pluto; hosts_start other A /usr/bin/pluto 1000; sleep 0.3'
	hosts_stop other
	doctor_user=
	[ "${GUEST_KIND:-native}" != native ] || return 0
	row "esp4_offload loaded" A broken 'the module esp4_offload is loaded' 'modprobe esp4_offload'
	rm -f /etc/modprobe.d/gss-ipsec.conf
	loader=$(sysctl -n kernel.modprobe)
	sysctl -qw kernel.modprobe=/bin/false
	row "kernel without ESP" A broken 'the kernel has no ESP' 'flush_and_unload esp4'
	more "eBPF for everybody" A warning 'every user may load eBPF' \
		'sysctl -qw kernel.unprivileged_bpf_disabled=0'
	sysctl -qw kernel.modprobe="$loader"
	clock=$(date +%s)
	date -s '1990-01-01' >/dev/null
	report "clock in 1990: the doctor is content" doctor_is_content A
	report "clock in 1990: a login latches" login
	date -s "@$((clock + 2))" >/dev/null
}

judge()
{
	"$here/capture.py" --port "$exchange_port" --absent "a healthy pair" "$hosts_out/$1.pcap"
}

status_names()
{
	grep -q "$2" "$hosts_out/status.$1" || { cat "$hosts_out/status.$1"; return 1; }
}

# Well, and latched, by all there is to see: both sides' status, both captures, the program itself.
healthy()
{
	report "well: the doctor is content on A" doctor_is_content A
	report "well: the doctor is content on B" doctor_is_content B
	doctor_user=root
	report "well: root's on A" doctor_is_content A
	report "well: root's on B" doctor_is_content B
	report "well: root's on B tells what root is not offered" doctor_names B ok offered_to_root
	config_edit B "s/services = sample/&\noffered_to_root = yes/"
	report "offered to root: told no more" eval '! doctor_names B ok offered_to_root >/dev/null'
	config_restore B
	doctor_user=
	exchange_begin "a healthy pair" 10
	report "$1: both sides are latched" test $? = 0
	report "$1: status of A names the acceptor" status_names A "sample/${hosts_name[B]}"
	report "$1: status of B names the initiator" status_names B "$hosts_user"
	exchange_finish
	report "$1: the program's own result" test $? = 0
	report "$1: capture of A" judge A
	report "$1: capture of B" judge B
	hosts_stop server
}

json_is_read()
{
	doctor_more=(--json)
	doctor_on A
	doctor_more=()
	python3 -c '
import json, sys
answer = json.load(open(sys.argv[1]))
assert answer["latches"] is True
assert {"ok"} <= {row["verdict"] for row in answer["findings"]} <= {"ok", "unseen", "warning"}
assert all(set(row) == {"finding", "verdict", "area", "text", "mend", "advice"}
           for row in answer["findings"])' "$hosts_out/doctor.out"
}

. "$here/doctor_qemu.sh"

trap 'exchange_abort; brokers_end A; brokers_end B; hosts_down' EXIT
hosts_install "$1"
[ -z "${HOSTS_PRELOAD:-}" ] || preload=(env "LD_PRELOAD=$HOSTS_PRELOAD")
hosts_up
for host in A B; do
	printf '[gss-ipsec]\nlatch = require\n' >>"$hosts_dir/$host/gss/ipsec.conf"
	config_keep "$host"
	hosts_broker "$host" "${linger[@]}"
done
if [ "$form" = short ] || [ "$form" = long ]; then
	healthy "before"
	report "--json" json_is_read
fi
server_start
case $form in
short | long)
	for group in registration configuration keys peers broker iptables kernel changed_key; do
		"rows_$group"
	done
	;;
*) "${form/#qemu/rows_qemu}" ;;
esac
report_end
