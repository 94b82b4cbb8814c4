# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of braidadm for bash.

_braidadm() {
	local word=${COMP_WORDS[COMP_CWORD]} verb="" i words previous=${COMP_WORDS[COMP_CWORD - 1]}
	local file=() names=""

	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		[[ ${COMP_WORDS[i]} != -c && ${COMP_WORDS[i]} != --config-file ]] ||
			file=(--config-file "${COMP_WORDS[i + 1]}")
	done
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			verb=${COMP_WORDS[i]}
			# The verbs cert and pool have verbs of their own.
			if [[ ($verb == cert || $verb == pool) && $((i + 1)) -lt $COMP_CWORD && ${COMP_WORDS[i + 1]} != -* ]]; then
				verb="cert ${COMP_WORDS[i + 1]}"
			fi
			break
		fi
	done
	case $verb in
	dump | up | down | adjust | connect | disconnect | attach | detach | resize | invalidate | verify | \
		pause-sync | resume-sync | suspend-io | resume-io | create-md | dump-md | wipe-md | status | events | role | \
		dstate | cstate | wait-connect | wait-sync | init | primary | secondary | explain | history | migrate | \
		end-migrate | resolve | add-peer | forget-peer | replace)
		[[ $word == -* ]] || names=$(braidadm sh-resources "${file[@]}" 2>/dev/null)
		;;
	esac
	case $verb in
	"") words="version status events role dstate cstate wait-connect wait-sync dump up down adjust connect disconnect attach detach resize
		invalidate verify pause-sync resume-sync suspend-io resume-io create-md dump-md wipe-md init primary secondary drain undrain
		explain history migrate end-migrate resolve add-peer forget-peer replace cert pool sh-nop sh-resources --help --version" ;;
	version) words="--json --help" ;;
	dump)
		words="--config-file --json --show-defaults --help"
		[[ $word == -* ]] || words="all $names"
		;;
	up | down | attach | detach | resize)
		words="--config-file --help"
		[[ $word == -* ]] || words="all $names"
		;;
	adjust)
		words="--config-file --dry-run --help"
		[[ $word == -* ]] || words="all $names"
		;;
	connect | disconnect | pause-sync | resume-sync | invalidate) words="--config-file --help $names" ;;
	verify) words="--config-file --start --stop --cancel --list --json --help $names" ;;
	status | events | role | dstate | cstate | wait-connect | wait-sync)
		case $verb in
		status) words="--config-file --json --verbose --color --help" ;;
		events) words="--config-file --now --timestamps --json --help" ;;
		wait-*) words="--config-file --timeout --help" ;;
		*) words="--config-file --help" ;;
		esac
		[[ $word == -* ]] || words=$names
		;;
	init) words="--equal --primary --help $names" ;;
	drain | undrain) words="--help $HOSTNAME" ;;
	primary | secondary) words="--force --help $names" ;;
	explain | history) words="--json --help $names" ;;
	migrate) words="--deadline --help $names" ;;
	resolve) words="--discard --help $names" ;;
	suspend-io) words="--timeout --help $names" ;;
	resume-io | end-migrate | add-peer | forget-peer | replace) words="--help $names" ;;
	sh-nop | sh-resources) words="--config-file --help" ;;
	create-md)
		words="--config-file --device --meta-device --node --volume --size --block-size --max-peers --force
			--help $names"
		;;
	dump-md) words="--config-file --device --meta-device --json --help $names" ;;
	wipe-md) words="--config-file --device --meta-device --help $names" ;;
	pool) words="create list extend free delete --help" ;;
	"pool create")
		words="lvmthin lvm zfsthin zfs --vg --size --config-file --help"
		[[ $word != /* ]] || words=$(compgen -f -- "$word")
		;;
	"pool list") words="--json --config-file --help" ;;
	"pool extend") words="--size --metadata --config-file --help" ;;
	"pool free") words="--config-file --help $(braidadm sh-resources "${file[@]}" 2>/dev/null)" ;;
	"pool delete") words="--destroy --config-file --help" ;;
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
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$word") ;;
	--output | install | -c | --config-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	*) COMPREPLY=() ;;
	esac
	if ((${#COMPREPLY[@]} == 0)); then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}

complete -F _braidadm braidadm
