#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The broker against the kernel, without GSS-API: broker.sh STAGED BUILD.  See broker_probe.c.
set -u
. "$(dirname "$0")/hosts.sh"
hosts_install "$1"
exec "$2/tests/real/broker_probe" "$(command -v gss-ipsecd)"
