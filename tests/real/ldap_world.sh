# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Debian's slapd on host B (ldap.example.org) and its clients on host A, for ldap.sh, to be sourced
# behind hosts.sh and page.sh.  Configuration and commands are those of doc/programs/openldap.md;
# slapd's own is Debian's (/usr/share/slapd/slapd.init.ldif), in a folder of this test.
#
#   ldap_up STAGED BROKER_OPTIONS...  both hosts, brokers, keys, 10 000 entries, slapd configured
#   ldap_start                        runs slapd as user openldap and waits until it answers
#   ldap_family 4|6                   what host A takes the server's name for
#   ldap_as USER LOG COMMAND          runs a command of the page as USER of host A, output in LOG
#   ldap_refuses MINOR COMMAND...     whether COMMAND fails with that sentence of doc/errors.md
hosts_name=([A]=client.example.org [B]=ldap.example.org)
ldap_dir=
ldap_entries=10000

# Keys and configuration as the page has them.
ldap_identities()
{
	local host owner

	rm -f "$hosts_dir"/?/gss/*.pem
	for owner in server:B:ldap:openldap client:A:alice:alice; do
		IFS=: read -r prompt host key user <<<"$owner"
		page_command "$prompt#" "gss-ipsec keygen --out /etc/gss/$key.pem"
		page_command "$prompt#" "chown $user /etc/gss/$key.pem"
		hosts_on "$host" gss-ipsec keygen --out "/etc/gss/$key.pem" >"$hosts_dir/$key.public" ||
			hosts_die "gss-ipsec keygen failed"
		hosts_on "$host" chown "${hosts_uid[$user]:-$user}" "/etc/gss/$key.pem"
	done
	page_block 'ipsec.conf` of the server' | sed "s|SHA256:\.\.\.|$(hosts_fingerprint alice)|" \
		>"$hosts_dir/B/gss/ipsec.conf"
	page_block 'ipsec.conf` of the client' | sed "s|SHA256:\.\.\.|$(hosts_fingerprint ldap)|" \
		>"$hosts_dir/A/gss/ipsec.conf"
}

ldap_people()
{
	local i

	printf 'dn: %s\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n' \
		dc=example,dc=org
	printf 'dn: %s\nobjectClass: organizationalUnit\n\n' ou=people,dc=example,dc=org
	printf 'dn: uid=alice,ou=people,dc=example,dc=org\nobjectClass: account\n'
	printf 'objectClass: simpleSecurityObject\nuserPassword: alices password\n\n'
	for ((i = 3; i < ldap_entries; i++)); do
		printf 'dn: uid=u%d,ou=people,dc=example,dc=org\nobjectClass: account\n\n' "$i"
	done
}

# Debian's first configuration, as its package makes it, but for the limit of 500 entries.
ldap_database()
{
	ldap_dir=$hosts_dir/B/ldap
	mkdir -p "$ldap_dir/slapd.d" "$ldap_dir/db"
	sed -e 's/@SUFFIX@/dc=example,dc=org/' -e 's/@PASSWORD@/administrators password/' \
		-e "s|/var/lib/ldap|$ldap_dir/db|" -e 's/^\(olcSizeLimit:\).*/\1 unlimited/' \
		-e '/^olcDbIndex: [cum]/d' /usr/share/slapd/slapd.init.ldif >"$ldap_dir/init.ldif"
	slapadd -F "$ldap_dir/slapd.d" -n 0 -l "$ldap_dir/init.ldif" >"$hosts_out/slapadd.log" 2>&1 &&
		ldap_people | slapadd -q -F "$ldap_dir/slapd.d" -n 1 >>"$hosts_out/slapadd.log" 2>&1 ||
		hosts_die "slapadd: $(tail -n 3 "$hosts_out/slapadd.log")"
	chown -R openldap:openldap "$ldap_dir"
	hosts_on B install -d -o openldap -g openldap /run/slapd
}

ldap_answers()
{
	hosts_on B ldapwhoami -Q -Y EXTERNAL -H ldapi:///
}

ldap_start()
{
	hosts_start slapd B "${heap_watched[@]}" slapd -d stats -u openldap -g openldap -F "$ldap_dir/slapd.d" \
		-h "ldap:/// ldapi:///"
	hosts_wait 20 ldap_answers || hosts_die "slapd: $(tail -n 3 "$hosts_out/slapd.log")"
}

ldap_family()
{
	local address=${hosts_address[B]}

	[ "$1" = 4 ] || address=fd77::${hosts_number[B]}
	echo "$address ${hosts_name[B]}" >"$hosts_dir/A/hosts"
}

ldap_configure()
{
	local command="ldapmodify -Q -Y EXTERNAL -H ldapi:/// -f gss-ipsec.ldif"

	page_command 'server#' "$command"
	page_block 'gss-ipsec.ldif' >"$hosts_dir/B/gss-ipsec.ldif"
	hosts_on B sh -c "cd $hosts_dir/B && $command" >"$hosts_out/ldapmodify.log" 2>&1 ||
		hosts_die "ldapmodify: $(cat "$hosts_out/ldapmodify.log")"
}

ldap_up()
{
	hosts_install "$1"
	shift
	hosts_up
	ldap_identities
	ldap_database
	hosts_broker A "$@"
	hosts_broker B "$@"
	ldap_start
	ldap_configure
	hosts_stop slapd
	ldap_start
}

ldap_as()
{
	local user=$1 log=$hosts_out/$2.log

	page_command 'client$' "$3"
	hosts_as "$user" A timeout 60 sh -c "$3" >"$log" 2>&1 </dev/null
}

# The sentence of a minor, from the page that a user looks it up in; programs print it among others.
ldap_refuses()
{
	local minor=$1 sentence output
	shift
	sentence=$(awk -F ' [|] ' -v row="| $minor" '$1 == row { print $4 == "" ? $3 : $4 }' \
		"$here/../../doc/errors.md")
	if output=$("$@" 2>&1 </dev/null); then
		echo "it succeeds: $output"
		return 1
	fi
	[[ -n $sentence && $output == *"$sentence"* ]] && return 0
	echo "wanted: $sentence"
	echo "$output"
	return 1
}
