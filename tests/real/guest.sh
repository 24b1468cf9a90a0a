#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs SCRIPT as root in a kernel that has ESP, over a private overlay of this machine's root:
#
#   guest.sh KIND SCRIPT [ARGS...]
#
# KIND: native (this machine's kernel, in namespaces), uml (User Mode Linux), qemu (Debian's stock
# kernel, two processors), or auto: native where the kernel can add an ESP SA, else uml, else qemu.
#
# SCRIPT's output comes out here, its exit status is the exit status (124: it ran out of time; 125:
# the guest did not start).  What it writes to $GUEST_OUT stays on this machine; nothing else does.
#   GUEST_TIMEOUT   seconds SCRIPT may take (default 300)
#   GUEST_OUT       folder on this machine that SCRIPT may write to (default: a temporary one)
#   GUEST_ENV       names of variables handed on to SCRIPT
#   GUEST_MEMORY    default 768M
#   GUEST_CACHE     where qemu's kernel is kept (default build-guest/ in the tree)
#   GUEST_QUIET     set: do not say on stderr which kernel runs
#   GUEST_SYSTEMD   set: the guest's first process is Debian's systemd, and SCRIPT a service of it
set -u

real_dir=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$real_dir/../.." && pwd)
. "$real_dir/processors.sh"
cache=${GUEST_CACHE:-$tree/build-guest}
seconds=${GUEST_TIMEOUT:-300}
memory=${GUEST_MEMORY:-768M}

die()
{
	echo "guest.sh: $*" >&2
	exit 125
}

note()
{
	[ -n "${GUEST_QUIET:-}" ] || echo "guest.sh: $*" >&2
}

native_can_esp()
{
	[ "$(id -u)" = 0 ] || return 1
	grep -qs '^esp[46]_offload ' /proc/modules && return 1
	unshare --net -- sh -c 'ip link set lo up && ip xfrm state add src 127.0.0.1 dst 127.0.0.2 \
		proto esp spi 0x100 mode transport aead "rfc4106(gcm(aes))" \
		0x0000000000000000000000000000000000000000000000000000000000000000000000ff 128' \
		2>/dev/null
}

pick_kind()
{
	if [ -z "${GUEST_SYSTEMD:-}" ] && native_can_esp; then
		kind=native
	elif command -v linux.uml >/dev/null; then
		kind=uml
	else
		kind=qemu
	fi
}

# The command with its folder and variables, as one script that the guest's init runs.
write_job()
{
	local name
	{
		echo '#!/bin/bash'
		for name in GUEST_OUT GUEST_KIND GUEST_BELOW ${GUEST_ENV:-}; do
			[ -z "${!name+set}" ] || printf 'export %s=%q\n' "$name" "${!name}"
		done
		printf 'cd %q || exit 125\nexec timeout -k 5 %q' "$PWD" "$seconds"
		printf ' %q' "$@"
		echo
	} >"$job/run.sh"
	chmod 0755 "$job/run.sh"
}

run_native()
{
	guest_kind=native guest_job=$job unshare --mount --net --pid --fork --kill-child --uts --ipc -- \
		"$real_dir/guest_init.sh" </dev/null &
	guest_pid=$!
	wait "$guest_pid"
}

run_uml()
{
	command -v linux.uml >/dev/null || die "linux.uml is missing; install user-mode-linux"
	# Processors with AMX need the preloaded part (see there); with it all are faster.
	cc -std=c11 -D_GNU_SOURCE -O2 -shared -fPIC -o "$job/uml_xstate.so" \
		"$real_dir/uml_xstate.c" || die "uml_xstate.c does not compile"
	# A session of its own, so that every process of the guest can be ended by its group.  On one processor,
	# as it does one thing at a time: waking its other half on another takes half as long again.
	LD_PRELOAD=$job/uml_xstate.so setsid taskset -c "$(processors_allowed | shuf -n 1)" \
		linux.uml "mem=$memory" rootfstype=hostfs rootflags=/ rw quiet loglevel=1 \
		"uml_dir=$job/uml/" con=null con0=null,fd:1 "init=$real_dir/guest_init.sh" \
		guest_kind=uml "guest_job=$job" ${GUEST_SYSTEMD:+guest_systemd=yes} \
		</dev/null >>"$job/console" 2>&1 &
	guest_pid=$!
	wait_guest
}

run_qemu()
{
	command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86 is missing"
	"$real_dir/guest_kernel.sh" "$cache" >&2 || die "no kernel for the guest"
	setsid qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" -nodefaults \
		-no-user-config -display none -serial stdio -monitor none -no-reboot -nic none \
		-kernel "$cache/vmlinuz" -initrd "$cache/initrd.gz" \
		-append "console=ttyS0 quiet loglevel=1 panic=-1 random.trust_cpu=on guest_kind=qemu \
guest_job=$job guest_init=$real_dir/guest_init.sh guest_cache=$cache${GUEST_SYSTEMD:+ guest_systemd=yes}" \
		-virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap \
		-virtfs "local,path=$job,mount_tag=job,security_model=none,multidevs=remap" \
		</dev/null >>"$job/console" 2>&1 &
	guest_pid=$!
	wait_guest
}

# Shows the console as it grows, until the guest ends or its time is over.
wait_guest()
{
	local limit=$((SECONDS + seconds + 60)) shown

	tail -c +1 -s 0.2 -f --pid="$guest_pid" "$job/console" 2>/dev/null | sed -u -E \
		-e 's/\r*$//' -e '/^(\[ *[0-9.]+\] )?(sysrq: Power Off|reboot: Power down)$/d' &
	shown=$!
	while kill -0 "$guest_pid" 2>/dev/null; do
		[ "$SECONDS" -lt "$limit" ] || kill -KILL -- "-$guest_pid"
		sleep 0.2
	done
	wait "$shown"
}

clean_up()
{
	if [ -n "$guest_pid" ] && [ "$kind" != native ]; then
		kill -KILL -- "-$guest_pid" 2>/dev/null
	elif [ -n "$guest_pid" ]; then
		kill -KILL "$guest_pid" 2>/dev/null # unshare minds no TERM, and takes all in it along
	fi
	rm -rf "$job"
}

[ $# -ge 2 ] || die "usage: guest.sh native|uml|qemu|auto SCRIPT [ARGS...]"
kind=$1
shift
[ "$(id -u)" = 0 ] || die "needs root (namespaces, and root's view of the files in the guest)"
case $kind in
auto) pick_kind ;;
native | uml | qemu) ;;
*) die "unknown kind of guest: $kind" ;;
esac
[ "$kind" != native ] || native_can_esp || die "this machine's kernel cannot add an ESP SA"
[ "$kind" != native ] || [ -z "${GUEST_SYSTEMD:-}" ] || die "native has no first process of its own"

guest_pid=
job=$(mktemp -d /tmp/gss-ipsec-guest.XXXXXX) || die "no temporary folder"
trap clean_up EXIT
trap 'exit 130' INT TERM
out=${GUEST_OUT:-}
: >"$job/console"
mkdir -p "$job/out" "$job/uml"
GUEST_BELOW=$(uname -r)
export GUEST_KIND=$kind GUEST_OUT=$job/out GUEST_BELOW
write_job "$@"
note "running $1 in: $kind"
"run_$kind"
if [ -n "$out" ]; then
	mkdir -p "$out" && cp -R "$job/out/." "$out/"
fi
[ -s "$job/status" ] || die "the guest ended without a result"
exit "$(cat "$job/status")"
