# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Two hosts for the tests in a guest, to be sourced: hostA 10.77.0.1 and hostB 10.77.0.2, each a
# network namespace with a /run, an /etc/gss and an /etc/hosts of its own, joined by a veth pair;
# fd77::1 and fd77::2, fe80::77:1 and fe80::77:2 are theirs too.
# Everything runs from what the tree installs, in its ordinary places.
#
#   hosts_install STAGED       copies an installation made with DESTDIR into this guest's root
#   hosts_install_programs FILES...  and test programs into /usr/bin
#   hosts_make_users NAME...   gives this guest alice and sample as users with names, too
#   hosts_up                   makes both hosts, identities and peer entries
#   hosts_broker HOST OPTS...  starts HOST's gss-ipsecd and waits until it listens
#   hosts_capture HOST FILE    starts tcpdump on HOST's end of the wire
#   hosts_captured HOST        whether the last one, which has ended, has every packet
#   hosts_on HOST CMD...       runs CMD on HOST as root
#   hosts_as USER HOST CMD...  runs CMD on HOST as the ordinary user alice or sample
#   hosts_start NAME [as USER] HOST CMD...  starts CMD in the background: pid in hosts_pid[NAME]
#   hosts_stop NAME            ends it, by its pid, and waits for it; a tcpdump that lost packets fails
#   hosts_count_established HOST  latches that HOST's gss-ipsecd has open
#   hosts_are_established COUNT   whether it is so many on both hosts
#   hosts_down                 ends all that hosts_start and hosts_up started, and only that
#
# HOST is A or B.  Logs and captures go to $hosts_out.

declare -A hosts_pid=() hosts_uid=([alice]=40001 [sample]=40002)
declare -A hosts_address=([A]=10.77.0.1 [B]=10.77.0.2) hosts_number=([A]=1 [B]=2)
# A host named here is in a user namespace as well, made by that user, who is root in it.
declare -A hosts_owner=()
declare -A hosts_name=([A]=host-a.example [B]=host-b.example)
hosts_dir=
hosts_out=${GUEST_OUT:-/tmp}
hosts_user=alice@example.org
hosts_mech='{ 1 2 840 113556 1 8000 2554 31079 55960 30804 18932 37582 1664278 1045436 1 }'

hosts_die()
{
	echo "hosts: $*" >&2
	exit 1
}

# In place of files that a program of the test before may still run.
hosts_install()
{
	cp -a --remove-destination "$1/." / || hosts_die "cannot install $1"
}

# Users of these names, whoever has them on the machine.
hosts_make_users()
{
	local user

	for user; do
		sed -i "/^$user:/d" /etc/passwd /etc/group &&
			echo "$user:x:${hosts_uid[$user]}:${hosts_uid[$user]}::/:/bin/sh" >>/etc/passwd &&
			echo "$user:x:${hosts_uid[$user]}:" >>/etc/group || hosts_die "no user $user"
	done
}

# Test programs go where ordinary users can run them: the tree may lie in a folder of root's own.
hosts_install_programs()
{
	install -D -m 755 -t /usr/bin "$@" || hosts_die "cannot install $*"
}

# Fills hosts_command: [as USER] HOST CMD... as one command line, for exec in the background too.
hosts_enter()
{
	local user=

	if [ "$1" = as ]; then
		user=$2
		shift 2
	fi
	hosts_command=(nsenter --target "${hosts_pid[host$1]}" --net --mount --)
	if [ -n "$user" ] && [ -n "${hosts_owner[$1]:-}" ]; then
		hosts_command=(nsenter --target "${hosts_pid[host$1]}" --user --net --mount --
			env "HOME=$hosts_dir/$1/home/$user")
	elif [ -n "$user" ]; then
		hosts_command+=(setpriv --reuid "${hosts_uid[$user]}" --regid "${hosts_uid[$user]}"
			--clear-groups --inh-caps=-all --no-new-privs --
			env "HOME=$hosts_dir/$1/home/$user")
	fi
	shift
	hosts_command+=("$@")
}

hosts_on()
{
	hosts_enter "$@"
	"${hosts_command[@]}"
}

hosts_as()
{
	hosts_enter as "$@"
	"${hosts_command[@]}"
}

hosts_start()
{
	local name=$1

	shift
	hosts_enter "$@"
	# Now, not in the child: who waits for a line must not find that of the program before.
	: >"$hosts_out/$name.log"
	# Ended before exec, a child would run this shell's own clean-up.
	(
		trap - EXIT
		exec "${hosts_command[@]}" >"$hosts_out/$name.log" 2>&1 </dev/null
	) &
	hosts_pid[$name]=$!
}

