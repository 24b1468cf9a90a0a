# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What the check-*.sh scripts share, to be sourced: result() and sources(); ends in $failed.

check_name=$(basename "$0" .sh)
failed=0

# result STATUS TEXT
result() {
	if [ "$1" -eq 0 ]; then
		echo "ok $check_name: $2"
	else
		echo "FAIL $check_name: $2"
		failed=1
	fi
}

# sources DIRECTORY...: C files under directories that exist
sources() {
	for directory; do
		[ ! -d "$directory" ] || find "$directory" -name '*.[ch]' -type f
	done | sort
}
