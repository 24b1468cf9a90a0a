#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What quickstart shows, in a guest: show.sh STAGED.  At most 21 lines of 100 columns.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"

message="hello over a latched connection"
declare -A kernels=(
	[native]="this machine's own, in namespaces: it has ESP"
	[uml]="a guest (User Mode Linux), since this machine's own $GUEST_BELOW has no ESP"
	[qemu]="a guest (qemu), since this machine's own $GUEST_BELOW has no ESP"
)

# What the program that anybody would ask says of one side, up to the proof, its lines joined.
show_status()
{
	sed -e 's/^[[:space:]]*//' -e '/^key:/,$d' "$hosts_out/status.$1" | grep -v -e '^$' -e '^age:' |
		sed -e 's/, which claims$/ claims:/' -e '$!s/$/;/' -e 's/claims:;/claims/' | paste -s -d ' ' |
		fold -s -w 92 | head -n 4 | sed -e 's/ *$//' -e "s/^/  $1  /"
}

trap 'exchange_abort; hosts_down' EXIT
echo "kernel: $(uname -r), ${kernels[$GUEST_KIND]}"
hosts_install "$1"
hosts_up
hosts_broker A --linger-seconds 3
hosts_broker B --linger-seconds 3
echo "hosts:  A ${hosts_address[A]} ${hosts_name[A]}, B ${hosts_address[B]} ${hosts_name[B]};" \
	"each with its own gss-ipsecd"
echo "who:    on A uid ${hosts_uid[alice]} is $hosts_user;" \
	"on B uid ${hosts_uid[sample]} is sample/${hosts_name[B]}"
exchange_begin "$message" || {
	tail -v -n 5 "$hosts_out"/*.log "$hosts_out"/status.* >&2
	exit 1
}
exchange_finish || hosts_die "gss-client failed"
[ "${report_failed:-0}" = 0 ] || exit 1
echo "said:   \"$message\", gss-client to gss-server, unmodified;" \
	"$(grep -m 1 -o 'Signature verified' "$hosts_out/client.log")"
echo "wire of A (T1, T2: each side's first token; with them the keys are agreed):"
"$here/capture.py" --port "$exchange_port" --absent "$message" --timeline 4 \
	"$hosts_out/A.pcap" >"$hosts_out/judged" || { cat "$hosts_out/judged" >&2; exit 1; }
sed 's/^/  /' "$hosts_out/judged"
echo "gss-ipsec status, while the connection lived:"
show_status A
show_status B
echo "result: latched: behind T1 and T2 every octet went as ESP, and the message is nowhere in the clear"
