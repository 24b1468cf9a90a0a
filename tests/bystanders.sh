#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs that do not use the mechanism, on a host where it is installed:
#
#   bystanders.sh STAGED BUILD OUT
#
# Each runs on one host with a KDC, with the plugin not there, registered with nothing configured, and
# configured for one service; what it prints, its status, the servers' logs, the files it opens and its
# system calls must be the same, but for what bystanders/judge.py names.  Configured for one service, only
# that service's programs offer or take it.  No guest: nothing is latched.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/bystanders/host.sh"
. "$here/real/report.sh"
[ "${1:-}" = inside ] || {
	rm -rf "$3" && mkdir -p "$3" || exit 1
	host_inside "$(cd "$3" && pwd)" "$here/bystanders.sh" inside "$(cd "$1" && pwd)" \
		"$(cd "$2" && pwd)" "$(cd "$3" && pwd)"
}
staged=$2
build=$3
out=$4
h=$host_name
ours=GS2-63L22ULZSVD
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
	"${extra[@]}"
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

# --- with the plugin ---

# Loading and unloading libgssapi, as often as is said: no error of memory.
reload()
{
	local times
	for times; do
		host_as bob valgrind --leak-check=full --errors-for-leak-kinds=none --error-exitcode=9 \
			"$host_dir/reload" "$times" >"$out/$world/valgrind-$times" 2>&1 || return 1
	done
}

# Octets lost in a world: libgssapi and libkrb5 lose some each time that they are unloaded.
lost()
{
	echo $(($(sed -n 's/.*\(definitely\|indirectly\|possibly\) lost: \([0-9,]*\) bytes.*/\2/p' \
		"$out/$1/valgrind-$2" | tr -d , | paste -sd+)))
}

# Nothing lost by us, and no more than without us but for the 8 octets of libgssapi's for each plugin.
reload_as_without()
{
	reload "$1" && ! grep -q mech_ipsec "$out/$world/valgrind-$1" &&
		[ "$(lost "$world" "$1")" -le $(($(lost none "$1") + 8 * $1)) ]
}

valgrind_report()
{
	report "$world: valgrind, libgssapi loaded and unloaded $1 times" reload_as_without "$1"
}

# plugins_of USER CMD...: what a plugin viewer says of ours
plugins_of()
{
	host_as "$@" | grep -A 2 "SASL mechanism: $ours,"
}

# offers USER: whether Cyrus SASL and default credentials have the mechanism, and answer to its token
offers()
{
	local told
	told=$(host_as "$1" saslpluginviewer -s | grep -c "SASL mechanism: $ours,"
		host_as "$1" saslpluginviewer -c | grep -c "SASL mechanism: $ours,"
		host_as "$1" /usr/bin/python3 "$host_dir/credentials.py" | grep -c 1.2.840.113556
		host_as "$1" /usr/bin/python3 "$host_dir/accept.py" take "$host_dir/token")
	echo $told
}

# Another user's programs, root's, and those of the services that were there before.
offers_nothing()
{
	[ "$(offers "$1")" = "0 0 0 none refused default refused" ] || { offers "$1"; return 1; }
}

offers_all()
{
	[ "$(offers sample)" = "1 1 3 none taken default taken" ] || { offers sample; return 1; }
}

# gss_set_neg_mechs apart, an offer of SPNEGO's names every mechanism with a credential: our OID's octets.
spnego_offers()
{
	host_as "$1" strace -qq -xx -s 4096 -e trace=write,sendto -o "$host_dir/offer.$1" \
		gss-client -port 4446 -spnego $h sample@$h x >/dev/null 2>&1
	grep -qF '\x2a\x86\x48\x86\xf7\x14\x01\xbe\x40' "$host_dir/offer.$1"
}

spnego_offers_not()
{
	! spnego_offers "$1"
}

is_anonymous_flag()
{
	local flags
	flags=$(plugins_of sample "$@" saslpluginviewer -s) || return 1
	[[ $flags != *NO_ANONYMOUS* ]]
}

is_no_anonymous_flag()
{
	! is_anonymous_flag && plugins_of sample saslpluginviewer -s >/dev/null
}

only_where_configured()
{
	local user

	sed 's/^\[identity\]/[gss-ipsec]\n\tanonymous_peer = accept\n&/' /etc/gss/ipsec.conf \
		>"$host_dir/anonymous.conf"
	host_as sample /usr/bin/python3 "$host_dir/accept.py" make "sample@$h" "$host_dir/token" ||
		host_die "no token"
	for user in alice bob openldap postgres www-data root; do
		report "one: programs of $user offer and take nothing" offers_nothing "$user"
	done
	report "one: programs of sample, whose service it is, do" offers_all
	host_run another-server gss-server -port 4446 sample
	host_wait 10 host_answers 4446
	report "one: SPNEGO of alice does not offer it" spnego_offers_not alice
	report "one: SPNEGO of sample does" spnego_offers sample
	report "one: Cyrus SASL's NOANONYMOUS holds" is_no_anonymous_flag
	report "one: and not where the configuration takes anonymous peers" is_anonymous_flag \
		env "GSS_IPSEC_CONFIG=$host_dir/anonymous.conf"
	valgrind_report 10
}

# The line that registers the plugin is never there without the file that it names.
order_of_files()
{
	local plugin=usr/lib/gss/mech_ipsec.so line=etc/gss/mech.d/ipsec.conf

	[ "$(stat -c %.9Z "$staged/$line")" \> "$(stat -c %.9Z "$staged/$plugin")" ] || return 1
	[ "$(make -s -n -C "$build" uninstall DESTDIR=/nowhere |
		grep -oE "^rm -f /nowhere/($line|$plugin)\$")" = "rm -f /nowhere/$line
rm -f /nowhere/$plugin" ]
}

host_make >"$out/make.log" 2>&1
cp "$here"/bystanders/*.py "$build/tests/bystanders/reload" "$host_dir/"
chmod 1777 "$host_dir"
extra=(reload 10 100)
world none install_nothing
extra=(true)
world again install_nothing
extra=(valgrind_report 100)
world bare install_plugin
extra=(only_where_configured)
world one configure_one
report "installed before it is registered, and removed after" order_of_files
"$here/bystanders/judge.py" "$out" || report_failed=$((report_failed + 1))
report_end
