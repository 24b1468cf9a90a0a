#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# All benches of one build, one after the other, with keys and configuration made for them:
#
#   bench/run.sh BUILD [ROUNDS]
#
# KEY_TYPES in the environment: the types of key to measure contexts with (bench/floor.h).
# Figures are ratios to what is measured beside them in the same run; absolute ones belong to this
# machine and this hour.  Nothing is latched: latch = no.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
rounds=${2:-21}
directory=$(mktemp -d /tmp/gss-ipsec-bench.XXXXXX)
trap 'rm -rf "$directory"' EXIT
cat >"$directory/krb5.conf" <<END
[libdefaults]
	default_realm = EXAMPLE.ORG
	permitted_enctypes = aes256-cts-hmac-sha1-96
	dns_canonicalize_hostname = false
	dns_lookup_kdc = false
	dns_lookup_realm = false
[domain_realm]
	.example.org = EXAMPLE.ORG
END
export KRB5_CONFIG=$directory/krb5.conf

export GSS_MECH_CONFIG=$directory/mech.conf GSS_IPSEC_CONFIG=$directory/ipsec.conf
# Those of 201 contexts less those of one.
count_calls() { # count_calls KEY_TYPE
	command -v strace >/dev/null || return 0
	for contexts in 1 201; do
		strace -f -c -o "$directory/calls.$contexts" \
			"$build/bench/bench_context" 0 "$contexts" "$1"
	done
	# "100.00  0.000000  0  CALLS  [ERRORS]  total"
	awk -v type="$1" '$NF == "total" { calls[FILENAME == ARGV[1]] = $4 }
		END { printf "system calls per context, both ends, %s: %.2f\n", type, (calls[0] - calls[1]) / 200 }' \
		"$directory/calls.1" "$directory/calls.201"
}

for type in ${KEY_TYPES:-ed25519}; do
	KEY_TYPE=$type "$here/../tests/support/make_identities.sh" "$directory" no \
		"$build/.libs/mech_ipsec.so"
	"$build/bench/bench_context" "$rounds" 100 "$type"
	count_calls "$type"
done
"$build/bench/bench_message"
"$build/bench/bench_wrap" "$rounds"
"$build/bench/bench_memory"
