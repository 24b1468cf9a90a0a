#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# gss-ipsec and gss-ipsecd as an administrator types them: help, mistakes, keys, peers, check; and that
# the texts in doc/ name every option and key: tools_run.sh BUILD.  As root, without a broker.
# Prints "ok" and "FAILED" lines; exit status 1 when one failed.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/real/report.sh
build=$(realpath "$1")
tool=$build/gss-ipsec
broker=$build/gss-ipsecd
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
config=$work/ipsec.conf
export HOME=$work GSS_IPSEC_CONFIG=$config
unset XDG_CONFIG_HOME

# ends STATUS PATTERN COMMAND...: ends with this status, and prints a line like the pattern.
ends()
{
	local status=$1 pattern=$2 got
	shift 2
	timeout 60 "$@" >"$work/out" 2>&1
	got=$?
	cat "$work/out"
	echo "status $got"
	[ "$got" = "$status" ] && grep -q -- "$pattern" "$work/out"
}

says()
{
	local status=$1 what=$2
	shift 2
	report "$what" ends "$status" "$@"
}

# helps COMMAND...: on standard output alone, in lines for a narrow screen.
helps()
{
	timeout 10 "$@" >"$work/out" 2>"$work/err" && grep -q ^usage: "$work/out" &&
		[ ! -s "$work/err" ] && ! grep '.\{101\}' "$work/out"
}

for words in "$tool --help" "$tool -h" "$tool status --help" "$tool keygen --help" \
	"$tool peer --help" "$tool peer add --help" "$tool check -h" "$tool doctor -h" "$broker --help" "$broker -h"; do
	# shellcheck disable=SC2086
	report "help: ${words#"$build"/}" helps $words
done
says 2 "no command" ^usage: "$tool"
says 2 "an unknown command" "'frob' is no command" "$tool" frob
says 2 "an unknown option" "unrecognized option" "$tool" check --frob
says 2 "an unknown type of key" "'dsa' is no type of key" "$tool" keygen --type dsa
says 2 "gss-ipsecd: an unknown option" "unrecognized option" "$broker" --frob
says 2 "gss-ipsecd: a value out of range" "--quota-user many: the value" "$broker" --quota-user many
says 2 "gss-ipsecd: a stray word" "'frob' is no option" "$broker" frob

for type in ed25519 ecdsa-p256 ecdsa-p384 rsa-2048; do
	says 0 "keygen --type $type" "^public name: SHA256:" \
		"$tool" keygen --type $type --out "$work/$type.pem"
done
says 1 "keygen replaces nothing" "exists and is not replaced" "$tool" keygen --out "$work/ed25519.pem"

says 0 "peer add: a host" "added server.example.org" \
	"$tool" peer add server.example.org "$work/ecdsa-p256.pem"
says 0 "peer add: its next key" "another key for server.example.org" \
	"$tool" peer add server.example.org "$work/rsa-2048.pem"
says 1 "peer add: half a name of a key" "43 base64 digits" "$tool" peer add a@example.org SHA256:abc
says 1 "peer add: no name and no tag" "needs a --tag" "$tool" peer add - "$work/ed25519.pem"
says 0 "peer add: known by its key" "added spare" \
	"$tool" peer add --tag spare - "$work/ed25519.pem"
says 0 "peer list" "named by its key" "$tool" peer list
says 1 "peer list: no such file" "No such file" "$tool" peer list --file "$work/none"
says 0 "peer remove: when it counts" "from the next second on" "$tool" peer remove spare
says 1 "peer remove: again" "no \[peer\] entry spare" "$tool" peer remove spare

says 1 "check: no such file" "No such file" "$tool" check --file "$work/none"
says 1 "check: no broker" "is it running" "$tool" status --broker "$work/none"
{
	printf '[identity]\n alice = {\n key = %s/ed25519.pem\n user = alice@example.org\n }\n' "$work"
	printf ' nobody = {\n anonymous = yes\n }\n'
} >>"$config"
says 1 "check: this user's key" "^identity alice: OK, alice@example.org, key SHA256:" "$tool" check
says 1 "check: an anonymous identity" "^identity nobody: OK, anonymous" "$tool" check
chown nobody "$work/ed25519.pem"
says 1 "check, as root: a key that another user keeps to himself" \
	"^identity alice: for programs of nobody; 'runuser -u nobody" "$tool" check
