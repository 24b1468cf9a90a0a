#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Subversion: subversion.sh STAGED BUILD [long].  The commands of
# doc/programs/subversion.md; then a server that lives on, with many connections, several at a time;
# users whom it must not let in.  "long": 300 connections, twice, and the server's memory in between
# and then.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/program.sh"

staged=$1
length=${3:-short}
connections=12
at_once=4
text="words of a repository"
exchange_port=3690
latched_options=(--base64)
url=svn://${hosts_name[B]}/repo

make_server()
{
	local home=$hosts_dir/B/home/sample

	mkdir -p /etc/sasl2 && page_block /etc/sasl2/svn.conf >/etc/sasl2/svn.conf &&
		hosts_as sample B svnadmin create "$home/repo" &&
		page_block conf/svnserve.conf >"$home/repo/conf/svnserve.conf" &&
		page_block conf/authz >"$home/repo/conf/authz" &&
		sed -i 's/services = sample/services = svn/' "$hosts_dir/B/gss/ipsec.conf"
}

# client NUMBER: the page's command.
client()
{
	hosts_as alice A bash -c "$(page_commands 'client$' "The client" | sed -n "$1p")"
}

cats()
{
	[ "$(client 5 2>&1)" = "$text" ]
}

author_is_alice()
{
	[ "$(hosts_on B svn propget --revprop -r 2 svn:author \
		"file://$hosts_dir/B/home/sample/repo")" = alice ]
}

# info_as USER@DOMAIN: alice's svn, which asks for that identity.
info_as()
{
	hosts_as alice A svn --non-interactive --username "$1" --password "" info "$url" 2>&1
}

refused_as()
{
	local answer
	! answer=$(info_as "$1") && grep -qF "$2" <<<"$answer" && return 0
	echo "$answer"
	return 1
}

rss()
{
	awk '/^VmRSS/ { print $2 }' "/proc/${hosts_pid[svnserve]}/status"
}

# ask_many COUNT: as many connections, some at a time; their answers and "failed" go to many.log.
ask_many()
{
	seq "$1" | hosts_as alice A xargs -P "$at_once" -I % sh -c 'svn --non-interactive \
		--username alice@example.org --password "" cat '"$url"'/trunk/file 2>&1 || echo failed %' \
		>"$hosts_out/many.log"
}

# Every connection has the right answer.
all_answer()
{
	local right failed

	ask_many "$1"
	right=$(grep -cxF "$text" "$hosts_out/many.log")
	failed=$(grep -c '^failed ' "$hosts_out/many.log")
	echo "$1 connections: $right answers, $failed refused" >>"$hosts_out/size"
	[ "$right" = "$1" ] && return 0
	tail -n 8 "$hosts_out/many.log"
	return 1
}

# The server's memory behind 300 connections more.
keeps_its_size()
{
	local before after

	before=$(rss)
	all_answer 300 || return 1
	after=$(rss)
	echo "svnserve: $before kB, then $after kB" >>"$hosts_out/size"
	[ $((after - before)) -le 64 ] && return 0
	cat "$hosts_out/size"
	return 1
}

trap 'hosts_down; hostname guest' EXIT
page_open "$here/../../doc/programs/subversion.md"
hosts_install "$staged"
hostname "${hosts_name[B]}"
hosts_up
make_server || hosts_die "no repository"
if [ "$length" = long ]; then
	hosts_broker A
	hosts_broker B
else
	latched_brokers
fi
hosts_start svnserve as sample B bash -c "exec $(page_commands 'server$' "The server")"
hosts_wait 20 exchange_is_listening || hosts_die "svnserve does not listen"
latched_capture
report "svn mkdir" client 1
report "svn checkout" client 2
report "svn add" client 3
report "svn commit" client 4
report "svn cat: what was committed" cats
report "the server knows who committed" author_is_alice
latched_judge "svn" "$exchange_port" 4 "$text"
report "status of A names the server" latched_peers A 4 "svn/${hosts_name[B]}"
report "status of B names alice" latched_peers B 4 "$hosts_user"
latched_capture
report "$connections connections, $at_once at a time" all_answer "$connections"
latched_judge "many" "$exchange_port" "$connections" "$text"
if [ "$length" = long ]; then
	report "300 connections more" all_answer 300
	report "svnserve keeps its size" keeps_its_size
	cat "$hosts_out/size"
fi
report "another name than the identity's: refused" refused_as bob@example.org \
	"Cannot negotiate authentication mechanism"
sed -i 's/^alice = rw/bob = rw/' "$hosts_dir/B/home/sample/repo/conf/authz"
report "a user whom authz does not name: refused" refused_as "$hosts_user" "Authorization failed"
sed -i 's/^realm = .*/realm = example.net/' "$hosts_dir/B/home/sample/repo/conf/svnserve.conf"
report "a user of another domain: refused" refused_as "$hosts_user" "authenticate once"
hosts_stop gss-ipsecd.B
report "no broker on B: refused, not in the clear" refused_as "$hosts_user" \
	"gss-ipsecd does not answer on this side"
report_end
