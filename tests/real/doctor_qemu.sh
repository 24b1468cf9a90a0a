# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Rows of doctor.sh, to be sourced by it, that need Debian's own kernel: nftables, xfrm interfaces.
# The form "rows_qemu" has them all, "qemu" what a slow guest has time for.

rules()
{
	printf 'flush ruleset\n%s\n' "$2" | hosts_on "$1" nft -f - || echo "FAIL rules of $1"
}

rows_qemu()
{
	doctor_user=root
	report "well: no rule in the way" doctor_is_content B
	row "firewall drops protocol 50" B broken 'a rule drops protocol 50 (ESP): ip protocol esp' \
		'rules B "table ip t { chain i { type filter hook input priority 0; ip protocol esp counter drop; }; }"'
	[ "$form" = qemu ] || row "firewall knows no ESP" B broken 'none accepts protocol 50' \
		'rules B "table inet t { chain i { type filter hook input priority 0; policy drop; iif lo accept; tcp dport 4444 accept; ct state established accept; icmp type echo-request accept; }; }"'
	row "ct mark restored" B broken 'changes or saves packet marks' \
		'rules B "table ip t { chain p { type filter hook prerouting priority -150; meta mark != 0 ct mark set meta mark; meta mark set ct mark; }; }"'
	rules B ""
	row "xfrm interface in use" B warning 'ipsec0 is an interface of kind xfrm' \
		'on B ip link add ipsec0 type xfrm dev lo if_id 7; on B ip link set ipsec0 up' \
		'on B ip link delete ipsec0'
	doctor_user=
	rules B "table ip t { chain i { type filter hook input priority 0; ip protocol esp drop; }; }"
	report "firewall drops protocol 50, the server's user looks" \
		doctor_names B broken 'ESP that this host sends to itself does not arrive'
	rules B "table ip t { chain p { type filter hook prerouting priority -150; meta mark set 5; }; }"
	report "marks are set, the server's user looks" \
		doctor_names B broken 'ESP arrives without its mark'
	rules B ""
	report "no rules any more: a login latches" login
}
