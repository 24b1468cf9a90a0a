#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Puts Debian's stock kernel for the qemu guest into CACHE (vmlinuz, initrd.gz, tree/), unless it is
# there: downloaded and unpacked, never installed, so that /boot stays as it is.
#
#   guest_kernel.sh CACHE
set -eu

mkdir -p "$1"
cache=$(cd "$1" && pwd)
initrd_modules="9p 9pnet_virtio virtio_pci overlay"

say()
{
	echo "guest_kernel.sh: $*"
}

fetch_kernel()
{
	local package

	package=$(apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)$/\1/p' | head -n 1)
	if [ -z "$package" ]; then
		say "linux-image-amd64 is in no package list; run apt-get update"
		return 1
	fi
	say "fetching $package"
	rm -rf "$cache/tree" "$cache/deb"
	mkdir -p "$cache/deb"
	(cd "$cache/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package")
	dpkg-deb -x "$cache"/deb/*.deb "$cache/tree"
	rm -rf "$cache/deb"
}

# busybox, the modules that reach the root over 9p, and an init that goes there.
make_initrd()
{
	local release=$1 dir=$cache/initrd

	rm -rf "$dir"
	mkdir -p "$dir/bin" "$dir/proc" "$dir/dev" "$dir/host" "$dir/modules"
	cp "$(command -v busybox)" "$dir/bin/busybox"
	: >"$dir/order"
	for module in $initrd_modules; do
		modprobe -d "$cache/tree" -S "$release" --show-depends "$module" |
			sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | awk '!seen[$0]++' | while read -r file; do
		cp "$file" "$dir/modules/"
		basename "$file" >>"$dir/order"
	done
	cat >"$dir/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
while read -r file; do /bin/busybox insmod "/modules/$file"; done </order
/bin/busybox mount -t 9p -o \
	ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /host || exec /bin/busybox poweroff -f
for word in $(/bin/busybox cat /proc/cmdline); do
	case $word in guest_*=*) export "$word" ;; esac
done
/bin/busybox umount /proc
exec /bin/busybox switch_root /host "$guest_init"
INIT
	chmod 0755 "$dir/init"
	ln -s busybox "$dir/bin/sh"
	(cd "$dir" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$cache/initrd.gz.new")
	mv "$cache/initrd.gz.new" "$cache/initrd.gz"
	rm -rf "$dir"
}

if [ -s "$cache/vmlinuz" ] && [ -s "$cache/initrd.gz" ]; then
	exit 0
fi
fetch_kernel
image=$(ls "$cache"/tree/boot/vmlinuz-*)
release=${image##*/vmlinuz-}
depmod -b "$cache/tree" "$release"
make_initrd "$release"
cp "$image" "$cache/vmlinuz"
say "ready: $release"
