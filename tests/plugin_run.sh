#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The plugin in MIT's mechglue, driven by our own program, python3-gssapi and Debian's gss-client and
# gss-server, all as shipped, without a broker: plugin_run.sh [PLUGIN [GLUE-PROGRAM]]
#
# VALGRIND=1 runs the program under valgrind too; PRELOAD names what a sanitizer build needs.
# Prints "ok" and "FAIL" lines; exit status 1 when one failed.
set -u

top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
plugin=$(realpath "${1:-$top_builddir/.libs/mech_ipsec.so}")
glue=$(realpath "${2:-$top_builddir/tests/plugin_glue}")
errors=$(dirname "$glue")/plugin_errors
python=/usr/bin/python3
oid='{ 1 2 840 113556 1 8000 2554 31079 55960 30804 18932 37582 1664278 1045436 1 }'
failed=0

work=$(mktemp -d) || exit 1
server=
# shellcheck disable=SC2317
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# result STATUS TEXT
result() {
	if [ "$1" -eq 0 ]; then
		echo "ok plugin_run: $2"
	else
		echo "FAIL plugin_run: $2"
		failed=1
	fi
}

# with CONFIG MECHS COMMAND...: runs a program with this configuration and these mechanisms
with() (
	GSS_IPSEC_CONFIG=$1 GSS_MECH_CONFIG=$2
	export GSS_IPSEC_CONFIG GSS_MECH_CONFIG
	shift 2
	[ -z "${PRELOAD:-}" ] || export LD_PRELOAD="$PRELOAD"
	exec timeout 300 "$@"
)

[ -f "$plugin" ] && [ -x "$glue" ]
result $? "plugin and program are built"
[ $failed -eq 0 ] || exit 1

"$top_srcdir/tests/support/make_identities.sh" "$work/memory" yes "$plugin" &&
	"$top_srcdir/tests/support/make_identities.sh" "$work/loopback" auto "$plugin" &&
	${CC:-cc} -shared -fPIC -fvisibility=hidden -o "$work/decoy.so" \
		"$top_srcdir/tests/support/decoy_mech.c" -lgssapi_krb5 &&
	${CC:-cc} -shared -fPIC -I"$top_srcdir" -o "$work/count.so" \
		"$top_srcdir/tests/support/count_allocations.c"
result $? "identities, decoy and counter are made"
{
	cat "$work/memory/mech.conf"
	echo "decoy 1.3.6.1.4.1.311.127.1 $work/decoy.so"
} >"$work/decoy.conf"
memory="$work/memory/ipsec.conf $work/memory/mech.conf"

# --- our own program ---
# shellcheck disable=SC2086
with $memory "$glue" configured
result $? "configured"
cp "$work/memory/ipsec.conf" "$work/memory/naming.conf" && cat >>"$work/memory/naming.conf" <<'END'
[localname]
	staff = {
		name = *@example.org
	}
	guests = {
		name = *@Guests.Example.ORG
		user = guest
	}
	alice = {
		name = alice@Example.ORG
		user = wonder
	}
	machines = {
		name = host/Server.example.org
		user = hostuser
	}
	key = {
		name = SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
		user = keyuser
	}
	chief = {
		name = boss@example.org
		name = chief@example.org
		user = root
	}
END
with "$work/memory/naming.conf" "$work/memory/mech.conf" "$glue" naming
result $? "local users and name attributes"
sed 's/^\[gss-ipsec\]$/&\n\tanonymous_peer = accept/' "$work/memory/ipsec.conf" \
	>"$work/memory/anonymous.conf" && cat >>"$work/memory/anonymous.conf" <<'END'
[identity]
	nobody = {
		anonymous = yes
	}
END
with "$work/memory/anonymous.conf" "$work/memory/mech.conf" "$glue" anonymous
result $? "anonymous ends"
with "$work/none.conf" "$work/memory/mech.conf" "$glue" unconfigured
result $? "unconfigured"
with "$work/memory/ipsec.conf" "$work/decoy.conf" "$glue" reselect
result $? "SPNEGO with reselection"
with "$work/none.conf" "$work/decoy.conf" "$glue" decoy
result $? "SPNEGO without an identity"
# A sanitizer counts for itself.
if [ -z "${PRELOAD:-}" ]; then
	# shellcheck disable=SC2030,SC2086
	(PRELOAD=$work/count.so && with $memory "$glue" allocations)
	result $? "messages in pieces take no memory"
	# shellcheck disable=SC2030,SC2031,SC2086
	(PRELOAD=$work/count.so && with $memory "$glue" growth)
	result $? "logins leave nothing in the heap"
