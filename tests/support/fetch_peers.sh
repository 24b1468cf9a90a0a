#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Other IPsec daemons for the real tests, whose Debian packages conflict with what is installed: fetches
# libreswan and the libraries it needs that are not there, and unpacks them into build-peers/root,
# without installing anything.  Does nothing when that is there.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/build-peers/root
[ ! -x "$root/usr/libexec/ipsec/pluto" ] || exit 0
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
chmod 0755 "$packages"
wanted=(libreswan)
while read -r package; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
		wanted+=("$package")
done < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
	--no-replaces --no-enhances libreswan | grep -E '^lib' | grep -v ':' | sort -u)
(cd "$packages" && apt-get -q download "${wanted[@]}")
mkdir -p "$root"
for package in "$packages"/*.deb; do
	dpkg -x "$package" "$root"
done
[ -x "$root/usr/libexec/ipsec/pluto" ]
