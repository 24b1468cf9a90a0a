#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What only Debian's stock kernel has: stock.sh STAGED BUILD [TEST].  See stock_probe.c.
set -u
. "$(dirname "$0")/hosts.sh"
hosts_install "$1"
exec "$2/tests/real/stock_probe" "$(command -v gss-ipsecd)" ${3:+"$3"}
