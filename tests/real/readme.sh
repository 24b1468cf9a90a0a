#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# README.md's "How an existing application gets it", typed as it stands but for the server's name:
# readme.sh STAGED.  Two hosts without keys and configuration; then those of the page, and also the
# [peer] entries that "gss-ipsec peer add" writes.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/program.sh"

staged=$1
section="How an existing application gets it"
text="hello"

# The page's commands behind PROMPT that have WORD in them, without the remarks behind them.
commands()
{
	page_commands "$1" "$section" | grep -e "$2" | sed 's/  *# .*//' | grep .
}

# run [as USER] HOST PROMPT WORD: the output goes to $hosts_out/said.PROMPT.
run()
{
	local who=() prompt
	[ "$1" != as ] || { who=(as "$2"); shift 2; }
	prompt=$2
	hosts_enter "${who[@]}" "$1" bash -ec "$(commands "$prompt" "$3")"
	"${hosts_command[@]}" >"$hosts_out/said.$prompt" 2>&1 && return 0
	cat "$hosts_out/said.$prompt"
	return 1
}

# Users of the page's names, and nothing but the plugin's registration in /etc/gss.
make_bare()
{
	hosts_make_users alice sample
	rm "$hosts_dir"/?/gss/*.pem "$hosts_dir"/?/gss/ipsec.conf
}

# keys HOST PROMPT: as the page says; the printed name goes to $hosts_dir/HOST.public.
keys()
{
	run "$1" "$2" '^gss-ipsec keygen\|^chown' && cp "$hosts_out/said.$2" "$hosts_dir/$1.public"
}

# configure HOST OTHER PHRASE: the page's file, with the other host's key.
configure()
{
	page_block "$3" | sed -e "s|SHA256:\.\.\.|$(hosts_fingerprint "$2")|" \
		-e "s/server\.example\.org/${hosts_name[B]}/" >"$hosts_dir/$1/gss/ipsec.conf"
	grep -q "key = SHA256:....." "$hosts_dir/$1/gss/ipsec.conf"
}

# added HOST OTHER NAME: the file without its [peer] entries; then the command that keygen printed there.
added()
{
	local command
	command=$(sed -n 's/^\tgss-ipsec peer add NAME /gss-ipsec peer add '"$3"' /p' "$hosts_dir/$2.public")
	sed -i '/^\[peer\]/,$d' "$hosts_dir/$1/gss/ipsec.conf"
	[ -n "$command" ] && hosts_on "$1" sh -c "$command" &&
		hosts_on "$1" gss-ipsec peer list | grep -qF "$(hosts_fingerprint "$2")"
}

client()
{
	run as alice A 'client$' '^gss-client' && grep -q 'Signature verified' "$hosts_out/said.client\$"
}

doctors()
{
	run as sample B 'server$' doctor && run as alice A 'client$' doctor
}

# `gss-ipsec status` behind the connection's end names the server.
status()
{
	run A 'client#' 'gss-ipsec status' && grep "peer: *sample/${hosts_name[B]}" "$hosts_out/said.client#"
}

trap hosts_down EXIT
page_open "$here/../../README.md"
hosts_install "$staged"
hosts_up
make_bare
report "keys on the server" keys B 'server#'
report "keys on the client" keys A 'client#'
report "the client's file" configure A B "on the client's host (comments"
report "the server's file" configure B A "and on the server's host:"
latched_brokers
report "gss-ipsec doctor is content with both" doctors
latched_capture
hosts_start server as sample B bash -c "exec $(commands 'server$' '^gss-server')"
hosts_wait 20 exchange_is_listening || hosts_die "gss-server does not listen"
report "gss-client" client
report "gss-ipsec status, behind it" status
latched_judge "gss-client" "$exchange_port" 1 "$text"
report "peer add writes the client's entry" added A B "${hosts_name[B]}"
report "peer add writes the server's entry" added B A "$hosts_user"
sleep 1.2
report "gss-client again, the server not restarted" client
report_end
