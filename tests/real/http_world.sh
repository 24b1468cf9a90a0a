# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Debian's Apache on host B and curl on host A, for the tests of HTTP; sourced behind hosts.sh and page.sh.
# The configuration files and commands are those of doc/programs/http.md, whose names are put in
# place of this guest's own.
#
#   http_up STAGED             both hosts, brokers, identities, pages; Apache is configured, not run
#   http_block PHRASE          page_block with the server's name
#   http_install FILE [PATH]   ... of that FILE, and puts it there
#   http_run_commands WORD     runs the page's commands with WORD in them, as alice on host A
#   http_configure HOST [SED]  HOST's ipsec.conf as the page has it, changed by sed
#   http_start [MPM]           runs Apache with this MPM (event) and waits until it listens
#   http_stop                  ends it
#   http_curl ARGUMENTS...     curl as alice on host A
#   http_since_mark FILE       what was written to a log since http_mark

page_open "$here/../../doc/programs/http.md"
http_server=host-b.example
http_log=/var/log/apache2/error.log
http_home=

# The page speaks of www.example.org.
http_names()
{
	sed -e "s/www\.example\.org/$http_server/g"
}

http_block()
{
	page_block "$1" | http_names
}

http_install()
{
	http_block "\`$1\`" >"${2:-$1}"
	[ -s "${2:-$1}" ] || hosts_die "no block for $1 in $page_file"
}

# The page's commands of alice that have WORD in them, one on a line.
http_commands()
{
	page_commands 'alice$' | grep -e "$1" | http_names
}

# ... run in a folder of hers.
http_run_commands()
{
	local commands

	commands=$(http_commands "$1")
	[ -n "$commands" ] || { echo "no command with $1 in $page_file"; return 1; }
	hosts_as alice A bash -c "cd $http_home && $commands" 2>&1
}

# http_make_host HOST PHRASE KEY: that block as HOST's configuration, with the other side's key.
http_make_host()
{
	local file=$hosts_dir/$1/gss/ipsec.conf

	http_block "$2" | sed -e "s|SHA256:\.\.\.|$(hosts_fingerprint "$3")|" >"$file"
	[ -s "$file" ] || hosts_die "no block for host $1 in $page_file"
	cp "$file" "$hosts_dir/$1.conf"
	echo "fd77::2 $http_server" >>"$hosts_dir/$1/hosts"
}

http_make_identities()
{
	gss-ipsec keygen --out "$hosts_dir/B/gss/http.pem" >"$hosts_dir/http.public" ||
		hosts_die "gss-ipsec keygen failed"
	chown www-data "$hosts_dir/B/gss/http.pem"
	http_make_host A "On the client, \`/etc/gss/ipsec.conf\`" http
	http_make_host B "On the server, \`/etc/gss/ipsec.conf\`" alice
}

# http_configure HOST [SED...]: the configuration as it was made, changed; nobody restarts anything.
http_configure()
{
	local host=$1
	shift
	sed -e '' "$@" "$hosts_dir/$host.conf" >"$hosts_dir/$host/gss/ipsec.conf"
	# Processes look at most once a second.
	sleep 1.2
}

# Of the same contents behind several paths: each has its own way of logging in.
http_make_pages()
{
	local pages=/var/www/html

	rm -rf /srv/git
	mkdir -p $pages/private $pages/open /srv/git
	http_block '`who.shtml`' >$pages/private/who.shtml
	head -c 50000000 /dev/urandom >"$http_home/body"
	head -c 4000000 "$http_home/body" | tee $pages/private/large >$pages/open/large
	{
		echo "nobody is logged in here"
		head -c 200000 /dev/zero | tr '\0' x
	} >$pages/refused.html
	cat >/usr/lib/cgi-bin/echo <<-'CGI'
		#!/bin/sh
		printf 'Content-Type: text/plain\n\n'
		echo "$REMOTE_USER $REQUEST_METHOD $IPSEC_LATCH"
		sha256sum
	CGI
	chmod 0755 /usr/lib/cgi-bin/echo
}

