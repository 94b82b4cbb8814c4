# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of braidadm for bash.

_braidadm() {
	local word=${COMP_WORDS[COMP_CWORD]} verb="" i words

	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			verb=${COMP_WORDS[i]}
			break
		fi
	done
	case $verb in
	"") words="version --help --version" ;;
	version) words="--json --help" ;;
	*) words="" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _braidadm braidadm
