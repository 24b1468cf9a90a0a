#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The broker against the kernel, without GSS-API: broker.sh STAGED BUILD.  First how it is started, and
# what it may have then; see sandbox_probe.c and broker_probe.c for the rest.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"

socket=/run/start.sock
log=/run/start.log

# starts CMD...: it serves; then it is there as $daemon.
starts()
{
	: >"$log"
	"$@" --socket "$socket" --state /run/start >"$log" 2>&1 </dev/null &
	daemon=$!
	hosts_wait 10 grep -q 'gss-ipsecd serves /' "$log" && return 0
	cat "$log"
	return 1
}

ends()
{
	kill "$daemon" && wait "$daemon"
}

serves()
{
	starts "$@" && ends
}

# refuses PATTERN CMD...: it ends with status 1 and says so.
refuses()
{
	local pattern=$1
	shift
	timeout 20 "$@" --socket "$socket" --state /run/start >"$log" 2>&1 </dev/null
	[ $? = 1 ] && grep -q "$pattern" "$log" && return 0
	cat "$log"
	return 1
}

# with_files HARD CMD...: with this limit of open files.
with_files()
{
	ulimit -n "$1"
	shift
	exec "$@"
}
export -f with_files

limit_is_raised()
{
	local limit
	starts bash -c 'with_files 1024 gss-ipsecd "$@"' bash || return 1
	limit=$(awk '/^Max open files/ { print $5 }' "/proc/$daemon/limits")
	ends && [ "$limit" -gt 16384 ]
}

# Whoever asks does not make it look again each time, nor fill the log.
probes_seldom()
{
	starts /usr/bin/python3 "$here/without_bpf.py" gss-ipsecd || return 1
	setpriv --reuid 40001 --regid 40001 --clear-groups -- /usr/bin/python3 -c '
import socket, sys
for i in range(300):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.send(b"\1\6")
    if s.recv(100)[1] != 11:
        sys.exit("ping %d: not no-bpf" % i)' "$socket" || return 1
	ends && [ "$(grep -c 'refuses the recorder' "$log")" -lt 10 ] && return 0
	sort "$log" | uniq -c | tail
	return 1
}

hosts_install "$1"
report "a low hard limit of open files is raised" limit_is_raised
report "one that is too low, and may not be raised" refuses 'RLIMIT_NOFILE) is 1024' \
	bash -c 'with_files 1024 setpriv --bounding-set -sys_resource -- gss-ipsecd "$@"' bash
report "one that is low, and may not be raised" serves \
	bash -c 'with_files 2048 setpriv --bounding-set -sys_resource -- gss-ipsecd "$@"' bash
report "--namespaces without CAP_SYS_ADMIN" refuses 'CAP_SYS_ADMIN' \
	setpriv --bounding-set -sys_admin -- gss-ipsecd --namespaces
report "--namespaces without CAP_BPF" serves setpriv --bounding-set -bpf -- gss-ipsecd --namespaces
report "--namespaces as a nice process" serves nice -n 5 gss-ipsecd --namespaces
report "a kernel without the recorder is asked now and then" probes_seldom
"$2/tests/real/sandbox_probe" || report_failed=$((report_failed + 1))
"$2/tests/real/broker_probe" "$(command -v gss-ipsecd)" || report_failed=$((report_failed + 1))
report_end
