#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's curl, git and Apache, latched by doc/programs/http.md: http.sh STAGED BUILD [GROUPS].
# GROUPS, joined by "+", are test_... below and in http_refused.sh; without any, the ones that end
# well.  "enemies" is all others; "long" is 500 clients at once and 5 000 logins in a row, or what
# HTTP_LOAD says ("500 1000 5000": memory is compared after login 1 000 and the last; 0: none).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/report.sh"
. "$here/heap_watch.sh"
. "$here/page.sh"
. "$here/http_world.sh"
. "$here/http_refused.sh"
. "$here/http_load.sh"

staged=$1
groups=${3:-}
groups=${groups//+/ }
groups=${groups:-requests names parallel git servers load}
private=http://$http_server/private

# run NAME CMD...: CMD under a capture; its output and the time's log lines are kept by that name.
run()
{
	local name=$1 status log
	shift

	for log in "$http_log" "$hosts_out"/gss-ipsecd.[AB].log; do http_mark "$log"; done
	hosts_capture A "$hosts_out/$name.pcap"
	"$@" >"$hosts_out/$name.out" 2>&1
	status=$?
	# The close's last segments.
	sleep 0.3
	hosts_stop tcpdump.A
	return "$status"
}

# Both brokers' latches since the mark, with the peers' names, in one form: the initiator's.
latches_of()
{
	local claims='\(.*\): claims .\([^ ]*\). with .\([^ ]*\)., SPI \(.*\) in \(.*\) out'

	case $1 in
	A) http_since_mark "$hosts_out/gss-ipsecd.A.log" |
		sed -n "s/^latched uid ${hosts_uid[alice]} \(.*\) - $claims/\1 \2 \3 \4 \5 \6/p" ;;
	B) http_since_mark "$hosts_out/gss-ipsecd.B.log" |
		sed -n "s/^latched uid 33 \(.*\) - $claims/\2 \1 \4 \3 \6 \5/p" ;;
	esac | sort
}

# The same connections latched at both ends, COUNT of them, each by alice with the server.
latched_on_both_sides()
{
	local count=$1

	latches_of A >"$hosts_out/latches.A"
	latches_of B >"$hosts_out/latches.B"
	cmp "$hosts_out/latches.A" "$hosts_out/latches.B" || {
		cat "$hosts_out"/latches.[AB]
		return 1
	}
	[ "$(grep -c " $hosts_user HTTP/$http_server " "$hosts_out/latches.A")" = "$count" ] &&
		[ "$(wc -l <"$hosts_out/latches.A")" = "$count" ] && return 0
	cat "$hosts_out/latches.A"
	return 1
}

# What is said of a capture that lost packets stays in a file: nothing can be told by it.
judge()
{
	"$here/http_capture.py" --latched "$2" --absent "$hosts_user" --absent "$http_server latched" \
		--absent secret=yes "$hosts_out/$1.pcap" >"$hosts_out/$1.judge" || {
		hosts_captured A && cat "$hosts_out/$1.judge"
		return 1
	}
	# Large, and judged.
	rm "$hosts_out/$1.pcap"
}

# latched NAME COUNT TITLE CMD...: CMD succeeds, and COUNT connections were latched meanwhile.
latched()
{
	local name=$1 count=$2 title=$3
	shift 3

	if run "$name" "$@"; then
		report "$title" latched_on_both_sides "$count"
		report "$title: capture" judge "$name" "$count"
	else
		report "$title" false
		tail -n 15 "$hosts_out/$name.out" "$http_log" | cut -c 1-300
	fi
}

# says NAME COUNT TEXT: what the program printed has this line so many times.
says()
{
	[ "$(grep -cxF -e "$3" "$hosts_out/$1.out")" = "$2" ] && return 0
	cut -c 1-200 "$hosts_out/$1.out" | tail -n 20
	return 1
}

has_hash_of_body()
{
	grep -qF "$(sha256sum <"$http_home/body")" "$hosts_out/$1.out"
}

# Both sides' status names the other; the client stands still meanwhile, lest it be done before.
is_established()
{
	local status=0 host

	kill -STOP "${hosts_pid[download]}" || return 1
	for host in A B; do
		hosts_on "$host" gss-ipsec status >"$hosts_out/status.$host" 2>&1
		grep -qw established "$hosts_out/status.$host" || status=1
	done
	grep -q "peer: HTTP/$http_server" "$hosts_out/status.A" &&
		grep -q "peer: $hosts_user" "$hosts_out/status.B" || status=1
	kill -CONT "${hosts_pid[download]}"
	return "$status"
}

