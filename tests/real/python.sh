#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# python3-gssapi and Perl's GSSAPI between two hosts: python.sh STAGED BUILD.  The commands of
# doc/programs/python.md and perl.md, which run examples/ask.py and ask.pl: names, stores, bindings,
# plain and wrapped messages, signatures, contexts exported and imported; latched, the captures
# judged; and what the programs say when they are refused.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/program.sh"

staged=$1
text="words for nobody else"
host=${hosts_name[B]}
kinds=(connected plain sealed signed imported)
errors=$here/../../doc/errors.md
pages=$here/../../doc/programs

# The page's command number $2 of section $1.
ask()
{
	hosts_as alice A bash -c "$(page_commands 'client$' "$1" | sed -n "$2p")" \
		>"$hosts_out/ask.log" 2>&1
}

# answers SECTION NUMBER [HOW]: the command succeeds, connected like that, with each kind of answer.
answers()
{
	local line kind

	ask "$1" "$2" || { cat "$hosts_out/ask.log"; return 1; }
	for kind in "${kinds[@]}"; do
		line="$kind: ${text^^}"
		[ "$kind" != connected ] || line="connected $hosts_user to sample/$host${3:+: $3}"
		grep -qxF "$line" "$hosts_out/ask.log" || { cat "$hosts_out/ask.log"; return 1; }
	done
}

# tells LOG NAME PARTICULARS: its last line has that sentence of doc/errors.md, and them.
tells()
{
	local sentence

	sentence=$(awk -F ' *[|] *' -v name="$2" '$3 == name { print $5; exit }' "$errors")
	[ -n "$sentence" ] && tail -n 1 "$hosts_out/$1.log" | grep -F "$sentence" | grep -qF "$3" &&
		return 0
	tail -n 2 "$hosts_out/$1.log"
	return 1
}

# refused NAME PARTICULARS WORDS...: ask.py with these words ends with 1 and that sentence.
refused()
{
	local name=$1 particulars=$2 status

	shift 2
	hosts_as alice A ask.py ask "$@" >"$hosts_out/ask.log" 2>&1
	status=$?
	[ "$status" = 1 ] || { echo "status $status"; cat "$hosts_out/ask.log"; return 1; }
	tells ask "$name" "$particulars"
}

# The same for a command of the page.
page_refused()
{
	! ask "$3" "$4" && tells ask "$1" "$2"
}

server_refused()
{
	hosts_wait 5 tells "$@"
}

mechanism_is_consistent()
{
	local words

	ask "What the library says" 1 || { cat "$hosts_out/ask.log"; return 1; }
	words=$(sed -n '/^    listed:/,/^$/p' "$page_file" | sed 's/^    //;/^$/d')
	[ "$(cat "$hosts_out/ask.log")" = "$words" ] && return 0
	echo "the page has:"
	echo "$words"
	echo "the program:"
	cat "$hosts_out/ask.log"
	return 1
}

# serve NAME SECTION PORT
serve()
{
	exchange_port=$3
	hosts_start "$1" as sample B bash -c "exec $(page_commands 'server$' "$2")"
	hosts_wait 20 exchange_is_listening || hosts_die "ask.py does not listen"
}

# What the page's "Credential stores" speaks of, in alice's home.
make_stores()
{
	local home=$hosts_dir/A/home/alice

	install -o "${hosts_uid[alice]}" -m 0600 "$hosts_dir/A/gss/alice.pem" "$home/key.pem" &&
		sed 's,/etc/gss/alice.pem,key.pem,' "$hosts_dir/A/gss/ipsec.conf" >"$home/second.conf"
}

trap hosts_down EXIT
page_open "$pages/python.md"
hosts_install "$staged"
hosts_install_programs "$here"/../../examples/ask.{py,pl}
hosts_up
latched_brokers
make_stores || hosts_die "no second configuration"
report "the library lists the mechanism, its names and attributes" mechanism_is_consistent

serve server "Two hosts" 4444
latched_capture
report "by its OID" answers "Two hosts" 1 latched
report "by SPNEGO" answers "Two hosts" 2 latched
report "an identity by its entry's name" answers "Credential stores" 1 latched
report "an identity by the user's name" answers "Credential stores" 2 latched
report "a key file" answers "Credential stores" 3 latched
report "a configuration of the program's own" answers "Credential stores" 4 latched
report "the connection named, the latch required" answers "Credential stores" 5 latched
latched_judge "stores" 4444 7 "$text" "${text^^}"

serve bound "Channel bindings" 4445
latched_capture
report "the same bindings" answers "Channel bindings" 1 "latched, bound"
report "bindings of one side only" answers "Channel bindings" 2 latched
latched_judge "bindings" 4445 2 "$text" "${text^^}"
page_open "$pages/perl.md"
kinds=(connected plain sealed signed again)
latched_capture
report "Perl" answers "Two hosts" 1
latched_judge "Perl" 4444 1 "$text" "${text^^}"
report "Perl, another service: refused" page_refused PEER_FAILED "the peer says" \
	"When it is refused" 1
page_open "$pages/python.md"
report "status of A" latched_peers A 10 "sample/$host"
report "status of B" latched_peers B 10 "$hosts_user"

report "other bindings: refused" page_refused BINDINGS "" "Channel bindings" 3
report "other bindings: the server says so" server_refused bound BINDINGS ""
report "another's name: refused" page_refused NO_IDENTITY bob@example.org "When it is refused" 1
report "no such identity" refused CRED_STORE 'ipsec_identity = "bob"' "$host" 4444 sample x \
	ipsec_identity=bob
report "no such latch policy" refused CRED_STORE 'ipsec_latch = "maybe"' "$host" 4444 sample x \
	ipsec_latch=maybe
report "a key file that is not there" refused KEY_FILE /nonexistent "$host" 4444 sample x \
	ipsec_key=/nonexistent
report "a malformed name" refused NAME_FORMAT "a@b@" "$host" 4444 a@b@ x
report "another service: refused" refused PEER_FAILED "the peer says" "$host" 4444 other x
report "another service: the server says so" server_refused server SERVICE_REFUSED other
hosts_stop gss-ipsecd.A
report "no broker: refused" refused LATCH_NO_BROKER "" "$host" 4444 sample x
report "no broker: the server heard it" server_refused server LATCH_NO_BROKER "said by the peer"
report_end