# Whether it has nothing to do.
hosts_waits()
{
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ $stat == *') S '* ]]
}

# Whether a child of ours has ended: it stays a zombie until it is waited for.
hosts_has_ended()
{
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ $stat == *') Z '* ]]
}

hosts_stop()
{
	local pid=${hosts_pid[$1]:-}

	[ -n "$pid" ] || return 0
	unset "hosts_pid[$1]"
	# A tcpdump that ends drops what it has not come to, and does not count it.
	[[ $1 != tcpdump.* ]] || hosts_wait 10 hosts_waits "$pid"
	kill "$pid" 2>/dev/null
	hosts_wait 5 hosts_has_ended "$pid" || kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	[[ $1 != tcpdump.* ]] || hosts_captured "${1#tcpdump.}" && return 0
	# Whoever judges it: one with holes proves nothing.
	echo "FAIL $1 has every packet"
	tail -n 3 "$hosts_out/$1.log" | sed 's/^/    /'
	report_failed=$((${report_failed:-0} + 1))
	return 1
}

# A condition, tried every 0.1 s for a second, every 0.3 s for five more and then every second, as each try
# takes a processor that others want; for half as long again and a second: hosts_wait SECONDS CMD...
hosts_wait()
{
	local limit=$(($1 * 15 + 10)) tenths=0 pause
	shift

	while ! "$@" >/dev/null 2>&1; do
		[ "$tenths" -lt "$limit" ] || return 1
		pause=$((tenths < 10 ? 1 : tenths < 60 ? 3 : 10))
		sleep "$((pause / 10)).$((pause % 10))"
		tenths=$((tenths + pause))
	done
}

hosts_make_one()
{
	local host=$1 dir=$hosts_dir/$1 make=(unshare) id

	if [ -n "${hosts_owner[$host]:-}" ]; then
		id=${hosts_uid[${hosts_owner[$host]}]}
		make=(setpriv --reuid "$id" --regid "$id" --clear-groups -- unshare --user)
	fi
	mkdir -p "$dir/run" "$dir/home/alice" "$dir/home/sample" "$dir/gss"
	[ ! -d /etc/gss ] || cp -a /etc/gss/. "$dir/gss/"
	chown "${hosts_uid[alice]}" "$dir/home/alice"
	chown "${hosts_uid[sample]}" "$dir/home/sample"
	printf '127.0.0.1 localhost\n%s %s hostA\n%s %s hostB\n' "${hosts_address[A]}" \
		"${hosts_name[A]}" "${hosts_address[B]}" "${hosts_name[B]}" >"$dir/hosts"
	(
		trap - EXIT
		exec "${make[@]}" --net --mount --propagation private sleep infinity
	) &
	hosts_pid[host$host]=$!
	hosts_wait 10 hosts_is_apart "${hosts_pid[host$host]}" || hosts_die "no namespace for $host"
	[ -z "${id:-}" ] || {
		echo "0 $id 1" >"/proc/${hosts_pid[host$host]}/uid_map" &&
			echo "0 $id 1" >"/proc/${hosts_pid[host$host]}/gid_map"
	} || hosts_die "no ids for $host"
	# A minimal machine may lack it; the guest's root is an overlay, so this changes nothing.
	[ -e /etc/hosts ] || : >/etc/hosts
	mkdir -p /etc/gss
	hosts_on "$host" sh -c "mount --bind $dir/run /run && mount --bind $dir/gss /etc/gss &&
		mount --bind $dir/hosts /etc/hosts && ip link set lo up" ||
		hosts_die "cannot set up host $host"
}

hosts_is_apart()
{
	[ "$(readlink "/proc/$1/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ] &&
		[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ] &&
		[ "$(cat "/proc/$1/comm")" = sleep ]
}

hosts_join()
{
	local host address

	# The namespaces of the test before may take their time to end.
	hosts_wait 10 ip link add wireA type veth peer name wireB || hosts_die "no veth in this kernel"
	for host in A B; do
		ip link set "wire$host" netns "${hosts_pid[host$host]}" &&
			hosts_on "$host" ip link set "wire$host" name wire &&
			hosts_on "$host" ip address add "${hosts_address[$host]}/24" dev wire &&
			hosts_on "$host" ip link set wire up || hosts_die "cannot join host $host"
		# A machine without IPv6 can still run the tests that do not need it.
		for address in "fd77::${hosts_number[$host]}" "fe80::77:${hosts_number[$host]}"; do
			hosts_on "$host" ip address add "$address/64" dev wire nodad
		done
	done
	# The first packet of a test shall not wait for duplicate address detection or ARP.
	hosts_wait 5 hosts_on A ping -c 1 -W 1 "${hosts_address[B]}"
}