chmod 640 "$work/ed25519.pem"
says 1 "check, as root: a key that another user shows others" "others can read it" "$tool" check
printf '[gss-ipsec]\n esp_ciphers = aes-256-gcm rot13\n' >"$work/wrong.conf"
says 1 "check: an unknown cipher, and which there are" \
	"none of aes-256-gcm, aes-128-gcm, chacha20-poly1305$" "$tool" check --file "$work/wrong.conf"

# --- doctor: what needs no kernel of its own; the rest is in tests/real/doctor.sh ---

export GSS_MECH_CONFIG=$work/mech.conf
says 1 "doctor: not registered" "mend: echo 'ipsec 1.2.840.*mech_ipsec.so' >>$work/mech.conf" "$tool" doctor
echo "ipsec 1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.1 $work/gone.so" \
	>"$GSS_MECH_CONFIG"
says 1 "doctor: registered, not there" "gone.so, which .*is not there" "$tool" doctor
sed -i "s|$work/gone.so|$build/.libs/mech_ipsec.so|" "$GSS_MECH_CONFIG"
says 1 "doctor: MIT's library finds the plugin" "MIT's library finds the mechanism" \
	${PRELOAD:+env "LD_PRELOAD=$PRELOAD"} "$tool" doctor
cp "$config" "$work/kept.conf"
printf '[gss-ipsec]\n broker = %s\n' "$work/it's none" >>"$config"
says 1 "doctor: no broker, and a path that the shell would mind" "there is no socket $work/it's none" \
	"$tool" doctor
mkdir "$work/it's none"
says 1 "doctor: no socket" "it's none is no socket of gss-ipsecd's" "$tool" doctor
chmod go+w "$config"
says 1 "doctor: the command is quoted" "mend: chmod go-w $config" "$tool" doctor
cp "$config" "$work/it's.conf"
chmod go+w "$work/it's.conf"
says 1 "doctor: a quotation mark within a command" "mend: chmod go-w '$work/it'.''s.conf'" \
	env "GSS_IPSEC_CONFIG=$work/it's.conf" "$tool" doctor
chmod go-w "$config"
says 2 "doctor: half a service" ^usage: "$tool" doctor --service imap
says 1 "doctor: an unknown peer and its key" "mend: gss-ipsec peer add b.example.org SHA256:" \
	"$tool" doctor --peer b.example.org --key "$work/ecdsa-p384.pem"
says 1 "doctor: a peer's other key" "mend: gss-ipsec peer add --tag server.example.org " \
	"$tool" doctor --peer server.example.org --key "$work/ecdsa-p384.pem"
says 1 "doctor: a peer's key" "peers: server.example.org has the key SHA256:" \
	"$tool" doctor --peer server.example.org --key "$work/rsa-2048.pem"
says 1 "doctor: a short name" "but server.example.org; a host's name is compared whole" \
	"$tool" doctor --peer server
says 1 "doctor --json" '"finding": "BROKER_NO_SOCKET", "verdict": "broken"' "$tool" doctor --json
report "doctor --json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/out"
cp "$work/kept.conf" "$config"
unset GSS_MECH_CONFIG

# --- the texts ---

# names FILE WORD...: each word stands in the file.
names()
{
	local file=$1 word missing=
	shift
	for word; do
		sed 's/\\-/-/g' "$file" | grep -qF -- "$word" || missing+=" $word"
	done
	echo "missing:$missing"
	[ $# -gt 0 ] && [ -z "$missing" ]
}

mapfile -t keys < <(sed -n 's/^\t\(\[.*\] *= \)\?{ "\([a-z0-9_]*\)", *set_.*/`\2`/p' base/config_keys.c)
report "doc/configuration.md has all ${#keys[@]} keys" names doc/configuration.md "${keys[@]}"
mapfile -t options < <(sed -n 's/^\t{ "\([a-z-]*\)", *option_.*/--\1/p' kernel-bind/broker_main.c)
report "gss-ipsecd(8) has all ${#options[@]} options" names doc/gss-ipsecd.8 --help "${options[@]}"
mapfile -t options < <(cat tools/*.c | grep -o '{ "[a-z-]*", \(required\|no\)_argument' |
	sed 's/{ "\([a-z-]*\)".*/--\1/' | sort -u)
report "gss-ipsec(1) has all ${#options[@]} options" names doc/gss-ipsec.1 "${options[@]}"
report_end
