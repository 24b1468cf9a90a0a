# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Logins that must not succeed, for http.sh, to be sourced there: what curl -v and error.log say
# leads to the cause; a proxy between; tokens made by an enemy; a wire that changes the order.

# refused TITLE CURL LOG [ARGUMENTS...]: no page; these texts ("-": none wanted) on both sides.
refused()
{
	local title=$1 curl=$2 log=$3
	shift 3

	http_mark "$http_log"
	http_curl -v -o "$http_home/refused" "$@" "$private/who.shtml" >"$hosts_out/refused.out" 2>&1
	report "$title: no page" is_refused
	[ "$curl" = - ] || report "$title: curl -v says why" grep -qF -e "$curl" "$hosts_out/refused.out"
	[ "$log" = - ] || report "$title: error.log says why" log_says "$log"
}

is_refused()
{
	grep -q '^< HTTP/1.1 401' "$hosts_out/refused.out" &&
		! grep -q '^< HTTP/1.1 200' "$hosts_out/refused.out" &&
		! grep -qF "$hosts_user" "$http_home/refused"
}

log_says()
{
	http_since_mark "$http_log" | grep -qF -e "$1" && return 0
	http_since_mark "$http_log"
	return 1
}

nothing_is_latched()
{
	hosts_wait 8 both_are_empty && return 0
	cat "$hosts_out"/status.[AB]
	return 1
}

both_are_empty()
{
	local host

	for host in A B; do
		hosts_on "$host" gss-ipsec status >"$hosts_out/status.$host" 2>&1
		grep -q 'No connection is latched' "$hosts_out/status.$host" || return 1
	done
}

test_refused()
{
	local other

	other=$(hosts_fingerprint sample)
	http_configure B -e 's/user = alice@/user = bob@/'
	refused "a client that the server does not know" "does its peer database have this side's key?" \
		"the peer database of this side does not have the peer's key"
	http_configure B -e "s|key = SHA256:.*|key = $other|"
	refused "a client whose key was changed" "the peer has another key" \
		"the peer has another key than the peer database of this side has"
	http_configure B
	http_configure A -e "s|key = SHA256:.*|key = $other|"
	refused "a server with another key" "the peer has another key than the peer database" -
	http_configure A -e '/^\[identity\]/,/^	}/d'
	refused "a client without an identity" "SPNEGO cannot find mechanisms to negotiate" -
	http_configure A
	chown root "$hosts_dir/B/gss/http.pem"
	refused "a key that Apache may not read" - "SPNEGO cannot find mechanisms to negotiate"
	report "... of which gss-ipsec check tells" server_check_says http.pem
	chown www-data "$hosts_dir/B/gss/http.pem"
	refused "HTTP/1.0" "the connection was closed" - -0
	test_without_brokers
}

server_check_says()
{
	hosts_on B setpriv --reuid www-data --regid www-data --clear-groups gss-ipsec check 2>&1 |
		grep -qF -e "$1"
}

test_without_brokers()
{
	hosts_stop gss-ipsecd.A
	refused "no broker at the client" "gss-ipsecd does not answer on this side" -
	hosts_broker A --linger-seconds 3
	hosts_stop gss-ipsecd.B
	refused "no broker at the server" "said by the peer, of its own side" -
	hosts_broker B --linger-seconds 3
	report "and then a login" page_is "$private/who.shtml" "$hosts_user latched"
}

through_proxy()
{
	http_curl --resolve "$http_server:80:${hosts_address[A]}" "$@"
}

proxy_page_is()
{
	[ "$(through_proxy "$1")" = "$2" ] && return 0
	through_proxy -v "$1" 2>&1 | tail -n 20
	return 1
}

proxy_refuses()
{
	[ "$(through_proxy -o "$http_home/code" -w '%{http_code}' "$1")" = 401 ]
}

stranger_is_refused()
{
	[ "$(hosts_as sample A curl -sS -o /dev/null -w '%{http_code}' \
		--resolve "$http_server:80:${hosts_address[A]}" "$private/who.shtml")" = 401 ]
}

proxy_listens()
{
	hosts_on A ss -Hltn 'sport = :80' | grep -q LISTEN
}

# The page's [service] section behind what a host has.
allow_unlatched()
{
	http_block "behind what stands in \`/etc/gss/ipsec.conf\`" >"$hosts_out/service"
	http_configure "$1" -e "\$r $hosts_out/service"
}

test_proxy()
{
	mkdir -p /etc/haproxy
	http_install /etc/haproxy/haproxy.cfg
	hosts_start proxy A haproxy -db -f /etc/haproxy/haproxy.cfg
	hosts_wait 10 proxy_listens || hosts_die "haproxy: $(cat "$hosts_out/proxy.log")"
	refused "a proxy between" "connect directly, or set latch = auto for that service" - \
		--resolve "$http_server:80:${hosts_address[A]}"
	allow_unlatched A
	report "a proxy, auto at the client only: no page" proxy_refuses "$private/who.shtml"
	allow_unlatched B
	report "a proxy, auto at both: who, and that it is not latched" \
		proxy_page_is "$private/who.shtml" "$hosts_user none"
	report "... and Apache's log says so" grep -q "$hosts_user .* none$" /var/log/apache2/latched.log
	report "... and status of both" nothing_is_latched
	report "... but not where a latch is insisted on" proxy_refuses "$private/insist/who.shtml"
	report "... and the next one is not taken for alice" stranger_is_refused
	report "auto, without the proxy: latched" page_is "$private/who.shtml" "$hosts_user latched"
	hosts_stop proxy
	http_configure A
	http_configure B
}

server_lives()
{
	! grep -E 'exit signal|Segmentation|AH00052' "$http_log" &&
		[ "$(pgrep -x apache2 | sort | paste -s -d ' ')" = "$1" ]
}

test_hostile()
{
	local before

	before=$(pgrep -x apache2 | sort | paste -s -d ' ')
	report "tokens made by an enemy" hosts_as alice A http_client.py hostile "$http_server" \
		/private/who.shtml
	report "... and the server lives" server_lives "$before"
	report "... and lets alice in" page_is "$private/who.shtml" "$hosts_user latched"
	latched t5-body 1 "50 MB in the very request that carries T5" hosts_as alice A http_client.py \
		upload "$http_server" /private/echo "$http_home/body"
	report "50 MB with T5: all of it arrived" has_hash_of_body t5-body
}

# Latched, or refused with a reason of its own; never a page without a latch.
disordered_once()
{
	run disorder http_curl -v "$private/big/who.shtml"
	! grep -qF "$hosts_user latched" "$hosts_out/disorder.pcap" || return 1
	if grep -qx "$hosts_user latched" "$hosts_out/disorder.out"; then
		disorder_latched=$((disorder_latched + 1))
		return 0
	fi
	grep -o 'gss_init_sec_context() failed: [^;:]*' "$hosts_out/disorder.out" >>"$hosts_out/disorder"
}

test_disorder()
{
	local disorder_latched=0 number host

	modprobe -q sch_netem
	: >"$hosts_out/disorder"
	for host in A B; do
		hosts_on "$host" tc qdisc add dev wire root netem delay 4ms reorder 30% 50% ||
			hosts_die "no netem in this kernel"
	done
	for number in 1 2 3; do
		report "a wire that changes the order, $number: latched, or a reason" disordered_once
	done
	echo "    latched $disorder_latched; refused:"
	sort "$hosts_out/disorder" | uniq -c
	for host in A B; do hosts_on "$host" tc qdisc delete dev wire root; done
	rm -f "$hosts_out/disorder.pcap"
}
