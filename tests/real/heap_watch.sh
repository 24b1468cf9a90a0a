# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What servers hold of the heap, to be sourced behind hosts.sh.  Their resident memory says less: malloc
# keeps what was given back, for each thread some.
#
#   heap_watch PROGRAM   makes ready; "${heap_watched[@]}" before a command lets it be asked
#   heap_held PID        octets that this process has taken and not given back, in blocks of less than
#                        a megabyte
#   heap_report FEW MANY MOST [HELD]
#                        compares two files of heap_line: what each process has grown by; fails when
#                        one has more than MOST kB more resident, or nobody could be asked.  What is
#                        held is shown only, as servers keep pools for the next connection; with
#                        HELD, it fails when one holds more than so many kB more
#   heap_line PID        its number, name, resident kB and held octets ("-": nobody can be asked)
heap_dir=
heap_watched=()

heap_watch()
{
	local support=$here/../support

	# Servers give up root, and then write there.
	heap_dir=$(mktemp -d /tmp/heap.XXXXXX) && chmod 0777 "$heap_dir"
	cc -shared -fPIC -O1 -D_GNU_SOURCE -I"$here/../.." -o "$heap_dir/heap_watch.so" \
		"$support/heap_watch.c" "$support/count_allocations.c" || hosts_die "no heap_watch.so"
	# One arena: how many of glibc's have been touched says nothing of what is held.
	heap_watched=(env "LD_PRELOAD=$heap_dir/heap_watch.so" "HEAP_WATCH=$heap_dir"
		"HEAP_WATCH_PROGRAM=$1" MALLOC_ARENA_MAX=1)
}

heap_has_told()
{
	[ "$(wc -l 2>/dev/null <"$heap_dir/$1.held")" -gt "$2" ] 2>/dev/null
}

heap_held()
{
	local told=0

	[ -p "$heap_dir/$1" ] || { echo -; return; }
	[ ! -f "$heap_dir/$1.held" ] || told=$(wc -l <"$heap_dir/$1.held")
	printf x >"$heap_dir/$1"
	hosts_wait 5 heap_has_told "$1" "$told" || { echo -; return; }
	tail -n 1 "$heap_dir/$1.held"
}

heap_line()
{
	local name

	name=$(cat "/proc/$1/comm" 2>/dev/null) || return 0
	echo "$1 $name $(awk '/^VmRSS:/ { print $2 }' "/proc/$1/status") $(heap_held "$1")"
}

heap_report()
{
	join "$1" "$2" | awk -v most="$3" -v held="${4:--1}" '
		$4 != "-" || $6 != $3 {
			print "    " $2, "pid", $1 ": resident", $3, "kB, then", $6, "kB; held", $4, "octets, then", $7
		}
		$4 == "-" && $6 == $3 { same++ }
		$4 != "-" { asked = 1 }
		$6 - $3 > most { grown = 1 }
		held >= 0 && $7 - $4 > held * 1024 { grown = 1 }
		END {
			print "    processes as large as they were, to the kB:", same + 0
			exit grown || !asked
		}'
}
