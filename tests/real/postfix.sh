#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Postfix: postfix.sh STAGED BUILD.  The commands of doc/programs/postfix.md on two hosts; one
# letter, then many at once over connections that go from process to process; and without a broker none.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/program.sh"

staged=$1
text="words of a letter"
letters=12
exchange_port=25
latched_options=(--base64)

# Each host has an /etc/postfix of its own, and spool and data.
make_postfix()
{
	local host=$1 dir=$hosts_dir/$1/postfix

	mkdir -p "$dir/etc" "$dir/spool" "$dir/data"
	cp -a /etc/postfix/. "$dir/etc/"
	cp /etc/postfix/master.cf.proto "$dir/etc/master.cf"
	cat >"$dir/etc/main.cf" <<-CONFIG
		compatibility_level = 3.6
		maillog_file = /dev/stdout
		inet_protocols = ipv4
		myhostname = ${hosts_name[$host]}
		mynetworks =
		alias_maps =
	CONFIG
	chown postfix "$dir/data"
	hosts_on "$host" mount --bind "$dir/etc" /etc/postfix &&
		hosts_on "$host" mount --bind "$dir/spool" /var/spool/postfix &&
		hosts_on "$host" mount --bind "$dir/data" /var/lib/postfix
}

page_run()
{
	hosts_on "$1" bash -ec "$(page_commands "$3" "$2")"
}

start_postfix()
{
	local host=$1
	hosts_start "postfix.$host" "$host" postfix start-fg
	hosts_wait 20 grep -q 'daemon started' "$hosts_out/postfix.$host.log" ||
		hosts_die "no Postfix on $host"
}

# A setgid program puts letters into the queue, so alice must be allowed to run one.
send()
{
	hosts_on A setpriv --reuid alice --regid alice --clear-groups bash -c "$1"
}

send_one()
{
	send "$(page_commands 'client$' "The client")"
}

# One letter to each of bob's addresses, all at the same moment.
send_many()
{
	local to
	to=$(printf "bob+%s@${hosts_name[B]} " $(seq "$letters"))
	hosts_on A postconf -e smtp_destination_recipient_limit=1 \
		smtp_destination_concurrency_limit=3 \
		"smtp_connection_cache_destinations=${hosts_name[B]}" &&
		hosts_on A postfix reload && send "$(page_commands 'client$' "The client") $to"
}

# Bob has COUNT letters, each from alice and whole.
bob_has()
{
	local found
	found=$(cat /home/bob/Maildir/new/* 2>/dev/null)
	[ "$(grep -cxF "$text" <<<"$found")" = "$1" ] &&
		[ "$(grep -c "Authenticated sender: $hosts_user" <<<"$found")" = "$1" ] && return 0
	tail -n 10 "$hosts_out/postfix.A.log" "$hosts_out/postfix.B.log"
	return 1
}

connections()
{
	grep -c 'smtpd\[.*\]: connect from' "$hosts_out/postfix.B.log"
}

# Letters that went over a connection which an earlier one had opened.
some_reused()
{
	[ "$(connections)" -lt "$letters" ] && return 0
	echo "$(connections) connections"
	return 1
}

is_deferred()
{
	hosts_wait 10 grep -q 'status=deferred (SASL authentication failed' "$hosts_out/postfix.A.log" &&
		grep -q 'gss-ipsecd does not answer' "$hosts_out/postfix.A.log" && return 0
	tail -n 5 "$hosts_out/postfix.A.log"
	return 1
}

trap 'hosts_down; hostname guest' EXIT
page_open "$here/../../doc/programs/postfix.md"
hosts_install "$staged"
hosts_make_users alice
userdel -f bob 2>/dev/null
rm -rf /home/bob
useradd -m bob || hosts_die "no user bob"
hosts_up
hostname "${hosts_name[B]}"
make_postfix A && make_postfix B || hosts_die "no room for Postfix"
sed -i 's/services = sample/services = smtp/' "$hosts_dir/B/gss/ipsec.conf"
sed -i 's/^.*key = .*\.pem/&\noffered_to_root = yes/' "$hosts_dir"/?/gss/ipsec.conf
chown postfix "$hosts_dir/A/gss/alice.pem" "$hosts_dir/B/gss/sample.pem"
page_run B "The server" 'server#' || hosts_die "the page's commands fail on the server"
page_run A "The client" 'client#' || hosts_die "the page's commands fail on the client"
hosts_on B postconf -e "mydestination=${hosts_name[B]}" home_mailbox=Maildir/ recipient_delimiter=+
hosts_on A postconf -e mydestination= inet_interfaces=loopback-only
latched_brokers
start_postfix B
start_postfix A
latched_capture
report "alice hands a letter in" send_one
report "bob gets it, from alice" hosts_wait 20 bob_has 1
latched_judge "a letter" "$exchange_port" 1 "$text" greetings
report "status of A names the server" latched_peers A 1 "smtp/${hosts_name[B]}"
report "status of B names alice" latched_peers B 1 "$hosts_user"
latched_capture
before=$(connections)
report "alice hands in a letter to $letters more addresses" send_many
report "bob gets them all" hosts_wait 40 bob_has $((letters + 2))
# Kept connections are closed after two idle seconds.
sleep 2.5
report "letters share connections" some_reused
latched_judge "$letters letters" "$exchange_port" $(($(connections) - before)) "$text" greetings
hosts_stop gss-ipsecd.B
report "without B's broker a letter is taken" send_one
report "and waits, with the reason in the log" is_deferred
report "bob has none of it" bob_has $((letters + 2))
hosts_broker B --linger-seconds 600
hosts_on A postqueue -f
report "with the broker again it arrives" hosts_wait 20 bob_has $((letters + 3))
report_end
