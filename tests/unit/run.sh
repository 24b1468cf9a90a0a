#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the unit tests from the top of the source tree, where they find vectors and examples.
[ -x "$top_builddir/tests/unit/unit" ] || { echo "check was not found by configure"; exit 77; }
cd "$top_srcdir" && exec "$top_builddir/tests/unit/unit"
