#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The broker as a service of systemd, which is this guest's first process: systemd.sh STAGED.  Host A
# is the guest itself, with the units as they are installed and the commands of README.md; B is as
# in other tests.  What a restart, a crash and a stop do to a latched connection.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"

text="a service of systemd"
unit=gss-ipsecd.service
socket=gss-ipsecd.socket
drop_ins=/etc/systemd/system/$unit.d

# A is who runs this: its own /etc/gss, /etc/hosts and /run are the guest's.
eval "$(declare -f hosts_make_one | sed '1s/.*/hosts_make_namespace ()/')"
hosts_make_one()
{
	[ "$1" = A ] || { hosts_make_namespace "$1"; return; }
	mkdir -p "$hosts_dir/A/home/alice"
	ln -s /etc/gss "$hosts_dir/A/gss"
	chown "${hosts_uid[alice]}" "$hosts_dir/A/home/alice"
	printf '127.0.0.1 localhost\n%s %s\n%s %s\n' "${hosts_address[A]}" "${hosts_name[A]}" \
		"${hosts_address[B]}" "${hosts_name[B]}" >/etc/hosts
	(
		trap - EXIT
		exec sleep infinity
	) &
	hosts_pid[hostA]=$!
}

# readme BEGINNING: runs README.md's command that begins so, without the remark behind it.
readme()
{
	local command
	command=$(sed -n "s/^    \($1.*\)/\1/p" "$here/../../README.md" | sed 's/  *# .*//')
	[ -n "$command" ] && bash -ec "$command"
}

property()
{
	systemctl show --value -p "$1" "$unit"
}

is_running()
{
	[ "$(systemctl is-active "$unit")" = active ] && [ "$(property SubState)" = running ]
}

# The units have no word that systemd does not know, nor an order that it cannot keep.
verified()
{
	local said
	said=$(systemd-analyze verify --man=no "$unit" "$socket" 2>&1)
	[ -z "$said" ] || { echo "$said"; return 1; }
}

listens()
{
	[ "$(systemctl is-enabled "$unit" "$socket" | sort -u)" = enabled ] &&
		[ "$(systemctl is-active "$unit" "$socket" | sort -u)" = active ] &&
		[ "$(stat -c '%F %a %U' /run/gss-ipsec/broker.sock)" = "socket 666 root" ] &&
		[ "$(stat -c '%a %U' /run/gss-ipsec)" = "755 root" ] &&
		[ "$(stat -c '%a %U' /run/gss-ipsec/state)" = "600 root" ]
}

alice_asks()
{
	hosts_as alice A gss-ipsec status
}

# What the running daemon has left: CAP_NET_ADMIN and CAP_BPF, no new ones, its list of calls, its turn.
confined()
{
	local status stat
	status=$(cat "/proc/$(property MainPID)/status")
	stat=$(cut -d ' ' -f 19 "/proc/$(property MainPID)/stat")
	echo "$status nice $stat"
	for set in CapPrm CapEff CapBnd; do
		echo "$status" | grep -q "^$set:.0000008000001000$" || return 1
	done
	echo "$status" | grep -q '^CapAmb:.0*$' && echo "$status" | grep -q '^NoNewPrivs:.1' &&
		echo "$status" | grep -q '^Seccomp:.2' && [ "$stat" = -10 ]
}

journal_has()
{
	journalctl -q --no-pager -u "$unit" >"$hosts_out/journal"
	grep -q "gss-ipsecd\[.*$1" "$hosts_out/journal" || { cat "$hosts_out/journal"; return 1; }
}

# A's connections that are latched now, without what counts up.
spis()
{
	gss-ipsec status --json >"$hosts_out/spis.json" && python3 -c '
import json, sys
for row in json.load(open(sys.argv[1]))["connections"]:
    if row["state"] == "established":
        print(row["spi_in"], row["spi_out"])' "$hosts_out/spis.json"
}

same_latch()
{
	spis >"$hosts_out/now" && [ -s "$hosts_out/now" ] && diff "$hosts_out/before" "$hosts_out/now"
}

named()
{
	grep "peer: *sample/${hosts_name[B]}\$" "$hosts_out/status.A" &&
		grep "peer: *$hosts_user\$" "$hosts_out/status.B" && return 0
	cat "$hosts_out/status.A" "$hosts_out/status.B"
	return 1
}

is_started_by_question()
{
	! is_running && hosts_wait 30 alice_asks && is_running
}

again_with_another_pid()
{
	is_running && [ "$(property MainPID)" != "$1" ]
}

killed()
{
	local pid
	pid=$(property MainPID)
	kill -KILL "$pid"
	hosts_wait 30 again_with_another_pid "$pid" && [ "$(property NRestarts)" = 1 ]
}

judge()
{
	"$here/capture.py" --port "$exchange_port" --absent "$text" "$hosts_out/$1.pcap"
}

