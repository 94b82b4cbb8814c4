// SPDX-License-Identifier: GPL-2.0-or-later
#include "version.h"

static bool is_range(const struct braid_version_range *range)
{
	return range->min > 0 && range->min <= range->max;
}

/**
 * braid_version_agree() - find the highest version that two parties have in common
 * @ours: what this side speaks
 * @theirs: what the other side says that it speaks; not trusted
 * @agreed: the version, written only where there is one
 *
 * Both sides come to the same version, whichever of them asks: with the ranges
 * exchanged "too old" and "too new" change places and nothing else does.
 *
 * Return: what the comparison says.
 */
enum braid_version_result braid_version_agree(const struct braid_version_range *ours,
					      const struct braid_version_range *theirs,
					      u32 *agreed)
{
	if (!is_range(ours) || !is_range(theirs))
		return BRAID_VERSION_MALFORMED;
	if (theirs->max < ours->min)
		return BRAID_VERSION_TOO_OLD;
	if (theirs->min > ours->max)
		return BRAID_VERSION_TOO_NEW;
	*agreed = ours->max < theirs->max ? ours->max : theirs->max;
	return BRAID_VERSION_AGREED;
}
