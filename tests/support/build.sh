# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Building out of the tree, for quickstart and check, to be sourced from the top of the tree.
#
#   build_prepare            makes configure, if it is older than what it is made from
#   build_make DIR OPTIONS   configures (once) and builds in DIR, like a package: prefix /usr
#   build_stage DIR          installs into DIR/root

build_prepare()
{
	if [ ! -x configure ] || [ configure -ot configure.ac ] || [ Makefile.in -ot Makefile.am ]; then
		./autogen.sh
	fi
}

build_make()
{
	local dir=$1
	shift
	mkdir -p "$dir"
	# Other options, or a new configure: from the beginning.
	if [ "$(cat "$dir/options" 2>/dev/null)" != "$*" ] || [ "$dir/config.status" -ot configure ]; then
		[ ! -e "$dir/Makefile" ] || make -s -C "$dir" clean
		(cd "$dir" && ../configure -q --prefix=/usr --sysconfdir=/etc --libdir=/usr/lib \
			--with-systemdsystemunitdir=/usr/lib/systemd/system "$@") &&
			echo "$*" >"$dir/options" || return 1
	fi
	make -s -C "$dir" -j "$(nproc)"
}

build_stage()
{
	rm -rf "$1/root"
	make -s -C "$1" install DESTDIR="$PWD/$1/root"
}
