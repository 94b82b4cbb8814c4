# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of braidadm for bash.

_braidadm() {
	local word=${COMP_WORDS[COMP_CWORD]} verb="" i words previous=${COMP_WORDS[COMP_CWORD - 1]}
	local file=()

	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		[[ ${COMP_WORDS[i]} != -c && ${COMP_WORDS[i]} != --config-file ]] ||
			file=(--config-file "${COMP_WORDS[i + 1]}")
	done
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			verb=${COMP_WORDS[i]}
			# The verb cert has verbs of its own.
			if [[ $verb == cert && $((i + 1)) -lt $COMP_CWORD && ${COMP_WORDS[i + 1]} != -* ]]; then
				verb="cert ${COMP_WORDS[i + 1]}"
			fi
			break
		fi
	done
	case $verb in
	"") words="version dump create-md dump-md wipe-md cert sh-nop sh-resources --help --version" ;;
	version) words="--json --help" ;;
	dump)
		words="--config-file --json --show-defaults --help"
		[[ $word == -* ]] || words="all $(braidadm sh-resources "${file[@]}" 2>/dev/null)"
		;;
	sh-nop | sh-resources) words="--config-file --help" ;;
	create-md)
		words="--device --meta-device --node --volume --size --block-size --max-peers --force --help"
		;;
	dump-md) words="--device --meta-device --json --help" ;;
	wipe-md) words="--device --meta-device --help" ;;
	cert) words="init issue install renew show --help" ;;
	"cert init") words="--directory --node --force --help" ;;
	"cert issue") words="--directory --output --days --force --help" ;;
	"cert install") words="--directory --node --force --help" ;;
	"cert renew") words="--directory --node --days --help" ;;
	"cert show") words="--directory --json --help" ;;
	*) words="" ;;
	esac
	case $previous in
	--directory) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
	--output | install | -c | --config-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	*) COMPREPLY=() ;;
	esac
	if ((${#COMPREPLY[@]} == 0)); then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}

complete -F _braidadm braidadm
