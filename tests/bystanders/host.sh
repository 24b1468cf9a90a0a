# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# A host with Kerberos and five ordinary services, to be sourced: a root of its own over this
# machine's (writes stay in memory), and a network of its own with nothing but a loopback.
#
#   host_inside OUT CMD...   runs CMD there; only OUT is the machine's own
#   host_make                name, realm EXAMPLE, users, keys, databases; starts the KDC
#   host_start               starts sshd, slapd, Apache, PostgreSQL and gss-server
#   host_stop                ends these
#   host_as USER CMD...      runs CMD as alice, who has a ticket, or bob, who has none
#
# Logs go to $host_logs.
host_name=bystand.example
host_dir=/srv/bystanders
host_logs=/srv/bystanders/log
host_services=(sshd slapd apache postgres gss-server)
declare -A host_pid=()
postgres_bin=$(echo /usr/lib/postgresql/*/bin)

host_die()
{
	echo "host: $*" >&2
	exit 1
}

host_inside()
{
	local out=$1
	shift
	exec unshare --mount --net --pid --uts --ipc --fork --kill-child --propagation private -- \
		bash -c '. "$0"; host_enter "$@"' "${BASH_SOURCE[0]}" "$out" "$@"
}

host_enter()
{
	local out=$1 over=/run/over root=/run/over/root dir
	shift
	mount -t tmpfs -o mode=0755 tmpfs /run && mkdir -p "$over/upper" "$over/work" "$root" &&
		mount -t overlay -o "lowerdir=/,upperdir=$over/upper,workdir=$over/work" overlay \
			"$root" || host_die "no private root"
	for dir in /dev /sys; do
		mount --rbind "$dir" "$root$dir" || host_die "no $dir"
	done
	mount -t proc proc "$root/proc" && mount -t tmpfs -o mode=0755 tmpfs "$root/run" &&
		mkdir -p "$root$out" && mount --bind "$out" "$root$out" || host_die "no /proc, /run"
	# The tree may lie in a folder of root's own; users write their traces into it.
	dir=$out
	while [ "$dir" != / ]; do
		dir=$(dirname "$dir")
		chmod a+x "$root$dir" || host_die "no way to $out"
	done
	mkdir -p "$root/dev/shm"
	hostname "$host_name"
	ip link set lo up
	cd "$root" || host_die "no private root"
	exec chroot . "$@"
}

# A condition, tried twenty times a second for as many seconds: host_wait SECONDS CMD...
host_wait()
{
	local tries=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

host_answers()
{
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

host_as()
{
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- env -i \
		"HOME=$(getent passwd "$user" | cut -d: -f6)" "USER=$user" LC_ALL=C \
		PATH=/usr/bin:/bin:/usr/sbin "KRB5CCNAME=FILE:/home/$user/cc" "$@"
}

# The machine may have users of these names; here they are ours.
host_forget()
{
	userdel -f "$1"
	groupdel "$1"
	rm -rf "/home/$1"
} 2>/dev/null

host_make_names()
{
	local user

	printf '127.0.0.1 %s bystand\n127.0.0.1 localhost\n' "$host_name" >/etc/hosts
	printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' >/etc/nsswitch.conf
	: >/etc/resolv.conf
	# Whatever the machine itself has configured or registered stays out.
	rm -rf /etc/gss/* /etc/krb5.conf.d /etc/krb5.keytab /root/.config
	mkdir -p /etc/gss/mech.d "$host_logs" /run/sshd
	chmod 0755 "$host_dir"
	for user in alice:40001 bob:40002 sample:40003; do
		host_forget "${user%:*}"
		groupadd -g "${user#*:}" "${user%:*}" &&
			useradd -m -s /bin/sh -u "${user#*:}" -g "${user#*:}" "${user%:*}" ||
			host_die "no user $user"
		usermod -p '*' "${user%:*}"
	done
	# Nothing reads settings or writes histories of the machine's own.
	install -d -o alice -g alice -m 700 /home/alice/.ssh
	install -d -o bob -g bob -m 700 /home/bob/.ssh
}

host_make_realm()
{
	cat >/etc/krb5.conf <<-CONFIG
		[libdefaults]
		    default_realm = EXAMPLE
		    dns_lookup_kdc = false
		    dns_canonicalize_hostname = false
		    rdns = false
		[realms]
		    EXAMPLE = {
		        kdc = 127.0.0.1:88
		    }
		[domain_realm]
		    $host_name = EXAMPLE
	CONFIG
	mkdir -p /etc/krb5kdc /var/lib/krb5kdc
	printf '[kdcdefaults]\n    kdc_ports = 88\n[realms]\n    EXAMPLE = {\n    }\n' \
		>/etc/krb5kdc/kdc.conf
	kdb5_util create -s -r EXAMPLE -P "$(openssl rand -hex 16)" || return 1
	{
		echo 'addprinc -pw ticket alice'
		for service in host sample ldap HTTP postgres; do
			echo "addprinc -randkey $service/$host_name"
		done
		echo "ktadd -k /etc/krb5.keytab host/$host_name sample/$host_name"
		for service in ldap HTTP postgres; do
			echo "ktadd -k $host_dir/$service.keytab $service/$host_name"
		done
	} | kadmin.local -r EXAMPLE || return 1
	chown openldap "$host_dir/ldap.keytab"
	chown www-data "$host_dir/HTTP.keytab"
	chown postgres "$host_dir/postgres.keytab"
	krb5kdc -P "$host_dir/kdc.pid"
	echo ticket | host_as alice kinit alice
}

host_make_ssh()
{
	ssh-keygen -q -t ed25519 -N '' -f "$host_dir/ssh_host_key" || return 1
	cat >"$host_dir/sshd.conf" <<-CONFIG
		HostKey $host_dir/ssh_host_key
		PidFile none
		UsePAM no
		GSSAPIAuthentication yes
		PasswordAuthentication no
		PubkeyAuthentication no
		KbdInteractiveAuthentication no
		PrintMotd no
	CONFIG
	echo "$host_name $(cat "$host_dir/ssh_host_key.pub")" >/etc/ssh/ssh_known_hosts
}

host_make_ldap()
{
	local base=$host_dir/ldap

	install -d -o openldap -g openldap "$base" "$base/data" /run/slapd
	cat >"$base/slapd.conf" <<-CONFIG
		include /etc/ldap/schema/core.schema
		modulepath /usr/lib/ldap
		moduleload back_mdb
		pidfile /run/slapd/bystander.pid
		sasl-host $host_name
		sasl-realm EXAMPLE
		database mdb
		suffix "dc=example"
		rootdn "cn=admin,dc=example"
		directory $base/data
	CONFIG
}

host_make_http()
{
	local base=$host_dir/http

	install -d "$base" "$base/pages"
	echo 'a page for alice' >"$base/pages/page"
	cat >"$base/apache.conf" <<-CONFIG
		ServerRoot $base
		ServerName $host_name
		PidFile $base/pid
		Listen 127.0.0.1:80
		User www-data
		Group www-data
		LogLevel info
		ErrorLog $host_logs/apache.log
		StartServers 1
		ServerLimit 1
		MaxRequestWorkers 25
		MinSpareThreads 1
		MaxSpareThreads 25
		LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
		LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
		LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
		LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
		LoadModule auth_gssapi_module /usr/lib/apache2/modules/mod_auth_gssapi.so
		DocumentRoot $base/pages
		<Directory $base/pages>
		    AuthType GSSAPI
		    AuthName "bystanders"
		    GssapiCredStore keytab:$host_dir/HTTP.keytab
		    Require valid-user
		</Directory>
	CONFIG
}

host_make_postgres()
{
	local base=$host_dir/postgres

	install -d -o postgres -g postgres "$base"
	setpriv --reuid postgres --regid postgres --clear-groups -- "$postgres_bin/initdb" -D "$base/data" \
		-A trust --no-sync >"$host_logs/initdb.log" || return 1
	cat >>"$base/data/postgresql.conf" <<-CONFIG
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$base'
		krb_server_keyfile = 'FILE:$host_dir/postgres.keytab'
		fsync = off
		autovacuum = off
		log_line_prefix = ''
	CONFIG
	printf 'local all all trust\nhost all all all gss include_realm=0 krb_realm=EXAMPLE\n' \
		>"$base/data/pg_hba.conf"
}

host_make()
{
	host_make_names && host_make_realm && host_make_ssh && host_make_ldap && host_make_http &&
		host_make_postgres || host_die "the host could not be made"
	host_start
	host_as alice "$postgres_bin/psql" -h "$host_dir/postgres" -U postgres -q -d postgres \
		-c 'create role alice login' || host_die "no role in the database"
	host_stop
}

# host_run NAME CMD...: a service in the background, its output in its log.
host_run()
{
	local name=$1
	shift
	"$@" >>"$host_logs/$name.log" 2>&1 </dev/null &
	host_pid[$name]=$!
}

host_start()
{
	local port

	host_run sshd /usr/sbin/sshd -D -e -f "$host_dir/sshd.conf"
	host_run slapd env "KRB5_KTNAME=$host_dir/ldap.keytab" slapd -d stats -h "ldap://127.0.0.1" \
		-u openldap -g openldap -f "$host_dir/ldap/slapd.conf"
	host_run apache apache2 -f "$host_dir/http/apache.conf" -D FOREGROUND
	host_run postgres setpriv --reuid postgres --regid postgres --clear-groups -- \
		"$postgres_bin/postgres" -D "$host_dir/postgres/data"
	host_run gss-server gss-server -verbose sample
	for port in 22 389 80 5432 4444; do
		host_wait 20 host_answers "$port" || host_die "nothing listens on port $port"
	done
	host_wait 10 host_as alice "$postgres_bin/pg_isready" -q -h "$host_dir/postgres" ||
		host_die "no database"
}

host_stop()
{
	local name

	for name in "${host_services[@]}"; do
		[ -n "${host_pid[$name]:-}" ] || continue
		[ "$name" != postgres ] || kill -INT "${host_pid[$name]}"
		kill "${host_pid[$name]}" 2>/dev/null
		wait "${host_pid[$name]}" 2>/dev/null
		unset "host_pid[$name]"
	done
}