fi
if [ -x "$errors" ]; then
	sed /default_domain/d "$work/memory/ipsec.conf" >"$work/memory/errors.conf"
	(
		umask 077 && cd "$work/memory" &&
			openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:1024 -out rsa1024.key &&
			openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-521 -out p521.key &&
			openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:secp256k1 -out k256.key
	) 2>/dev/null
	result $? "keys of kinds that are not taken"
	with "$work/memory/errors.conf" "$work/memory/mech.conf" "$errors" "$work/memory"
	result $? "every minor"
fi
if [ "${VALGRIND:-0}" = 1 ]; then
	for mode in configured naming; do
		config=$work/memory/ipsec.conf
		[ $mode = configured ] || config=$work/memory/$mode.conf
		with "$config" "$work/memory/mech.conf" valgrind -q --leak-check=full \
			--error-exitcode=9 --suppressions="$top_srcdir/tests/support/valgrind.supp" \
			"$glue" $mode >"$work/out"
		result $? "valgrind finds nothing ($mode)"
	done
fi

# shellcheck disable=SC2086
with $memory "$(dirname "$glue")/../examples/bound_login" host@server.example.org >"$work/bound"
printf 'through one channel: bound\nthrough two channels: refused, the channel bindings differ\n' |
	diff - "$work/bound"
result $? "examples/bound_login: a login inside a channel, and one passed on"

# --- installed without an identity: what others see does not change ---
cat >"$work/bystander.py" <<'END'
import gssapi
for usage in "initiate", "accept", "both":
    try:
        gssapi.Credentials(usage=usage)
        print(usage, "there are credentials")
    except gssapi.exceptions.GSSError as error:
        print(usage, error)
END
# Nothing of the machine's own Kerberos may decide this.
with /dev/null /dev/null env KRB5CCNAME=MEMORY:none KRB5_KTNAME=FILE:/nonexistent \
	"$python" "$work/bystander.py" >"$work/without" 2>&1
with "$work/none.conf" "$work/memory/mech.conf" env KRB5CCNAME=MEMORY:none \
	KRB5_KTNAME=FILE:/nonexistent "$python" "$work/bystander.py" >"$work/with" 2>&1
[ -s "$work/without" ] && cmp "$work/without" "$work/with"
result $? "default credentials fail as without us"

# --- python3-gssapi ---
# shellcheck disable=SC2086
with $memory "$python" "$top_srcdir/tests/plugin_python.py"
result $? "python3-gssapi"

# --- krb5-gss-samples on the loopback interface ---
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')

# sample TEXT SERVER-OPTION OPTIONS...: one connection between Debian's own programs
sample() {
	text=$1
	server_option=$2
	shift 2
	# Not through with(): the number of its shell is not that of the program, which has to be ended.
	# shellcheck disable=SC2086
	env GSS_IPSEC_CONFIG="$work/loopback/ipsec.conf" \
		GSS_MECH_CONFIG="$work/loopback/mech.conf" ${PRELOAD:+LD_PRELOAD="$PRELOAD"} \
		timeout 60 gss-server -port "$port" $server_option -once host@server.example.org \
		>"$work/server" 2>&1 &
	server=$!
	tries=0
	while [ $tries -lt 200 ] && ! ss -Hltn "sport = :$port" | grep -q .; do
		sleep 0.1
		tries=$((tries + 1))
	done
	with "$work/loopback/ipsec.conf" "$work/loopback/mech.conf" \
		gss-client -port "$port" "$@" 127.0.0.1 host@server.example.org "good morning" \
		>"$work/client" 2>&1
	status=$?
	[ $status -eq 0 ] || kill "$server"
	wait "$server"
	server=
	[ $status -eq 0 ] && grep -q 'Signature verified' "$work/client" &&
		grep -q '"alice@example.org" to "host/server.example.org"' "$work/client" &&
		grep -q 'Accepted connection: "alice@example.org"' "$work/server" &&
		grep -q 'Received message: "good morning"' "$work/server"
	status=$?
	[ $status -eq 0 ] || cat "$work/client" "$work/server"
	result $status "$text"
}

sample "gss-client and gss-server, by OID" "" -mech "$oid"
sample "gss-client and gss-server, by SPNEGO" "" -spnego
sample "gss-server hands its context over, by OID" -export -mech "$oid" -mcount 3
sample "gss-server hands its context over, by SPNEGO" -export -spnego -mcount 3

exit $failed