# A download that takes its time, so that there is something to look at, and CMD meanwhile.
download()
{
	hosts_start download as alice A curl -sS --max-time 60 --limit-rate 800k --negotiate -u : \
		-o "$http_home/first" "$private/who.shtml" -o "$http_home/large" "$private/large"
	hosts_wait 10 is_established || { cat "$hosts_out"/status.[AB]; return 1; }
	"$@"
	wait "${hosts_pid[download]}" || hosts_has_ended "${hosts_pid[download]}" ||
		wait "${hosts_pid[download]}" || { cat "$hosts_out/download.log"; return 1; }
	unset 'hosts_pid[download]'
	cmp "$http_home/large" /var/www/html/private/large
}

page_is()
{
	[ "$(http_curl "$1")" = "$2" ]
}

code_is()
{
	[ "$(http_curl -o "$http_home/code" -w '%{http_code}' "$1")" = "$2" ]
}

test_requests()
{
	latched two 1 "two requests on one connection" http_run_commands 'who.shtml.*who.shtml$'
	report "two requests: both pages say who, and that it is latched" \
		says two 2 "$hosts_user latched"
	latched four 1 "IPv4" http_curl -4 "$private/who.shtml"
	latched six 1 "IPv6" http_curl -6 "$private/who.shtml"
	latched big 1 "a 401 page of 200 kB behind T2" http_curl "$private/big/who.shtml"
	latched http1 1 "HTTP/1.1 only" http_curl --http1.1 "$private/who.shtml"
	latched http2 1 "HTTP/2 asked for" http_curl --http2 "$private/who.shtml"
	latched post 1 "a POST behind the login" http_run_commands '-d secret'
	report "a POST: by alice" says post 1 "$hosts_user POST latched"
	latched put 1 "50 MB behind the login" http_run_commands '-T body'
	report "50 MB: all of it arrived" has_hash_of_body put
}

test_names()
{
	report "GssapiLocalName and [localname]" page_is "$private/local/who.shtml" "alice latched"
	report "Require user alice@example.org" page_is "$private/alice/who.shtml" "$hosts_user latched"
	report "Require expr: latched" page_is "$private/insist/who.shtml" "$hosts_user latched"
	report "Require user somebody else" code_is "$private/mallory/who.shtml" 401
}

graceful()
{
	hosts_on B apache2ctl graceful && sleep 1
}

test_servers()
{
	local mpm

	latched graceful 1 "event: a graceful restart while latched" download graceful
	for mpm in prefork worker; do
		http_start "$mpm"
		latched "$mpm" 1 "$mpm: a graceful restart while latched" download graceful
		latched "ten-$mpm" 10 "$mpm: ten clients at once" http_run_commands 'xargs'
	done
	http_start event
}

# Where curl mixes the connections up: each latch is alice's with the server, of the same connection
# at both ends where both have one, and no page came but in ESP.
none_is_wrong()
{
	latches_of A >"$hosts_out/latches.A"
	latches_of B >"$hosts_out/latches.B"
	! grep -hv " $hosts_user HTTP/$http_server " "$hosts_out"/latches.[AB] || return 1
	[ -z "$(sort -u "$hosts_out"/latches.[AB] | cut -d ' ' -f 1,2 | uniq -d)" ] || return 1
	! grep -qF "$hosts_user" "$hosts_out/$1.pcap"
}

test_parallel()
{
	latched ten 10 "ten clients at once" http_run_commands 'xargs'
	report "ten clients: ten pages" sh -c "[ \$(cat $http_home/page.* |
		grep -cx '$hosts_user latched') = 10 ]"
	latched one-of-ten 1 "one of ten connections of one curl" http_curl -Z --parallel-immediate \
		--parallel-max 10 -o "$http_home/one" "$private/who.shtml" --next -sS \
		-o "$http_home/open.#1" "http://$http_server/open/large?[1-9]"
	report "one of ten: its page" grep -qx "$hosts_user latched" "$http_home/one"
	run mixed http_curl -Z --parallel-immediate --parallel-max 10 -o "$http_home/mixed.#1" \
		"$private/who.shtml?[1-10]"
	report "ten of one curl: none wrong" none_is_wrong mixed
	rm "$hosts_out/mixed.pcap"
}

test_git()
{
	latched clone 1 "git clone" http_run_commands 'git .*clone'
	latched push 1 "git push" http_run_commands 'git .*push'
	report "git push: the server has the commit" sh -c "setpriv --reuid 33 --clear-groups \
		git -C /srv/git/project.git log --format=%s | grep -qx more"
}

test_enemies()
{
	test_refused
	test_proxy
	test_hostile
	test_disorder
}

test_load()
{
	load_run 20 30 30
}

test_long()
{
	# shellcheck disable=SC2086
	load_run ${HTTP_LOAD:-500 1000 5000}
}

trap 'http_stop; hosts_down; rm -rf "$http_home"' EXIT
http_up "$staged"
http_start event
for group in $groups; do
	"test_$group"
done
report_end
