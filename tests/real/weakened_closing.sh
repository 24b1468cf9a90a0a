#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every end of a connection that needs the close cover, without it: weakened_closing.sh STAGED BUILD,
# where BUILD/weakened is what tests/weakened/build.sh made.  In each a clear segment must be seen.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
hosts_install "$1"
exec "$here/closing.sh" "$2/weakened/cover/root" "$2" without-cover
