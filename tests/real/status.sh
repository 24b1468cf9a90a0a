#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# gss-ipsec status while a connection is latched, as root and as its user, in a guest: status.sh STAGED
# BUILD.  Text, JSON (checked against the schema of gss-ipsec(1)), filters, refusals, --watch.  The
# acceptor has its sshd's key, and the initiator has it from ssh's known hosts (doc/programs/ssh-keys.md).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"
. "$here/exchange.sh"
. "$here/report.sh"
. "$here/page.sh"

staged=$1
message="status of a latched connection"

# says HOST PATTERN ARGUMENT...: root's status there ends well and says so.
says()
{
	local host=$1 pattern=$2
	shift 2
	hosts_on "$host" gss-ipsec status "$@" >"$hosts_out/said" 2>&1 &&
		grep -q -- "$pattern" "$hosts_out/said" && return 0
	cat "$hosts_out/said"
	return 1
}

user_says()
{
	local user=$1 host=$2 pattern=$3
	shift 3
	hosts_as "$user" "$host" gss-ipsec status "$@" >"$hosts_out/said" 2>&1
	grep -q -- "$pattern" "$hosts_out/said" && return 0
	cat "$hosts_out/said"
	return 1
}

# Nothing is shown, and the command says so by its status.
none()
{
	hosts_on "$@" >"$hosts_out/said" 2>&1
	[ $? = 1 ] && grep -q "No such connection" "$hosts_out/said" && return 0
	cat "$hosts_out/said"
	return 1
}

# json HOST EXPRESSION ARGUMENT...: the document keeps to the schema, and the expression holds.
json()
{
	local host=$1 expression=$2
	shift 2
	hosts_on "$host" gss-ipsec status --json "$@" >"$hosts_out/status.json" || return 1
	python3 "$here/status_schema.py" "$expression" <"$hosts_out/status.json"
}

user_json()
{
	local user=$1 host=$2 expression=$3
	shift 3
	hosts_as "$user" "$host" gss-ipsec status --json "$@" >"$hosts_out/status.json" || return 1
	python3 "$here/status_schema.py" "$expression" <"$hosts_out/status.json"
}

# Two rounds, each a document of its own line; it ends when its reader does, without a signal.
watches()
{
	hosts_on A timeout 30 bash -c 'gss-ipsec status --json --watch 1 | head -n 2; echo "${PIPESTATUS[0]}"' \
		>"$hosts_out/watched"
	cat "$hosts_out/watched"
	head -n 1 "$hosts_out/watched" | python3 "$here/status_schema.py" "count == 1" &&
		sed -n 2p "$hosts_out/watched" | python3 "$here/status_schema.py" "count == 1" &&
		[ "$(sed -n 3p "$hosts_out/watched")" = 0 ]
}

watch_ends()
{
	hosts_on A timeout -s INT 2 gss-ipsec status --watch >"$hosts_out/said"
	[ $? = 124 ] && [ "$(grep -c '^connection: ' "$hosts_out/said")" -ge 1 ] &&
		! grep -q $'\033' "$hosts_out/said"
}

# A descriptor that this command inherits; what is no TCP connection is refused by the broker.
descriptor()
{
	local host=$1 user=$2
	hosts_as "$user" "$host" python3 -c '
import socket, subprocess, sys
a, b = socket.socketpair()
sys.exit(subprocess.call(["gss-ipsec", "status", "--fd", "0"], stdin=a))' >"$hosts_out/said" 2>&1
	[ $? = 1 ] && grep -q "descriptor 0: the socket is not a connected TCP" "$hosts_out/said" && return 0
	cat "$hosts_out/said"
	return 1
}

# The commands of doc/programs/ssh-keys.md, as they stand but for the names.
page_runs()
{
	local host=$1 prompt=$2 commands
	commands=$(page_commands "$prompt#" | sed "s/openldap/${hosts_uid[sample]}/")
	[ -n "$commands" ] && hosts_on "$host" bash -e -x -c "$commands" >"$hosts_out/page" 2>&1 && return 0
	cat "$hosts_out/page"
	return 1
}

