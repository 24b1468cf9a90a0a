#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who may include whom: layers use what is below them, and each outside library has one door.
set -u

cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
. "./tests/support/structure.sh"

# layer DIRECTORY ALLOWED-PREFIX...: quoted includes of the files right in DIRECTORY
layer() {
	directory=$1
	shift
	allowed=$(printf '%s\n' "$@" | paste -sd'|')
	[ -d "$directory" ] || return 0
	wrong=$(find "$directory" -maxdepth 1 -name '*.[ch]' -type f | sort |
		xargs -r grep -n '^#[ 	]*include[ 	]*"' |
		grep -vE "include[ 	]*\"($allowed)")
	[ -z "$wrong" ] || echo "$wrong"
	[ -z "$wrong" ]
	result $? "$directory uses only: $*"
}

# only TEXT PATTERN ALLOWED-PATHS: system headers that only some files may include
only() {
	wrong=$(sources base include mech kernel-bind plugin tools |
		xargs -r grep -nE "^#[ 	]*include[ 	]*<($2)" | grep -vE "^($3)")
	[ -z "$wrong" ] || echo "$wrong"
	[ -z "$wrong" ]
	result $? "$1"
}

layer include ipsec_latch.h
layer base base/ include/
layer kernel-bind kernel-bind/ base/ include/
layer mech/crypto mech/crypto/ base/
layer mech/ike mech/ike/ mech/crypto/ base/ include/
layer mech mech/ kernel-bind/kernel_bind.h base/ include/
layer plugin plugin/plugin.h mech/mech.h kernel-bind/kernel_bind.h base/ include/
layer tools tools/ mech/ kernel-bind/ base/ include/

only "OpenSSL only in mech/crypto" 'openssl/' 'mech/crypto/'
only "netlink only in kernel-bind/xfrm_* and broker_watch" \
	'linux/(netlink|xfrm|rtnetlink|inet_diag)|netlink/' 'kernel-bind/(xfrm_|broker_watch)'
only "GSS-API only in plugin and include" 'gssapi' '(plugin|include)/'
only "krb5's profile library only in base/config" 'profile\.h|krb5|com_err' 'base/config'

# A call of an exported entry from inside would reach the mechglue's function of that name.
entries=$(grep -o '^[[:space:]]*gss[a-z_]*;' plugin/exports.map | tr -d '	 ;' | paste -sd'|')
wrong=$(sources plugin mech base kernel-bind | xargs -r grep -nE "\b($entries)[ 	]*\(" |
	grep -vE ':PLUGIN_EXPORT OM_uint32 |plugin/plugin\.h:|:[[:space:]]*(/?\*|//)|/\*')
[ -z "$wrong" ] || echo "$wrong"
[ -z "$wrong" ]
result $? "no exported entry point is called from inside"

exit $failed
