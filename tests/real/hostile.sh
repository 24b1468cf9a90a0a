#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The broker among hostile local users: hostile.sh STAGED BUILD [TEST].  See hostile.c.
set -u
. "$(dirname "$0")/hosts.sh"
hosts_install "$1"
modprobe -q fuse
modprobe -q cuse
exec "$2/tests/real/hostile" "$(command -v gss-ipsecd)" "$hosts_out/gss-ipsecd.log" ${3:+"$3"}
