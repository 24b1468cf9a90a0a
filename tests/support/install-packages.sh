#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Installs what is missing of packages.txt: install-packages.sh [check]; with "check" the second
# part too.  Says nothing and takes no time when all is there.  Starts no service: the tests start
# their own in a guest.
set -u

list=$(dirname "$0")/packages.txt
wanted=$(sed -e '/^#/d' -e '/^\[check\]$/,$d' "$list")
if [ "${1:-}" = check ]; then
	wanted=$(sed -e '/^#/d' -e '/^\[check\]$/d' "$list")
fi

missing()
{
	local package

	for package in $wanted; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' ||
			echo "$package"
	done
}

die()
{
	echo "install-packages.sh: $*" >&2
	exit 1
}

command -v dpkg-query >/dev/null || die "this is no Debian; install what $list names by hand"
absent=$(missing)
[ -n "$absent" ] || exit 0
# One line, for apt and for the messages.
absent=$(echo $absent)
[ "$(id -u)" = 0 ] || die "missing packages, and only root can install them: $absent"
log=$(mktemp) || exit 1
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then
	trap 'rm -f "$log"' EXIT
else
	trap 'rm -f "$log" "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 0755 "$policy" || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
install="apt-get -y -q --no-install-recommends install $absent"
echo "installing: $absent" >&2
# The package lists may be absent or older than the archive: once more after an update.
if ! $install >"$log" 2>&1; then
	apt-get -q update >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt-get update failed"; }
	$install >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt-get could not install: $absent"; }
fi
absent=$(echo $(missing))
[ -z "$absent" ] || die "still missing: $absent"
