# SPDX-License-Identifier: BSD-2-Clause
# fish's completion for gss-ipsec: commands, options and actions are what --help says.

function __gss_ipsec_words
    set -l words (commandline -opc)
    if test $words[-1] = --type
        printf '%s\n' ed25519 p256 p384 rsa
    else if test (count $words) -lt 2
        gss-ipsec --help 2>/dev/null | string replace -rf '^  ([a-z-]+) +(.*)' '$1\t$2'
    else if test $words[2] = peer -a (count $words) -eq 2
        gss-ipsec peer --help 2>/dev/null | string replace -rf '.*gss-ipsec peer ([a-z-]+).*' '$1'
    else
        gss-ipsec $words[2] --help 2>/dev/null | string match -ra -- '--[a-z-]+'
    end
end

complete -c gss-ipsec -a '(__gss_ipsec_words)'
