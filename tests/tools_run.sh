#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# gss-ipsec and gss-ipsecd as an administrator types them: help, mistakes, keys, peers, check; and that
# the texts in doc/ name every option and key: tools_run.sh BUILD.  As root, without a broker.
# Prints "ok" and "FAIL" lines; exit status 1 when one failed.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/real/report.sh
build=$(realpath "$1")
tool=$build/gss-ipsec
broker=$build/gss-ipsecd
work=$(mktemp -d) || exit 1
fake=
trap '[ -z "$fake" ] || kill "$fake" 2>/dev/null; rm -rf "$work"' EXIT
chmod 755 "$work"
config=$work/ipsec.conf
export HOME=$work GSS_IPSEC_CONFIG=$config
unset XDG_CONFIG_HOME

# ends STATUS PATTERN COMMAND...: ends with this status, and prints a line like the pattern.
ends()
{
	local status=$1 pattern=$2 got
	shift 2
	timeout 60 "$@" >"$work/out" 2>&1 </dev/null
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

# quiet_about PATTERN COMMAND...: prints something, and no such line.
quiet_about()
{
	local pattern=$1
	shift
	timeout 60 "$@" >"$work/out" 2>&1 </dev/null
	cat "$work/out"
	[ -s "$work/out" ] && ! grep -q -- "$pattern" "$work/out"
}

# helps COMMAND...: on standard output alone, in lines for a narrow screen.
helps()
{
	timeout 10 "$@" >"$work/out" 2>"$work/err" && grep -q ^usage: "$work/out" &&
		[ ! -s "$work/err" ] && ! grep '.\{101\}' "$work/out"
}

for words in "$tool --help" "$tool -h" "$tool status --help" "$tool keygen --help" \
	"$tool peer --help" "$tool peer add --help" "$tool check -h" "$tool doctor -h" "$tool localname --help" \
	"$broker --help" "$broker -h"; do
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

says 2 "status: a port out of range" "the value is out of range" "$tool" status --port 65536
says 2 "status: a stray word" "'5' is no option" "$tool" status 5
says 2 "doctor: a stray word" "'host' is no option" "$tool" doctor --server host
says 2 "status: no number of seconds" "is no number" "$tool" status --watch soon
says 1 "status --json: no broker" "no broker answers" "$tool" status --json --broker "$work/none"
says 1 "status --fd: no socket" "no broker answers\|not a connected TCP" \
	"$tool" status --fd 0 --broker "$work/none"
says 0 "gss-ipsec --version" "^gss-ipsec [0-9]" "$tool" --version
says 0 "gss-ipsecd --version" "^gss-ipsecd [0-9]" "$broker" --version

for type in ed25519 ecdsa-p256 ecdsa-p384 rsa-2048 p256 p384; do
	says 0 "keygen --type $type" "^public name: SHA256:" \
		"$tool" keygen --type $type --out "$work/$type.pem"
done
says 0 "keygen --type rsa --bits 2056" "^public name: SHA256:" \
	"$tool" keygen --type rsa --bits 2056 --out "$work/rsa-2056.pem"
says 0 "keygen tells what to type on the other host" "gss-ipsec peer add NAME SHA256:" \
	"$tool" peer show-key "$work/p256.pem"
says 2 "keygen: too few bits" "2048 to 8192 bits" "$tool" keygen --type rsa --bits 1024
says 2 "keygen: bits of another type" "goes with --type rsa" "$tool" keygen --bits 2048
report "keygen: nobody else can read the key" [ "$(stat -c %a "$work/p256.pem")" = 600 ]
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

printf '[peer]\n\talice = {\n\t\tuser = alice@example.org\n\t\tkey = %s\n\t}\n' \
	"$("$tool" peer show-key "$work/p256.pem" | grep -om 1 'SHA256:[^ ]*')" >"$work/short.conf"
says 1 "peer remove: by the name, in place of the tag" "for that name is called alice" \
	"$tool" peer remove --file "$work/short.conf" alice@example.org
says 0 "peer add: a key for a name whose tag is another" "another key for alice" \
	"$tool" peer add --file "$work/short.conf" alice@example.org "$work/ed25519.pem"
says 0 "peer add: a second entry for the name" "added second" \
	"$tool" peer add --file "$work/short.conf" --tag second alice@example.org "$work/p256.pem"
says 0 "peer remove: a key that another entry has" "second, for alice@example.org too, stays" \
	"$tool" peer remove --file "$work/short.conf" alice "$work/p256.pem"
says 0 "peer remove: a name that another entry has" "second, for alice@example.org too, stays" \
	"$tool" peer remove --file "$work/short.conf" alice
says 0 "peer add: a user whose name differs by its letters' case" "added Alice@example.org" \
	"$tool" peer add --file "$work/short.conf" Alice@example.org "$work/p256.pem"
says 0 "peer remove: the last one" "Logins are refused" \
	"$tool" peer remove --file "$work/short.conf" second
openssl pkey -in "$work/p256.pem" -pubout -out "$work/p256.pub"
printf '[peer]\n\tone = {\n\t\tuser = a@b.example\n\t\tkey_file = %s\n\t\tkey = %s\n\t}\n' "$work/p256.pub" \
	"$("$tool" peer show-key "$work/p256.pem" | grep -om 1 'SHA256:[^ ]*')" >"$work/both.conf"
says 0 "peer remove: a key that is in the entry's file too" "one, for a@b.example too, stays" \
	"$tool" peer remove --file "$work/both.conf" one "$work/p256.pem"
says 0 "peer add: a key for some services is another entry" "added s.example" \
	"$tool" peer add --file "$work/both.conf" --services imap s.example "$work/p256.pem"
printf '[peer]\n\tbob = {\n\t\thost = b.example\n\t\tkey_file = %s/none\n\t}\n' "$work" \
	>"$work/none.conf"
says 1 "check: a peer's key file" "peer bob: its key_file cannot be taken: .*none" \
	"$tool" check --file "$work/none.conf"
printf '[peer]\n\tbob = {\n\t\thost = b.example\n\t\tkey_file = %s\n\t}\n' "$work/p256.pem" >"$work/private.conf"
says 1 "peer list: a private key in a peer's key_file" "peer bob: its key_file cannot be taken: it holds no PEM public key" \
	"$tool" peer list --file "$work/private.conf"
chmod g+w "$work/p256.pub"
sed -i "s/p256.pem/p256.pub/" "$work/private.conf"
says 1 "check: a peer's key that others can write" "key_file cannot be taken: .*can be written by others" \
	"$tool" check --file "$work/private.conf"
chmod g-w "$work/p256.pub"
says 0 "peer list: the key in a peer's key_file" "key      SHA256:" \
	"$tool" peer list --file "$work/private.conf"
says 1 "check: the file that is named does not exist" "counts as empty" \
	env GSS_IPSEC_CONFIG="$work/nowhere" "$tool" check
says 0 "peer add: a user" "added Bob@example.org, user Bob@example.org" \
	"$tool" peer add Bob@Example.org "$work/p256.pem"
says 1 "peer add: a name that may be either" "write bob@DOMAIN for the user, --host bob" \
	"$tool" peer add bob "$work/p256.pem"
says 0 "peer add: a host without a dot" "added bob, host bob" \
	"$tool" peer add --host bob "$work/p256.pem"
says 1 "peer add: a user without a domain" "write carol@DOMAIN" \
	"$tool" peer add --user carol "$work/p256.pem"
says 1 "peer add: both" "a user or a host, not both" \
	"$tool" peer add --user --host bob "$work/p256.pem"
says 1 "peer add: a host with an @" "no host's name has" \
	"$tool" peer add --host bob@example.org "$work/p256.pem"
says 1 "peer add: a host as it is shown" "give its name alone: server.example.org" \
	"$tool" peer add /server.example.org "$work/p256.pem"
says 1 "peer add: a service" "with --services imap" \
	"$tool" peer add imap/server.example.org "$work/p256.pem"
says 1 "peer add: a key for a name" "a key is no name" "$tool" peer add SHA256:abc "$work/p256.pem"
says 1 "peer add: no name of a host" "no name that a host can have" \
	"$tool" peer add server..example.org "$work/p256.pem"

# --- OpenSSH's keys and known hosts, made by OpenSSH ---
ssh=$work/ssh
mkdir "$ssh"
ssh_key()
{
	ssh-keygen -q -t "$2" -b "$3" -N "$4" -C "a comment" -f "$ssh/$1" </dev/null
}
# Its type and key, without the comment.
ssh_public()
{
	cut -d ' ' -f 1,2 "$ssh/$1.pub"
}
ssh_key one ed25519 256 "" && ssh_key two ecdsa 256 "" && ssh_key three ecdsa 384 "" &&
	ssh_key large ecdsa 521 "" && ssh_key rsa rsa 2048 "" && ssh_key locked ed25519 256 secret
for name in one two three; do
	says 0 "keygen --from-ssh: $(cut -d ' ' -f 1 "$ssh/$name.pub")" "^private key:" \
		"$tool" keygen --from-ssh "$ssh/$name" --out "$work/$name.pem"
	# The same key, whoever reads it.
	"$tool" peer show-key "$ssh/$name.pub" >"$work/of-public"
	says 0 "... and its public half is the .pub file's" "$(sed -n 's/^public name: //p' "$work/of-public")" \
		"$tool" peer show-key "$work/$name.pem"
	report "... which OpenSSL takes, too" openssl pkey -in "$work/$name.pem" -noout
done
says 1 "keygen --from-ssh: a passphrase" "ssh-keygen -p -f COPY" \
	"$tool" keygen --from-ssh "$ssh/locked" --out "$work/none.pem"
says 1 "keygen --from-ssh: RSA" "turns a copy of an RSA key" \
	"$tool" keygen --from-ssh "$ssh/rsa" --out "$work/none.pem"
says 1 "keygen --from-ssh: P-521" "elliptic curve" \
	"$tool" keygen --from-ssh "$ssh/large" --out "$work/none.pem"
says 1 "keygen --from-ssh: something else" "no private key of OpenSSH's" \
	"$tool" keygen --from-ssh "$work/p256.pem" --out "$work/none.pem"
cp "$ssh/rsa" "$ssh/copy"
ssh-keygen -q -p -N "" -m PKCS8 -f "$ssh/copy" >/dev/null
says 0 "an RSA key, turned as that sentence says" "^public name: SHA256:" "$tool" peer show-key "$ssh/copy"

{
	echo "# made by a test"
	echo "mail.example.org,192.0.2.1 $(ssh_public one) who made it"
	echo "mail.example.org $(ssh_public two)"
	echo "[git.example.org]:2222 $(ssh_public three)"
	echo "*.example.net $(ssh_public one)"
	echo "good.example.net,!bad.example.net $(ssh_public one)"
	echo "@cert-authority *.example.org $(ssh_public rsa)"
	echo "old.example.org $(ssh_public rsa)"
	echo "short $(ssh_public one)"
	echo "cut.example.org ssh-ed25519"
	echo "Web.Example.org $(ssh_public three)"
} >"$ssh/known"
cp "$ssh/known" "$ssh/hashed"
ssh-keygen -q -H -f "$ssh/hashed" 2>/dev/null
import=("$tool" peer import-from-ssh-known-hosts --file "$work/imported")
says 0 "import: whole names" "^3 keys added, 0 known" "${import[@]}" "$ssh/known"
for text in "1: malformed" "1: certificate authorities" "1: keys of other kinds" "1: names with a port" \
	"2: lines with patterns" "2: addresses and names without" "keygen --from-ssh /etc/ssh/ssh_host"; do
	report "import tells: $text" grep -q "$text" "$work/out"
done
says 0 "import: again" "^0 keys added, 3 known" "${import[@]}" "$ssh/known"
says 0 "what was imported is in order" "host     web.example.org" \
	"$tool" peer list --file "$work/imported"
rm "$work/imported"
ssh-keygen -q -H -f "$ssh/hashed" -F mail.example.org 2>/dev/null >"$ssh/only"
says 1 "import: hashed names alone, none named" "left out, [1-9]: hashed names: name the hosts" \
	"${import[@]}" "$ssh/only"
says 0 "import: hashed names are found" "^2 keys added" \
	"${import[@]}" --services "imap smtp" "$ssh/hashed" MAIL.example.org
says 0 "import: for these services" "services imap smtp" "$tool" peer list --file "$work/imported"
says 0 "import: a name with a port is its host" "  git.example.org SHA256:" \
	"${import[@]}" "$ssh/hashed" "[git.example.org]:2222"
says 1 "import: a name that a pattern would give" "no key for www.example.net" \
	"${import[@]}" "$ssh/known" www.example.net
says 1 "import: a name beside one that is taken back" "no key for good.example.net" \
	"${import[@]}" "$ssh/known" good.example.net
"$tool" peer add --file "$work/imported" --tag web.example.org web@example.org "$work/p256.pem"
says 1 "import: an entry for something else" "another name or services" \
	"${import[@]}" "$ssh/known" web.example.org
says 1 "import: one host that is there, one that is not" "no key for none.example.org" \
	"${import[@]}" "$ssh/known" mail.example.org none.example.org
cp "$work/imported" "$work/imported.before"
{ echo "@revoked * $(ssh_public three)"; cat "$ssh/known"; } >"$ssh/revoked"
says 1 "import: a revoked key" "says are revoked; nothing is imported" \
	"${import[@]}" "$ssh/revoked" "[git.example.org]:2222"
{ echo "@revoked * ssh-ed25519 AAAA"; cat "$ssh/known"; } >"$ssh/revoked"
says 1 "import: a revoked key that cannot be read" "cannot be read; nothing is imported" \
	"${import[@]}" "$ssh/revoked"
{ echo "@frob * $(ssh_public one)"; cat "$ssh/known"; } >"$ssh/revoked"
says 1 "import: an unknown marker" "cannot be read; nothing is imported" "${import[@]}" "$ssh/revoked"
printf '\e]0;me.example.org %s\n' "$(ssh_public one)" >"$ssh/orders"
says 1 "import: a name with orders for the terminal" "'?]0;me.example.org' is no name" \
	"${import[@]}" "$ssh/orders"
report "import: what failed has changed nothing" cmp "$work/imported" "$work/imported.before"
says 1 "import: no such file" "cannot be read" "${import[@]}" "$work/none"
# Held where the new file is written, while another one changes it.
env "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" strace -qqe trace=fsync -o "$work/strace" \
	-e inject=fsync:delay_enter=1500000 "$tool" peer add --file "$work/two.conf" slow.example.org \
	"$work/p256.pem" >"$work/slow" 2>&1 & slow=$!
for _ in {1..100}; do compgen -G "$work/two.conf.??????" >/dev/null && break; sleep 0.01; done
says 0 "peer add: while another one is at it" "added quick.example.org" \
	"$tool" peer add --file "$work/two.conf" quick.example.org "$work/p256.pem"
wait "$slow"
report "peer add: what was changed meanwhile is not lost" \
	grep -q 'changed by somebody else meanwhile' "$work/slow"
says 0 "peer add: and the other's entry is there" "^quick.example.org" \
	"$tool" peer list --file "$work/two.conf"

# --- rules for local users ---
printf '[localname]\n a = {\n name = *@example.org\n }\n b = {\n name = bob@example.org\n user = operator\n }\n' \
	>"$work/rules"
says 0 "localname: a pattern" "^alice$" "$tool" localname --file "$work/rules" alice@Example.org
says 0 "localname: a whole name" "^operator$" "$tool" localname --file "$work/rules" bob@example.org
says 1 "localname: nobody" "no rule has this name" "$tool" localname --file "$work/rules" a@example.net
says 1 "localname: root is never one by a pattern" "no user that '\*' may stand for" \
	"$tool" localname --file "$work/rules" root@example.org

says 1 "check: no such file" "No such file" "$tool" check --file "$work/none"
says 1 "status: no broker" "is it running" "$tool" status --broker "$work/none"
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
	"none of aes-256-gcm, chacha20-poly1305, aes-128-gcm$" "$tool" check --file "$work/wrong.conf"

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
# Somebody's process of the daemon's name: root shall not start the daemon with the options of that one.
printf '#!/bin/sh\necho ready >>%s\nread -r line <%s\n' "$work/ready" "$work/wait" >"$work/gss-ipsecd"
chmod 755 "$work/gss-ipsecd"
mkfifo -m 666 "$work/wait"
install -m 666 /dev/null "$work/ready"
for as in "setpriv --reuid 65534 --regid 65534 --clear-groups" "setpriv --ruid 65534" \
	"unshare --pid --fork --kill-child"; do
	$as "$work/gss-ipsecd" --allow-user 65534 '|ExecStartPre=/tmp/evil' & stranger=$!
	for _ in {1..100}; do [ -s "$work/ready" ] && break; sleep 0.05; done
	report "doctor: a stranger's gss-ipsecd is there ($as)" [ -s "$work/ready" ]
	report "doctor: and his options are not taken" \
		quiet_about 'evil\|65534' "$tool" doctor
	kill -KILL "$stranger"; wait "$stranger" 2>/dev/null
	: >"$work/ready"
done
mkdir "$work/it's none"
says 1 "doctor: no socket" "it's none is no socket of gss-ipsecd's" "$tool" doctor
chmod go+w "$config"
says 1 "doctor: the command is quoted" "mend: chmod go-w $config" "$tool" doctor
cp "$config" "$work/it's.conf"
chmod go+w "$work/it's.conf"
says 1 "doctor: a quotation mark within a command" "mend: chmod go-w '$work/it'.''s.conf'" \
	env "GSS_IPSEC_CONFIG=$work/it's.conf" "$tool" doctor
cp "$config" "$work/schlüssel.conf"
chmod go+w "$work/schlüssel.conf"
says 1 "doctor: a name that is not ASCII" "mend: chmod go-w .'$work/schl.303.274ssel.conf'" \
	env "GSS_IPSEC_CONFIG=$work/schlüssel.conf" "$tool" doctor
eval "$(sed -n 's/^ *mend: \(chmod go-w .*\)/\1/p' "$work/out")"
report "doctor: ... and its command is about that file" [ "$(stat -c %a "$work/schlüssel.conf")" = 644 ]
chmod go-w "$config"
says 2 "doctor: half a service" "imap: write SERVICE@HOST" "$tool" doctor --service imap
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
# --- status, of a broker that is none ---
# fake_start [endless]
fake_start()
{
	rm -f "$work/fake"
	# Now, not in the child: what the one before has said must not be found.
	: >"$work/fake.log"
	tests/fake_broker.py "$work/fake" "$@" >"$work/fake.log" 2>&1 &
	fake=$!
	for ((i = 0; i < 100; i++)); do
		grep -q listening "$work/fake.log" && break
		sleep 0.1
	done
}
fake_end()
{
	kill "$fake"
	wait "$fake" 2>/dev/null
	fake=
}
fake_start
status=("$tool" status --broker "$work/fake")
says 0 "status: a connection" "^connection: 192.0.2.1:40000 -> 192.0.2.2:389$" "${status[@]}"
for text in "  state: established$" "  age: 1 hour, 2 minutes$" "    key: SHA256:47DEQ" \
	"  transfer: 5.00 MiB received in 4 packets, 100 B sent in 1 packet$" '    local: o"neill' \
	"^connection: \[fe80::1%999\]:143 <- \[fe80::2%999\]:50000$" "  state: broken: its security"; do
	report "status: ${text# *}" grep -q -- "$text" "$work/out"
done
# json EXPRESSION ARGUMENT...: it keeps to the schema, and the expression holds.
json()
{
	local expression=$1
	shift
	timeout 60 "${status[@]}" --json "$@" | python3 tests/real/status_schema.py "$expression"
}
report "status --json: both" json "count == 2 and c['claims']['own_name'] == 'o\"neill\\\\@example.org'
	and document['connections'][1]['reason'] == 'sa-gone' and c['spi_in'] == '0xc0ffee01'
	and not document['connections'][1]['latched'] and c['age_seconds'] == 3725"
report "status --json --port" json "count == 1 and c['role'] == 'acceptor'" --port 143
report "status --json --refused" json "[r['reason'] for r in document['refusals']] == ['short'] * 2 and
	document['refusals'][0]['remote']['port'] == 2 and document['refusals'][1]['local'] is None" --refused
says 0 "status --refused" "^refused: 192.0.2.1:1 - 192.0.2.3:2, latch of uid 0 (root), 1 minute, 1 second ago" \
	"${status[@]}" --refused
says 1 "status --port: no such connection" "No such connection is latched" "${status[@]}" --port 9
fake_end
fake_start endless
report "status: new leases and refusals do not keep it going" \
	json "0 < count < 1000 and len(document['refusals']) == 256" --refused
fake_end

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
mapfile -t options < <(cat tools/*.c | grep -o '{ "[a-z-]*", \(required\|optional\|no\)_argument' |
	sed 's/{ "\([a-z-]*\)".*/--\1/' | sort -u)
report "gss-ipsec(1) has all ${#options[@]} options" names doc/gss-ipsec.1 "${options[@]}"
report "gss-ipsec(1) has all commands" names doc/gss-ipsec.1 $("$tool" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
doc/make_man.py <doc/configuration.md >"$work/ipsec.conf.5"
report "ipsec.conf(5) is doc/configuration.md" diff "$work/ipsec.conf.5" doc/ipsec.conf.5
for page in doc/*.[158]; do
	groff -man -ww -z "$page" >"$work/out" 2>&1
	report "$page has no mistake" [ ! -s "$work/out" ]
done

# --- completion ---

# offers WORD WORDS...: with these words typed, the last one not to its end, that word is offered.
offers()
{
	local wanted=$1
	shift
	# shellcheck disable=SC2016
	PATH=$build:$PATH bash -c '. tools/completions/gss-ipsec.bash
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_gss_ipsec "$1" "${*: -1}" "${COMP_WORDS[COMP_CWORD - 1]}"
		printf "%s\n" "${COMPREPLY[@]}"' complete "$@" >"$work/out"
	cat "$work/out"
	grep -qx -- "$wanted" "$work/out"
}

report "completion: a command" offers status gss-ipsec st
report "completion: all commands" offers localname gss-ipsec ""
report "completion: an option" offers --json gss-ipsec status --j
report "completion: an action" offers import-from-ssh-known-hosts gss-ipsec peer im
report "completion: an option of it" offers --services gss-ipsec peer add --
report "completion: a type of key" offers ed25519 gss-ipsec keygen --type ed
report "completion: a peer to remove" offers server.example.org gss-ipsec peer remove serv
report "completion: a file" offers doc/gss-ipsec.1 gss-ipsec peer add a@example.org doc/gss-ipsec.
report "completion: the broker's options" offers --namespaces gss-ipsecd --na
report "completion: the same by its full name" offers --namespaces "$broker" --na
report "completion: nothing where the other side's name stands" offers "" gss-ipsec doctor --peer ""
report_end