# Of the identities that hosts_up made the acceptor's key is gone, and the initiator forgets it.
ssh_keys()
{
	hosts_on B ssh-keygen -A >/dev/null &&
		rm "$hosts_dir/B/gss/sample.pem" &&
		hosts_on A gss-ipsec peer remove host-b >/dev/null &&
		echo "${hosts_name[B]} $(cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub)" \
			>/etc/ssh/ssh_known_hosts &&
		ssh-keygen -q -H -f /etc/ssh/ssh_known_hosts 2>/dev/null
}

trap 'exchange_abort; hosts_down' EXIT
page_open "$here/../../doc/programs/ssh-keys.md"
hosts_install "$staged"
hosts_up
hosts_broker A --linger-seconds 3
hosts_broker B --linger-seconds 3
report "sshd has a key, and ssh knows it" ssh_keys
report "the page's commands for the server" page_runs B server
report "the page's commands for the client" page_runs A client
hosts_on B gss-ipsec peer show-key /etc/ssh/ssh_host_ed25519_key.pub >"$hosts_dir/sample.public"
if ! exchange_begin "$message"; then
	echo "FAIL both sides latched"
	tail -v -n 5 "$hosts_out"/*.log "$hosts_out"/status.*
	exit 1
fi
# The pids that the kernel shows are the programs' own.
client=$(pgrep -x gss-client)
server=$(pgrep -x gss-server)
key=$(hosts_fingerprint sample)
report "text: the acceptor's name" says A "peer: sample/${hosts_name[B]}"
report "text: how it was proven" says A "proven by: Ed25519"
report "text: by which key" says A "key: $key"
report "text: who holds it" says A "held by: gss-client\[$client\]"
report "text: on the other side, too" says B "held by: gss-server\[$server\]"
report "text: no colours in a pipe" bash -c "! grep -q $'\033' '$hosts_out/status.A'"
report "JSON: the initiator" json A "count == 1 and c['latched'] and c['role'] == 'initiator' and
	c['claims']['peer_name'] == 'sample/${hosts_name[B]}' and c['claims']['peer_key'] == '$key' and
	c['claims']['own_name'] == '$hosts_user' and c['uid'] == ${hosts_uid[alice]} and
	c['local']['address'] == '${hosts_address[A]}' and c['remote']['port'] == $exchange_port and
	c['processes'][0]['pid'] == $client and c['received']['packets'] > 0"
report "JSON: the acceptor" json B "count == 1 and c['role'] == 'acceptor' and
	c['claims']['peer_name'] == '$hosts_user' and c['esp'] == 'AES_GCM_16_256/ESN' and
	c['processes'][0]['command'] == 'gss-server'"
report "JSON: its user sees all of it" user_json alice A "c['claims']['peer_key'] == '$key' and
	c['spi_in'] and c['processes'][0]['pid'] == $client"
report "JSON: another user sees no names and no SPIs" user_json sample A "count == 1 and c['spi_in'] is None
	and not any(c['claims'].values()) and c['processes'] == []"
report "--port: that of either end" says A "^connection: " --port "$exchange_port"
report "--port: another one" none A gss-ipsec status --port 9
report "--pid: the client" says A "^connection: " --pid "$client"
report "--pid: another process" none A gss-ipsec status --pid $$
descriptor=$(hosts_on A gss-ipsec status --json |
	python3 -c 'import json, sys; print(json.load(sys.stdin)["connections"][0]["processes"][0]["descriptor"])')
report "--pid --fd: that descriptor" says A "^connection: " --pid "$client" --fd "$descriptor"
report "--pid --fd: another one" none A gss-ipsec status --pid "$client" --fd 0
report "--watch --json: a line for each round, until nobody reads" watches
report "--watch: until it is interrupted" watch_ends
report "--fd: what is no TCP connection" descriptor A alice
report "--refused: its user sees that" user_says alice A "not-tcp: " --refused
report "--refused: another user does not" user_says sample A "Nothing was refused of late" --refused
report "--refused --json: root" json A "any(r['uid'] == ${hosts_uid[alice]} and r['request'] == 'query' and
	r['reason'] == 'not-tcp' for r in document['refusals'])" --refused
exchange_finish
client_status=$?
report "the client ends well" [ "$client_status" = 0 ]
report "capture of A" "$here/capture.py" --port "$exchange_port" --absent "$message" "$hosts_out/A.pcap"
report_end
