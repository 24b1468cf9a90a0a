#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Calls that have a better way here, functions over 100 lines, files over 600, words that promise work.
set -u

cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
. "./tests/support/structure.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The exceptions, counted: FILE CALL COUNT.  memcmp compares public bytes only where it stands here;
# secrets are compared and wiped through base/secret.h.
: >"$work/counted"
counted=tests/check-forbidden.list
[ ! -f "$counted" ] || grep -v '^#' "$counted" | sort >"$work/counted"

# Programs print; libraries that run inside applications never do.
calls='memcmp|memset|strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca|getenv|system|popen'
prints='printf|fprintf|vprintf|vfprintf|puts|fputs|perror'
{
	sources base mech kernel-bind plugin tools include |
		xargs -r grep -noE "\b($calls)\(" /dev/null
	sources base mech kernel-bind plugin include |
		grep -vE '^kernel-bind/broker_(main|log)\.c$' |
		xargs -r grep -noE "\b($prints)\(" /dev/null
} | sed 's/^\([^:]*\):[0-9]*:\(.*\)($/\1 \2/' | sort | uniq -c |
	awk '{ print $2, $3, $1 }' | sort >"$work/found"
diff "$work/counted" "$work/found"
result $? "forbidden calls are those counted in $counted ($(wc -l <"$work/found"))"

long=$(sources base mech kernel-bind plugin tools include tests fuzz bench examples |
	xargs -r awk 'FNR == 1 { start = 0 } /^{/ { start = FNR }
		/^}/ && start { if (FNR - start - 1 > 100)
			print FILENAME ":" start ": " FNR - start - 1 " lines"; start = 0 }')
[ -z "$long" ] || echo "$long"
[ -z "$long" ]
result $? "no function has more than 100 lines"

long=$(sources base mech kernel-bind plugin tools include tests fuzz bench examples |
	xargs -r awk '{ lines[FILENAME]++ } END { for (f in lines)
		if (lines[f] > 600) print f ": " lines[f] " lines" }')
[ -z "$long" ] || echo "$long"
[ -z "$long" ]
result $? "no file has more than 600 lines"

# Spelt so that this file does not find itself.
words='TO''DO|FIX''ME|XX''X|HA''CK'
wrong=$(find base mech kernel-bind plugin tools include tests fuzz bench examples doc -type f \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.md' \) 2>/dev/null | sort |
	xargs -r grep -nwE "$words" /dev/null)
[ -z "$wrong" ] || echo "$wrong"
[ -z "$wrong" ]
result $? "no words that promise work"

wrong=$(find base mech kernel-bind plugin tools include tests fuzz bench examples -type f \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) 2>/dev/null | sort |
	while read -r file; do
		head -2 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || echo "$file"
	done)
[ -z "$wrong" ] || echo "$wrong"
[ -z "$wrong" ]
result $? "every file names its license"

exit $failed