# One connection, through all that an administrator and an accident may do.
through_it()
{
	exchange_begin "$text" 20
	report "a login is latched on both sides" test $? = 0
	report "each side names the other" named
	report "the kernel has loaded esp4 for it" grep '^esp4 ' /proc/modules
	spis >"$hosts_out/before"
	report "restart" systemctl restart "$unit"
	report "restart: the latch is found again" hosts_wait 30 same_latch
	report "killed: systemd starts it anew" killed
	report "killed: the latch is found again" hosts_wait 30 same_latch
	systemctl stop "$unit" 2>"$hosts_out/stop"
	report "stopped: the next question starts it" is_started_by_question
	report "stopped: the latch is found again" same_latch
	systemctl stop "$unit" "$socket"
	report "both units stopped: no process, no socket" all_is_over
	exchange_finish
	report "both units stopped: the connection goes on to its end" test $? = 0
	report "capture of A" judge A
	report "capture of B" judge B
}

all_is_over()
{
	[ ! -s "/sys/fs/cgroup/system.slice/$unit/cgroup.procs" ] && [ ! -e /run/gss-ipsec/broker.sock ] &&
		! alice_asks
}

closed_is_known()
{
	gss-ipsec status --json >"$hosts_out/closed.json" &&
		grep -q "$(head -n 1 "$hosts_out/before" | cut -d ' ' -f 1)" "$hosts_out/closed.json"
}

# --- the doctor, whose commands are systemd's here ---

doctor()
{
	"$@" timeout 60 gss-ipsec doctor --service "sample@${hosts_name[B]}" >"$hosts_out/doctor.out" 2>&1
}

doctor_as_alice()
{
	doctor hosts_as alice A
}

# In a namespace without a way to the other host; the trial is within it.
doctor_elsewhere()
{
	doctor unshare --net sh -c 'ip link set lo up && exec "$@"' sh
	grep -q '^ok .*trial: .* latched over IPv4' "$hosts_out/doctor.out"
}

# mended SENTENCE ASKING: it says so, its commands run as printed, and then it is content.
mended()
{
	local command

	! "$2" && grep -q "^broken .*$1" "$hosts_out/doctor.out" || { cat "$hosts_out/doctor.out"; return 1; }
	command=$(sed -n 's/^ *mend: \(.*systemctl\)/\1/p' "$hosts_out/doctor.out")
	[ -n "$command" ] && sh -ec "$command" || { cat "$hosts_out/doctor.out"; return 1; }
	hosts_wait 30 alice_asks
	"$2" || { echo "$command"; cat "$hosts_out/doctor.out"; return 1; }
}

# What "systemctl edit" does with the lines on standard input.
edited()
{
	mkdir -p "$drop_ins" && cat >"$drop_ins/override.conf"
	systemctl daemon-reload && systemctl restart "$unit"
	hosts_wait 30 gss-ipsec status
}

manual_lines()
{
	sed -n '/systemctl edit/,/^\.fi/p' "$here/../../doc/gss-ipsecd.8" |
		sed -e '1,/^\.nf/d' -e '/^\.fi/d' -e 's/\\-/-/g'
}

# All but its options are the lines that gss-ipsecd(8) has under CONTAINERS.
as_in_manual()
{
	manual_lines | grep -v '^ExecStart=/' >"$hosts_out/manual" && [ -s "$hosts_out/manual" ] &&
		grep -v '^ExecStart=/' "$drop_ins/zz-doctor.conf" | diff "$hosts_out/manual" -
}

# The second one's options go on in the third.
doctors()
{
	report "doctor: not running" mended 'gss-ipsecd is not running' doctor_as_alice
	report "doctor: the connection that was closed meanwhile is known" closed_is_known
	printf '[Service]\nExecStart=\nExecStart=/usr/sbin/gss-ipsecd --allow-user 1\n' | edited
	report "doctor: a user that is not allowed" mended 'its --allow-user names others' doctor_as_alice
	report "doctor: a network namespace" mended 'does not serve this network' doctor_elsewhere
	report "doctor: what --namespaces wants is what gss-ipsecd(8) says" as_in_manual
}

trap 'exchange_abort; hosts_down' EXIT
[ "$(cat /proc/1/comm)" = systemd ] || hosts_die "the first process here is not systemd"
hosts_install "$1"
hosts_up
hosts_broker B
report "systemd-analyze verify" verified
modprobe -r esp4
report "esp4 is not loaded" eval '! grep -q "^esp4 " /proc/modules'
report "README's commands" readme 'systemctl daemon-reload'
report "enabled, running, a socket for everybody" hosts_wait 30 listens
report "an ordinary user is answered" hosts_wait 30 alice_asks
report "it has what it needs and no more" confined
report "its log is in the journal" hosts_wait 10 journal_has "serves /run/gss-ipsec/broker.sock"
through_it
doctors
report "its log is all in the journal" hosts_wait 10 journal_has 'adopted 1 leases'
report_end
