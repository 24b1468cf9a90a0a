# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Debian's Apache on host B and curl on host A, for the tests of HTTP, to be sourced behind hosts.sh.
# The configuration files and commands are those of doc/programs/http.md, whose names are put in
# place of this guest's own.
#
#   http_up STAGED             both hosts, brokers, identities, pages; Apache is configured, not run
#   http_block FILE            prints the block of the page that is headed by FILE
#   http_install FILE          ... and puts it there on host B (same root file system on both)
#   http_start [MPM]           runs Apache with this MPM (event) and waits until it listens
#   http_stop                  ends it
#   http_restart_gracefully    as an administrator does, while connections are open
#   http_curl ARGUMENTS...     curl as alice on host A
#   http_since_mark FILE       what was written to a log since http_mark

http_page=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/doc/programs/http.md
http_server=host-b.example
http_log=/var/log/apache2/error.log

# The page speaks of www.example.org.
http_names()
{
	sed -e "s/www\.example\.org/$http_server/g" "$@"
}

# A block follows a line that has its name in backquotes and ends with a colon.
http_block()
{
	awk -v name="\`$1\`" '
		/^```/ { if (shown) exit; fenced = !fenced; if (fenced && wanted) shown = 1; next }
		shown { print; next }
		!fenced && NF { wanted = index($0, name) && /:$/ }' "$http_page" | http_names
}

http_install()
{
	http_block "$1" >"$1.new"
	[ -s "$1.new" ] || hosts_die "no block for $1 in $http_page"
	mv "$1.new" "$1"
}

http_make_identities()
{
	local host

	gss-ipsec keygen --out "$hosts_dir/B/gss/http.pem" >"$hosts_dir/http.public" ||
		hosts_die "gss-ipsec keygen failed"
	chown www-data "$hosts_dir/B/gss/http.pem"
	cat >"$hosts_dir/A/gss/ipsec.conf" <<-CONFIG
		[identity]
			alice = {
				key = /etc/gss/alice.pem
				user = $hosts_user
			}
		[peer]
			www = {
				host = $http_server
				key = $(hosts_fingerprint http)
			}
	CONFIG
	cat >"$hosts_dir/B/gss/ipsec.conf" <<-CONFIG
		[identity]
			www = {
				key = /etc/gss/http.pem
				host = $http_server
				services = HTTP
			}
		[peer]
			alice = {
				user = $hosts_user
				key = $(hosts_fingerprint alice)
			}
		[localname]
			staff = {
				name = *@example.org
			}
	CONFIG
	for host in A B; do
		cp "$hosts_dir/$host/gss/ipsec.conf" "$hosts_dir/$host.conf"
		echo "fd77::2 $http_server" >>"$hosts_dir/$host/hosts"
	done
}

# host-b.example's IPv4 address stands first: curl takes IPv6 with -6.
http_make_pages()
{
	local pages=/var/www/html/private

	mkdir -p "$pages"
	echo '<!--#echo var="REMOTE_USER" -->' >"$pages/who.shtml"
	head -c 50000000 /dev/urandom >/var/tmp/body
	cp /var/tmp/body "$pages/large"
	{
		echo "nobody is logged in here"
		head -c 200000 /dev/zero | tr '\0' x
	} >/var/www/html/refused.html
	mkdir -p /usr/lib/cgi-bin
	printf '%s\n' '#!/bin/sh' 'printf "Content-Type: text/plain\n\n"' \
		'echo "user $REMOTE_USER method $REQUEST_METHOD protocol $SERVER_PROTOCOL"' \
		'sha256sum' >/usr/lib/cgi-bin/echo
	chmod 0755 /usr/lib/cgi-bin/echo
}

http_up()
{
	hosts_install "$1"
	hosts_up
	http_make_identities
	http_make_pages
	hosts_broker A --linger-seconds 3
	hosts_broker B --linger-seconds 3
	http_install /etc/apache2/conf-available/gss-ipsec.conf
	a2enmod -q auth_gssapi include >/dev/null && a2enconf -q gss-ipsec >/dev/null ||
		hosts_die "Debian's Apache is not as expected"
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
	a2dismod -q -f cgi cgid mpm_event mpm_worker mpm_prefork >/dev/null 2>&1
	a2enmod -q "mpm_$mpm" "$cgi" >/dev/null 2>&1
	http_stop
	hosts_start apache B apache2ctl -D FOREGROUND
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
	hosts_wait 10 hosts_has_ended "${hosts_pid[apache]}"
	hosts_stop apache
}

http_restart_gracefully()
{
	hosts_on B apache2ctl graceful
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