http_make_repository()
{
	(
		cd "$http_home" && git init -q -b main made && cd made && echo text >text && git add text &&
			git -c user.email=t@example.org -c user.name=t commit -qm first &&
			git clone -q --bare . /srv/git/project.git && cd .. && rm -r made &&
			chown -R www-data /srv/git/project.git
	) >"$hosts_out/repository.log" 2>&1 || hosts_die "no repository: see repository.log"
}

# Places for this test beside the page's own.
http_configure_apache()
{
	local places=/etc/apache2/conf-available

	mkdir -p /usr/lib/cgi-bin
	http_install $places/gss-ipsec.conf
	http_install $places/git.conf
	{
		echo "ScriptAlias /private/echo /usr/lib/cgi-bin/echo"
		http_make_place big 'ErrorDocument 401 /refused.html' 'Require valid-user'
		http_make_place local 'GssapiLocalName On' 'Require user alice'
		http_make_place alice 'Require user alice@example.org'
		http_make_place insist "$(http_insist)"
		http_make_place mallory 'Require user mallory@example.org'
	} >$places/places.conf
	a2enmod -q auth_gssapi include >/dev/null && a2enconf -q gss-ipsec git places >/dev/null ||
		hosts_die "Debian's Apache is not as expected"
}

# The page's line for places with latched connections only.
http_insist()
{
	sed -n 's/^    \(Require expr .*\)/\1/p' "$page_file"
}

http_make_place()
{
	echo "Alias /private/$1 /var/www/html/private"
	http_block '`/etc/apache2/conf-available/gss-ipsec.conf`' |
		sed -n "/^<Location/,/^<.Location/p" | sed -e "s|/private|/private/$1|" \
			-e '/^<.Location/d' \
			-e '/Require/d'
	shift
	printf '\t%s\n' "$@"
	echo "</Location>"
}

http_up()
{
	hosts_install "$1"
	hosts_up
	http_home=$(mktemp -d /tmp/alice.XXXXXX)
	chown "${hosts_uid[alice]}" "$http_home"
	hosts_install_programs "$here/http_client.py"
	http_make_identities
	http_configure_apache
	http_make_pages
	http_make_repository
	hosts_broker A --linger-seconds 3
	hosts_broker B --linger-seconds 3
	# /run is host B's own here.
	hosts_on B mkdir -p /run/lock
	: >"$http_log"
}

http_listens()
{
	hosts_on B ss -Hltn 'sport = :80' | grep -q LISTEN
}

http_start()
{
	local mpm=${1:-event} cgi=cgid

	[ "$mpm" != prefork ] || cgi=cgi
	http_stop
	a2dismod -q -f cgi cgid mpm_event mpm_worker mpm_prefork >/dev/null 2>&1
	a2enmod -q "mpm_$mpm" "$cgi" >/dev/null 2>&1
	# In a group of its own: prefork ends its whole process group.
	hosts_start apache B setsid "${heap_watched[@]}" apache2ctl -D FOREGROUND
	hosts_wait 20 http_listens || {
		tail -n 20 "$hosts_out/apache.log" "$http_log" >&2
		hosts_die "Apache ($mpm) does not listen"
	}
}

http_has_ended()
{
	! http_listens
}

# apache2ctl is a script: its child is Apache, which ends by Apache's own way.
http_stop()
{
	[ -n "${hosts_pid[apache]:-}" ] || return 0
	hosts_on B apache2ctl stop >/dev/null 2>&1
	hosts_wait 20 hosts_has_ended "${hosts_pid[apache]}"
	hosts_stop apache
	hosts_wait 10 http_has_ended
}

http_curl()
{
	hosts_as alice A curl -sS --max-time 60 --negotiate -u : "$@"
}

declare -A http_marks=()
http_mark()
{
	http_marks[$1]=$(wc -c <"$1")
}

http_since_mark()
{
	tail -c "+$((${http_marks[$1]:-0} + 1))" "$1"
}
