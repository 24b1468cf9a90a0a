# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The pages of doc/programs as what a test does, to be sourced: configuration is taken from the
# page, and commands that the page does not have are refused.
#
#   page_open FILE                 the page that the following are about
#   page_block WORD                prints the fenced block whose introduction (the paragraph before
#                                  it) has WORD
#   page_command PROMPT COMMAND    whether the page tells the user to type this; else ends the test
page_file=

page_open()
{
	page_file=$1
	[ -r "$page_file" ] || { echo "no page $page_file" >&2; exit 1; }
}

page_block()
{
	awk -v word="$1" '
		/^```/ && inside { exit }
		/^```/ && wanted { inside = 1; next }
		/^```/ { other = !other; wanted = 0; next }
		inside { print; next }
		other { next }
		/^$/ { ended = 1; next }
		{ if (ended) wanted = 0; ended = 0; if (index($0, word)) wanted = 1 }' "$page_file" |
		grep . || { echo "no block for $1 in $page_file" >&2; exit 1; }
}

page_command()
{
	grep -qxF -- "    $1 $2" "$page_file" || {
		echo "$page_file does not say: $1 $2" >&2
		exit 1
	}
}
