# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# bash's completion for gss-ipsec and gss-ipsecd: commands, options and actions are what --help says.

_gss_ipsec_help()
{
	"$@" --help 2>/dev/null
}

# The words that may come next, for the command line so far.
_gss_ipsec_words()
{
	local program=$1 command=$2 action=$3
	case ${program##*/},$command,$action in
	gss-ipsecd,*)
		_gss_ipsec_help "$program" | grep -oE -- '--[a-z-]+' ;;
	*,,*)
		_gss_ipsec_help "$program" | sed -n 's/^  \([a-z-]*\)  *.*/\1/p'
		echo "--help --version" ;;
	*,peer,)
		_gss_ipsec_help "$program" peer | grep -oE 'gss-ipsec peer [a-z-]+' | cut -d ' ' -f 3 ;;
	*,peer,remove)
		"$program" peer list 2>/dev/null | grep -v '^ '
		echo "--file" ;;
	*)
		_gss_ipsec_help "$program" "$command" | grep -oE -- '--[a-z-]+' ;;
	esac
}

_gss_ipsec()
{
	local program=$1 current=$2 previous=$3 command=${COMP_WORDS[1]} action=${COMP_WORDS[2]}
	[ "$COMP_CWORD" -gt 1 ] || command=
	[ "$COMP_CWORD" -gt 2 ] || action=
	case $previous in
	--type)
		mapfile -t COMPREPLY < <(compgen -W "ed25519 p256 p384 rsa" -- "$current")
		return ;;
	--file | --out | --from-ssh | --broker | --socket | --state)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return ;;
	--tag | --services | --bits | --port | --pid | --fd | --peer | --service | --key | --quota-* | \
		--*-seconds | --linger-least | --cover-max | --allow-user)
		return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$(_gss_ipsec_words "$program" "$command" "$action")" -- "$current")
	# Keys and lists of known hosts are files.
	if [ "${#COMPREPLY[@]}" = 0 ] && [ "$command" = peer ]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}

complete -F _gss_ipsec gss-ipsec gss-ipsecd
