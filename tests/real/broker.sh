#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The broker against the kernel, without GSS-API: broker.sh STAGED BUILD.  See sandbox_probe.c and
# broker_probe.c.
set -u
. "$(dirname "$0")/hosts.sh"
hosts_install "$1"
failed=0
"$2/tests/real/sandbox_probe" || failed=1
"$2/tests/real/broker_probe" "$(command -v gss-ipsecd)" || failed=1
exit "$failed"
