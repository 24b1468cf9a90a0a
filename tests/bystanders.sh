#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs that do not use the mechanism, on a host where it is installed: bystanders.sh STAGED OUT.
# Each runs on one host with a KDC, with the plugin not there, registered with nothing configured, and
# configured for one service; what it prints, its status, the servers' logs, the files it opens and its
# system calls must be the same, but for what bystanders/judge.py names.  No guest: nothing is latched.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/bystanders/host.sh"
. "$here/real/report.sh"
[ "${1:-}" = inside ] || {
	mkdir -p "$2"
	host_inside "$(cd "$2" && pwd)" "$here/bystanders.sh" inside "$(cd "$1" && pwd)" "$(cd "$2" && pwd)"
}
staged=$2
out=$3
h=$host_name
psql="$postgres_bin/psql"

# told NAME USER CMD...: what it prints, and how it ends.
told()
{
	local user=$2 base=$out/$world/$1
	shift 2
	host_as "$user" timeout 60 "$@" >"$base.out" 2>"$base.err" </dev/null
	echo "status $?" >>"$base.out"
}

# bystand NAME USER CMD...: its system calls too.
bystand()
{
	local name=$1 user=$2 trace=$out/$world/$1.trace
	shift 2
	: >"$trace"
	chown "$user" "$trace"
	told "$name" "$user" strace -f -y -qq -s 256 -o "$trace" "$@"
}

bystand_all()
{
	local user

	for user in alice bob; do
		bystand "credentials-$user" $user /usr/bin/python3 "$host_dir/credentials.py"
		bystand "gss-client-$user" $user gss-client $h sample@$h hello
		bystand "gss-client-spnego-$user" $user gss-client -spnego $h sample@$h hello
		bystand "gss-server-$user" $user gss-server -once -port 4445 sample
		bystand "curl-$user" $user curl -sS --negotiate -u : "http://$h/page"
		bystand "ldapwhoami-$user" $user ldapwhoami -H "ldap://$h"
		bystand "ldapwhoami-GSSAPI-$user" $user ldapwhoami -Y GSSAPI -H "ldap://$h"
		bystand "ldapwhoami-SPNEGO-$user" $user ldapwhoami -Y GSS-SPNEGO -H "ldap://$h"
		bystand "psql-$user" $user "$psql" -At "host=$h user=alice dbname=postgres" -c 'select 1'
		bystand "ssh-$user" $user ssh -n "alice@$h" echo inside
		told "ssh-v-$user" $user ssh -v -n "alice@$h" echo inside
	done
	told mechanisms bob /usr/bin/python3 "$host_dir/credentials.py" mechs
	told sasl-list bob ldapsearch -x -LLL -H "ldap://$h" -b '' -s base supportedSASLMechanisms
	told sasl-client bob saslpluginviewer -c
	told sasl-server bob saslpluginviewer -s
}

# world NAME CMD...: all of it, on a host that CMD has changed.
world()
{
	world=$1
	shift
	mkdir -p "$out/$world"
	"$@"
	rm -f "$host_logs"/*.log
	host_start
	bystand_all
	host_stop
	cp "$host_logs"/*.log "$out/$world/"
}

install_nothing()
{
	:
}

install_plugin()
{
	cp -a "$staged/." /
}

# One identity, for one service, with a key of that service's user.
configure_one()
{
	gss-ipsec keygen --out /etc/gss/sample.pem >/dev/null || host_die "no key"
	chown sample /etc/gss/sample.pem
	cat >/etc/gss/ipsec.conf <<-CONFIG
		[identity]
			sample = {
				key = /etc/gss/sample.pem
				host = $host_name
				services = sample
			}
	CONFIG
	chmod 0644 /etc/gss/ipsec.conf
}

host_make >"$out/make.log" 2>&1
cp "$here/bystanders/credentials.py" "$host_dir/"
world none install_nothing
world again install_nothing
world bare install_plugin
world one configure_one
"$here/bystanders/judge.py" "$out"
