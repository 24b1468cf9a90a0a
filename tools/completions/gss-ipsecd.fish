# SPDX-License-Identifier: BSD-2-Clause
# fish's completion for gss-ipsecd: options are what --help says.

complete -c gss-ipsecd -a "(gss-ipsecd --help 2>/dev/null | string match -ra -- '--[a-z-]+')"
