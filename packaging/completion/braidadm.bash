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
	"") words="version create-md dump-md wipe-md --help --version" ;;
	version) words="--json --help" ;;
	create-md)
		words="--device --meta-device --node --volume --size --block-size --max-peers --force --help"
		;;
	dump-md) words="--device --meta-device --json --help" ;;
	wipe-md) words="--device --meta-device --help" ;;
	*) words="" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _braidadm braidadm
