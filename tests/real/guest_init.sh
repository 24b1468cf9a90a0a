#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# First process of a test's guest (see guest.sh): mounts, overlay, modules, then the job; its status
# goes to $guest_job/status on the machine below, and the guest is switched off.  With $guest_systemd
# it makes room for systemd, which runs this script's second part ("guest_init.sh job") as a service.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
real_dir=$(cd "$(dirname "$0")" && pwd)
overlay=/run/overlay
root=$overlay/root

mount_kernel()
{
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	[ "$guest_kind" = native ] || mount -t devtmpfs devtmpfs /dev
	mkdir -p /dev/pts /dev/shm
	mount -t devpts -o ptmxmode=0666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount -t tmpfs -o mode=0755 tmpfs /run
}

# In User Mode Linux overlay is a module, in a place of its own; modprobe wants lib/modules.
load_overlay()
{
	local release

	grep -qw overlay /proc/filesystems && return 0
	release=$(uname -r)
	mkdir -p /run/modules/lib/modules
	ln -s "/usr/lib/uml/modules/$release" "/run/modules/lib/modules/$release"
	modprobe -d /run/modules overlay
}

# A private root: reads go through to the machine below, writes stay in memory.
mount_overlay()
{
	local dir tree

	load_overlay || return 1
	mkdir -p "$overlay/upper" "$overlay/work" "$root" || return 1
	mount -t overlay -o "lowerdir=/,upperdir=$overlay/upper,workdir=$overlay/work" overlay \
		"$root" || return 1
	for dir in /proc /sys /dev; do
		mount --rbind "$dir" "$root$dir" || return 1
	done
	mount -t tmpfs -o mode=0755 tmpfs "$root/run" || return 1
	tree=$(cd "$real_dir/../.." && pwd)
	if [ "$guest_kind" = native ]; then
		mount --bind -o ro "$tree" "$root$tree" || return 1
	fi
	mkdir -p "$root$guest_job" && mount --bind "$guest_job" "$root$guest_job"
}

make_devices()
{
	mkdir -p /dev/net
	[ -c /dev/net/tun ] || mknod /dev/net/tun c 10 200
	ln -sfn /proc/self/fd /dev/fd
	ln -sfn /proc/self/fd/0 /dev/stdin
	ln -sfn /proc/self/fd/1 /dev/stdout
	ln -sfn /proc/self/fd/2 /dev/stderr
	chmod 0666 /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx 2>/dev/null
}

# The overlay becomes the root of every process, so that the kernel's own modprobe runs in it too;
# the root below goes out of reach.
enter_overlay()
{
	mkdir -p "$root/run/below" && cd "$root" && pivot_root . run/below && cd / && umount -l /run/below
}

prepare_job()
{
	mount_overlay && enter_overlay || return 125
	"$real_dir/kernel_modules.sh" "$guest_kind" "${guest_cache:-}" || return 125
	ip link set lo up
	hostname guest
	echo 2 >/proc/sys/kernel/unprivileged_bpf_disabled
}

run_job()
{
	env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 TERM=dumb "$guest_job/run.sh"
}

end_job()
{
	echo "$1" >"$guest_job/status"
	sync
	[ "$guest_kind" != native ] || exit 0
	sleep 0.3
	echo o >/proc/sysrq-trigger
	sleep 30
}

# Of a boot, the log and what a service needs: nothing that this machine has enabled for itself, and
# nobody who would empty /tmp or wait for devices.
become_systemd()
{
	local units=/run/systemd/system unit

	mkdir -p "$units" /run/systemd/system-generators
	for unit in /lib/systemd/system-generators/*; do
		ln -s /dev/null "/run/systemd/system-generators/${unit##*/}"
	done
	for unit in /lib/systemd/system/sysinit.target.wants/* /etc/systemd/system/sysinit.target.wants/*; do
		case $unit in *journald*) ;; *) ln -sf /dev/null "$units/${unit##*/}" ;; esac
	done
	ln -s /dev/null "$units/timers.target"
	# It says what this machine is, to whom asks where he runs.
	rm -f /.dockerenv
	cat >"$units/guest.service" <<-UNIT
		[Unit]
		Requires=basic.target
		After=basic.target
		[Service]
		Environment=guest_kind=$guest_kind guest_job=$guest_job
		ExecStart=$real_dir/guest_init.sh job
		StandardOutput=tty
		StandardError=tty
	UNIT
	exec /lib/systemd/systemd --unit=guest.service --show-status=no --log-target=journal-or-kmsg
}

if [ "${1:-}" = job ]; then
	run_job
	end_job $?
fi
if [ "$guest_kind" = native ]; then
	mount --make-rprivate /
fi
mount_kernel 2>/dev/null
if [ "$guest_kind" = qemu ]; then
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 job "$guest_job"
fi
[ "$guest_kind" = native ] || make_devices 2>/dev/null
prepare_job || end_job $?
[ -z "${guest_systemd:-}" ] || become_systemd
run_job
end_job $?
