#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes keys and a configuration for tests: make_identities.sh DIRECTORY [LATCH-POLICY [PLUGIN]]
#
# DIRECTORY/ipsec.conf   alice@example.org initiates, server.example.org accepts, each knows the other
# DIRECTORY/mallory.key  a key that nobody knows
# DIRECTORY/mech.conf    the mechglue's line for PLUGIN, for GSS_MECH_CONFIG
#
# KEY_TYPE in the environment: ed25519 (the default), p256, p384, rsa2048, rsa3072
set -eu
umask 077

directory=$1
latch=${2:-yes}
plugin=${3:-}
oid=1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.1

mkdir -p "$directory"
cd "$directory"
case ${KEY_TYPE:-ed25519} in
ed25519) key='ed25519' ;;
p256) key='ec -pkeyopt ec_paramgen_curve:P-256' ;;
p384) key='ec -pkeyopt ec_paramgen_curve:P-384' ;;
rsa*) key="rsa -pkeyopt rsa_keygen_bits:${KEY_TYPE#rsa}" ;;
*) echo "make_identities.sh: no such type of key: $KEY_TYPE" >&2; exit 2 ;;
esac
for name in alice server mallory; do
	# shellcheck disable=SC2086
	openssl genpkey -algorithm $key -out "$name.key" 2>/dev/null
	openssl pkey -in "$name.key" -pubout -out "$name.pub"
done

cat >ipsec.conf <<END
[gss-ipsec]
	default_domain = example.org
	latch = $latch
	broker = $(pwd)/no-broker.sock

[identity]
	alice = {
		key = alice.key
		user = alice@example.org
		usage = initiate
	}
	server = {
		key = server.key
		host = server.example.org
		usage = accept
	}

[peer]
	alice = {
		user = alice@example.org
		key_file = alice.pub
	}
	server = {
		host = server.example.org
		key_file = server.pub
	}
END

if [ -n "$plugin" ]; then
	printf 'ipsec %s %s\n' "$oid" "$plugin" >mech.conf
fi
