#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Unusual programs: hosting.sh STAGED BUILD.  They load the library by dlopen(), change root or user,
# fork, exec and close their descriptors at every moment, may not do what others may, or have no
# descriptor and no memory left (hosting.c).  Each is latched as it should be, or has a clear reason.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"

staged=$1
build=$2
port=4747
program=/usr/bin/hosting
alice=${hosts_uid[alice]}
sample=${hosts_uid[sample]}
text="said by a program of its own kind"
client_latched="client: latched ok latched 0"
server_latched="server: latched ok latched 0"

# Alice's key and configuration for a program that begins as root, or is another user's.
hosting_configure()
{
	install -m 600 "$hosts_dir/A/gss/alice.pem" "$hosts_dir/A/gss/alice-of-root.pem"
	install -m 600 "$hosts_dir/B/gss/sample.pem" "$hosts_dir/B/gss/sample-of-root.pem"
	sed 's/alice\.pem/alice-of-root.pem/' "$hosts_dir/A/gss/ipsec.conf" >"$hosts_dir/A/gss/root.conf"
	sed 's/sample\.pem/sample-of-root.pem/' "$hosts_dir/B/gss/ipsec.conf" >"$hosts_dir/B/gss/root.conf"
	{
		printf '[gss-ipsec]\n\tbroker = %s/broker.sock\n' "$own"
		cat "$hosts_dir/A/gss/ipsec.conf"
	} >"$hosts_dir/A/gss/hung-up.conf"
	printf '[identity]\n\tmallory = {\n\t\tkey = /etc/gss/mallory.pem\n\t\tuser = mallory@example.org\n\t}\n' \
		>"$hosts_dir/A/gss/mallory.conf"
	chmod 644 "$hosts_dir"/?/gss/*.conf
	install -o "$alice" -m 4755 "$build/tests/real/hosting" /usr/bin/hosting_of_alice
}

listens()
{
	grep -q '^listening' "$hosts_out/$1.log"
}

# Of a program that became a daemon, too.
has_said()
{
	grep -qE "^(result|rest of|hosting failed|no credential)" "$hosts_out/$1.log"
}

# How a client is run: one of these is in $how.
client_as()
{
	hosts_as alice A env "HOSTING_DIR=$own" timeout 20 "$@"
}

client_as_root()
{
	hosts_on A env "HOSTING_DIR=$own" "HOSTING_ROOT=$root" GSS_IPSEC_CONFIG=/etc/gss/root.conf \
		timeout 20 "$@"
}

# ask NAME TWIST [ARGUMENTS...]
ask()
{
	local name=$1 twist=$2
	shift 2

	"$how" "${loader[@]}" "$program" ask "$twist" "$port" "${hosts_name[B]}" "$@" \
		>"$hosts_out/$name.log" 2>&1 </dev/null
	client_status=$?
	hosts_wait 5 has_said "$name"
}

# No death by a signal, no endless wait; and each line, a pattern, is there.
says()
{
	local name=$1 line
	shift

	[ "${client_status:-0}" -lt 124 ] || {
		echo "ended with $client_status"
		cat "$hosts_out/$name.log"
		return 1
	}
	for line; do
		grep -qxE "$line" "$hosts_out/$name.log" || {
			echo "missing: $line"
			cat "$hosts_out/$name.log"
			return 1
		}
	done
}

# Latched and talking; or what it says instead.
latched()
{
	local name=$1
	shift
	says "$name" "result $client_latched" "client talked" "$@"
}

# refused NAME REASON [SENTENCE]
refused()
{
	says "$1" "result client: $2 failed clear 0" "status: .*${3:-}.*"
}

# Either is right, and which one is for the system to decide; but nothing else.
latched_or_refused()
{
	local name=$1

	grep -qx "result $client_latched" "$hosts_out/$name.log" && { latched "$name"; return; }
	# Before the mechanism is asked, MIT's library has no memory itself, and no words for it.
	[ "${mit_is_speechless:-}" = "" ] || {
		says "$name" "result client: unknown failed clear 0"
		return
	}
	says "$name" "result client: [a-z-]+ failed clear 0|no credential" &&
		grep -v 'Unspecified GSS failure' "$hosts_out/$name.log" | grep -q '^status: ..........' &&
		return 0
	cat "$hosts_out/$name.log"
	return 1
}

# Once more as usual: nobody has broken anything.
plain_goes_on()
{
	ask "$1-after" plain
	latched "$1-after"
}

trap hosts_down EXIT
hosts_install "$staged"
hosts_install_programs "$build/tests/real/hosting" "$build/tests/real/hosting_loader" \
	"$build/tests/real/.libs/libhosting.so"
hosts_up
own=$hosts_dir/own
root=$hosts_dir/root
mkdir -m 1777 "$own"
mkdir -p "$root/run/gss-ipsec"
loader=()
how=client_as
hosting_configure
hosts_broker A --linger-seconds 1
hosts_broker B --linger-seconds 1
hosts_capture A "$hosts_out/A.pcap"
hosts_capture B "$hosts_out/B.pcap"
hosts_start server as sample B "$program" serve plain "$port" -
hosts_wait 10 listens server || hosts_die "the server does not listen"

# --- how it is loaded ---

ask plain plain
report "plain" latched plain
loader=(hosting_loader local)
program=/usr/bin/libhosting.so
ask local plain
report "loaded by dlopen(), RTLD_LOCAL" latched local
loader=(hosting_loader apart)
ask apart plain
report "loaded by dlmopen(), in a namespace of its own" latched apart
loader=()
program=/usr/bin/hosting

# --- who it is ---

setuid_ask()
{
	hosts_on A setpriv --reuid "$sample" --regid "$sample" --clear-groups env \
		GSS_MECH_CONFIG=/dev/null GSS_IPSEC_CONFIG=/etc/gss/mallory.conf "HOME=$own" timeout 20 "$@"
}
how=setuid_ask
program=/usr/bin/hosting_of_alice
ask setuid plain
report "setuid: the environment counts for nothing, the owner's key is taken" latched setuid
program=/usr/bin/hosting
how=client_as_root
ask drops-root drops-root "$alice"
report "root reads the key and becomes a user" latched drops-root
ask chroot-first chroot-first "$alice"
report "chroot before the library is loaded" says chroot-first "no credential" "status: .+"
ask chroot chroot "$alice"
report "chroot without /proc: no-proc" refused chroot no-proc "/proc is not visible here"
ask chroot-no-broker chroot named "$alice"
report "chroot, descriptor named, no broker's socket: no-broker" refused chroot-no-broker no-broker \
	"gss-ipsecd does not answer"
hosts_on A mount --bind /run/gss-ipsec "$root/run/gss-ipsec"
ask chroot-named chroot named "$alice"
report "chroot without /proc, descriptor named, broker's socket there" latched chroot-named
how=client_as

# --- processes ---

for twist in forks-child forks-parent vforks daemonises execs-anew small-stack; do
	ask "$twist" "$twist"
	hosts_wait 5 grep -q '^client talked' "$hosts_out/$twist.log"
	report "$twist" latched "$twist"
done
ask rivals forks-rivals
report "forks-rivals: the first is latched" latched rivals "talked on"
report "forks-rivals: the second is not" says rivals "result client: already-latched (failed|unfinished) latched 0"
ask execs execs
report "execs: the next program has the latched connection" latched execs "rest of client: latched"
report "execs: and no other descriptor" eval '! grep "^left open" "$hosts_out/execs.log"'

# --- descriptors ---

ask closes-all closes-all
report "closes-all: the second login is latched too" latched closes-all
report "closes-all: the program's files are untouched" says closes-all "files untouched: 24"
ask closes-midway closes-midway
report "closes-midway: socket-gone" says closes-midway \
	"result client: socket-gone (failed|unfinished) clear 0"
report "closes-midway: the program's files are untouched" says closes-midway "files untouched: 24"
for named in "" named; do
	ask "standard$named" closes-standard $named
	report "closes-standard $named" latched "standard$named" "files untouched: 24"
done
for number in 0 1 2; do
	ask "descriptors-first$number" descriptors-first "$number"
	report "descriptors-first: $number left" latched_or_refused "descriptors-first$number"
	ask "descriptors$number" descriptors "$number"
	report "descriptors: $number left" latched_or_refused "descriptors$number"
done
ask descriptors-named descriptors named 2
report "descriptors: two are enough" latched descriptors-named
ask descriptors-one descriptors named 1
report "descriptors: one is not" refused descriptors-one too-many "ulimit -n"

# A program that another thread runs at any moment inherits nothing.  Two files are opened by others, and
# closed again: MIT's profile library reads the configuration, OpenSSL its own.
closes_on_exec()
{
	sed -n '/mech_ipsec\.so/,$p' "$own/trace" >"$own/trace.ours"
	grep -c CLOEXEC "$own/trace.ours" | grep -q '[0-9][0-9]' || { echo "no trace"; return 1; }
	! grep -vE 'CLOEXEC|= -1 E|F_GETF|"/etc/gss/ipsec.conf", O_RDONLY\)|openssl.cnf", O_RDONLY\)|\+\+\+ exited' \
		"$own/trace.ours"
}
traced_ask()
{
	client_as strace -o "$own/trace" \
		-e trace=open,openat,openat2,socket,socketpair,accept4,dup,dup2,dup3,fcntl,pipe2,memfd_create,eventfd2,epoll_create1 \
		"$@"
}
how=traced_ask
ask traced plain
report "traced" latched traced
report "traced: every descriptor is close-on-exec" closes_on_exec
how=client_as

# --- what it may do ---

for twist in filters-first filters-most; do
	ask "$twist" "$twist"
	report "$twist" latched_or_refused "$twist"
done
ask filters-files filters-files
report "filters-files: no-proc" refused filters-files no-proc
ask filters-files-named filters-files named
report "filters-files, descriptor named" latched filters-files-named
ask filters-sockets filters-sockets
report "filters-sockets: no-broker" refused filters-sockets no-broker
for number in 0 16 256 1024; do
	ask "memory$number" memory "$number"
	[ "$number" -ge 16 ] || mit_is_speechless=yes
	report "memory: $number kB left" latched_or_refused "memory$number"
	mit_is_speechless=
done

# --- who disturbs it ---

ask interrupted interrupted
report "interrupted" latched interrupted "interruptions: many"
hung_up_ask()
{
	client_as env GSS_IPSEC_CONFIG=/etc/gss/hung-up.conf "$@"
}
how=hung_up_ask
ask hung-up hung-up
report "a broker that hangs up: no-broker, and no SIGPIPE" refused hung-up no-broker
how=client_as
report "and as usual again" plain_goes_on usual
report "the server lived through all" says server "result $server_latched"
hosts_stop server

# --- the same at the server ---

# serve TWIST [ARGUMENTS...], as sample or as root
serve()
{
	local name=serve-$1 twist=$1 as=(as sample B)
	shift

	[ "${serve_as_root:-}" = "" ] || as=(B env GSS_IPSEC_CONFIG=/etc/gss/root.conf "HOSTING_ROOT=$root")
	hosts_start "$name" "${as[@]}" env "HOSTING_DIR=$own" "${server_loader[@]}" "$program" serve \
		"$twist" "$port" - "$@"
	hosts_wait 10 listens "$name" || hosts_die "$name does not listen"
	program=/usr/bin/hosting ask "ask-$twist" plain
	hosts_wait 5 grep -q '^server talked' "$hosts_out/$name.log"
	hosts_stop "$name"
}

served()
{
	local name=$1
	shift
	client_status=0
	says "serve-$name" "result $server_latched" "server talked" "$@" && latched "ask-$name"
}

server_loader=()
for twist in forks-child forks-parent vforks small-stack interrupted; do
	serve "$twist"
	report "server: $twist" served "$twist"
done
serve closes-standard
report "server: closes-standard" served closes-standard "files untouched: 24"
serve execs
report "server: execs" served execs "rest of server: latched"
serve forks-rivals
report "server: forks-rivals" served forks-rivals
report "server: forks-rivals, the second is not latched" says serve-forks-rivals \
	"result server: [a-z-]+ failed .*"
serve_as_root=yes
serve drops-root "$sample"
report "server: root reads the key and becomes a user" served drops-root
hosts_on B mount --bind /run/gss-ipsec "$root/run/gss-ipsec"
serve chroot named "$sample"
report "server: chroot, descriptor named" served chroot
serve_as_root=

# --- a server that keeps its credential while the configuration changes ---

gss_server_listens()
{
	hosts_on B ss -Hltn "sport = :$server_port" | grep -q LISTEN
}

# gss_client NAME: Debian's, unmodified; its status is 0 in any case.
gss_client()
{
	hosts_as alice A timeout 20 gss-client -port "$server_port" -mech "$hosts_mech" \
		"${hosts_name[B]}" "sample@${hosts_name[B]}" "$text" >"$hosts_out/$1.log" 2>&1
}

is_served()
{
	gss_client "$1"
	grep -q 'Signature verified' "$hosts_out/$1.log" && return 0
	cat "$hosts_out/$1.log" "$hosts_out/gss-server.log"
	return 1
}

# is_refused NAME SENTENCE: the server's own word.
is_refused()
{
	gss_client "$1"
	! grep -q 'Signature verified' "$hosts_out/$1.log" &&
		hosts_wait 5 grep -q "$2" "$hosts_out/gss-server.log" && return 0
	cat "$hosts_out/$1.log" "$hosts_out/gss-server.log"
	return 1
}

# Looked at once a second, as those seconds are counted.
changed()
{
	"$@" >>"$hosts_out/changes.log" 2>&1 || hosts_die "cannot change the configuration: $*"
	sleep 1.1
}

server_port=4748
# It writes its errors through a buffer, else read only when it ends.
hosts_start gss-server as sample B stdbuf -oL gss-server -port "$server_port" sample
hosts_wait 10 gss_server_listens || hosts_die "gss-server does not listen"
report "gss-server: a peer is served" is_served served
changed hosts_on B gss-ipsec peer remove alice
report "gss-server: removed, it is refused, without a restart" is_refused removed \
	"the peer database of this side does not have the peer's key"
changed hosts_on B gss-ipsec peer add --tag alice "$hosts_user" "$(hosts_fingerprint alice)"
report "gss-server: added again, it is served" is_served added
changed hosts_on B sh -c 'echo "[peers]" >>/etc/gss/ipsec.conf'
report "gss-server: a mistake in the file, all are refused, with the line" is_refused mistaken \
	"ipsec.conf:[0-9]*: "
changed hosts_on B sed -i '/^.peers.$/d' /etc/gss/ipsec.conf
report "gss-server: mended, it is served" is_served mended
hosts_stop gss-server

sleep 2
hosts_stop tcpdump.A
hosts_stop tcpdump.B
report "captures: no clear byte of any program" "$here/hosting_judge.py" "$text" \
	"$hosts_out/A.pcap"
report_end