# A key for each, and each other's public key under the name that belongs to it.
hosts_make_identities()
{
	local alice=$hosts_dir/A/gss/alice.pem service=$hosts_dir/B/gss/sample.pem

	gss-ipsec keygen --out "$alice" >"$hosts_dir/alice.public" &&
		gss-ipsec keygen --out "$service" >"$hosts_dir/sample.public" ||
		hosts_die "gss-ipsec keygen failed"
	chown "${hosts_uid[alice]}" "$alice"
	chown "${hosts_uid[sample]}" "$service"
	cat >"$hosts_dir/A/gss/ipsec.conf" <<-CONFIG
		[identity]
			alice = {
				key = /etc/gss/alice.pem
				user = $hosts_user
			}
		[peer]
			host-b = {
				host = ${hosts_name[B]}
				key = $(hosts_fingerprint sample)
			}
	CONFIG
	cat >"$hosts_dir/B/gss/ipsec.conf" <<-CONFIG
		[identity]
			host = {
				key = /etc/gss/sample.pem
				host = ${hosts_name[B]}
				services = sample
			}
		[peer]
			alice = {
				user = $hosts_user
				key = $(hosts_fingerprint alice)
			}
	CONFIG
	chmod 0644 "$hosts_dir"/?/gss/ipsec.conf
}

hosts_fingerprint()
{
	grep -o 'SHA256:[A-Za-z0-9+/]*' "$hosts_dir/$1.public" | head -n 1
}

hosts_up()
{
	mkdir -p "$hosts_out"
	hosts_dir=$(mktemp -d /tmp/hosts.XXXXXX) || hosts_die "no temporary folder"
	chmod 0755 "$hosts_dir"
	hosts_make_one A
	hosts_make_one B
	hosts_join
	hosts_make_identities
}

hosts_broker()
{
	local host=$1
	shift
	hosts_start "gss-ipsecd.$host" "$host" gss-ipsecd "$@"
	# The socket is there a little earlier, while the broker still tries what this kernel can do.
	hosts_wait 20 grep -q 'gss-ipsecd serves' "$hosts_out/gss-ipsecd.$host.log" || {
		tail -n 20 "$hosts_out/gss-ipsecd.$host.log" >&2
		hosts_die "gss-ipsecd of host $host does not listen"
	}
}

# The kernel keeps 64 KiB for each packet that tcpdump has not come to yet, so it goes first.
hosts_capture()
{
	local host=$1 file=$2

	hosts_start "tcpdump.$host" "$host" nice -n -20 tcpdump -i wire -U -n -s 0 -B 65536 \
		--immediate-mode -Z root -w "$file" 'ip or ip6'
	hosts_wait 10 grep -q 'listening on' "$hosts_out/tcpdump.$host.log" ||
		hosts_die "tcpdump does not start on host $host"
}

# Whether the host's last capture, which has ended, has every packet.
hosts_captured()
{
	grep -q '^0 packets dropped by kernel' "$hosts_out/tcpdump.$1.log"
}

hosts_down()
{
	local name

	for name in "${!hosts_pid[@]}"; do
		case $name in host?) ;; *) hosts_stop "$name" ;; esac
	done
	for name in "${!hosts_pid[@]}"; do
		hosts_stop "$name"
	done
	[ -z "$hosts_dir" ] || rm -rf "$hosts_dir"
	hosts_dir=
}

# Prints the numbers of SAs and policies that HOST's kernel holds, our own and any other.
hosts_count_xfrm()
{
	echo "$(hosts_on "$1" ip -o xfrm state count | grep -o 'SAD count [0-9]*' | tr -dc 0-9)" \
		"$(hosts_on "$1" ip xfrm policy | grep -c '^src')"
}

hosts_count_established()
{
	hosts_on "$1" gss-ipsec status 2>/dev/null | grep -cw established
}

# A broker that is busy may not answer the first time.
hosts_are_established()
{
	[ "$(hosts_count_established A)" = "$1" ] && [ "$(hosts_count_established B)" = "$1" ]
}
