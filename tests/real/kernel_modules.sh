#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Loads what the tests need into a guest's kernel: kernel_modules.sh KIND CACHE.
# Not esp4_offload nor esp6_offload: with them the kernel mixes packets of different peers, and the
# broker refuses to latch (reason "offload").
set -u

needed="xfrm_user esp4 esp6 tls authenc gcm ctr ghash-generic aes_generic seqiv echainiv veth"
wished="chacha20poly1305 chacha_generic poly1305_generic ccm ctr cbc hmac sha256_generic aesni_intel ghash_clmulni_intel
	ah4 xfrm_interface sch_netem sch_tbf sch_fq_codel sch_prio cls_u32 tcp_diag inet_diag
	udp_diag af_packet_diag unix_diag nf_tables nft_ct af_packet tun dummy"

kind=$1
cache=$2
release=$(uname -r)
case $kind in
native) exit 0 ;;
uml) modules=/usr/lib/uml/modules/$release ;;
qemu) modules=$cache/tree/lib/modules/$release ;;
esac
if [ ! -d "/lib/modules/$release" ]; then
	mkdir -p /lib/modules
	ln -s "$modules" "/lib/modules/$release" || exit 1
fi
[ -e "/lib/modules/$release/modules.dep" ] || depmod "$release" || exit 1

# All at once, as a process of its own for each takes longer than its work.  One that is built in counts
# as loaded; modprobe says so itself.
# shellcheck disable=SC2086 # they are words
modprobe -a $needed || exit 1
# shellcheck disable=SC2086
modprobe -aq $wished
if grep -q '^esp[46]_offload ' /proc/modules; then
	echo "kernel_modules.sh: an esp offload module got loaded" >&2
	exit 1
fi
exit 0
