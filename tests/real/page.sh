# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The pages of doc/programs as what a test does, to be sourced behind hosts.sh: configuration and
# commands are taken from the page, and commands that the page does not have are refused.
#
#   page_open FILE                 the page that the following are about
#   page_block WORD                prints the fenced block whose introduction (the paragraph before
#                                  it) has WORD
#   page_commands PROMPT [SECTION]  prints the commands behind PROMPT, in that section only or in all,
#                                  one on each line, with host B's name for server.example.org
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

page_commands()
{
	awk -v section="${2:+## $2}" -v prompt="$1 " 'BEGIN { inside = !section }
		/^## / && section { inside = ($0 == section) }
		!inside { next }
		{ line = $0; sub(/^ */, "", line); begins = /^    / && index(line, prompt) == 1 }
		begins { command = substr(line, length(prompt) + 1) }
		command && !begins { command = command " " line }
		command && !sub(/\\$/, "", command) { print command; command = "" }' "$page_file" |
		sed "s/server\.example\.org/${hosts_name[B]}/g"
}

page_command()
{
	grep -qxF -- "    $1 $2" "$page_file" || {
		echo "$page_file does not say: $1 $2" >&2
		exit 1
	}
}
