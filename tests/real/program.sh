# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# All that a test needs of which a page of doc/programs, or README.md, is what it types on two hosts: to be
# sourced with $here, the folder of tests.
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"
. "$here/latched.sh"
. "$here/page.sh"
