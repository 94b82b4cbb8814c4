/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ranges of versions, and what two parties make of theirs.
 *
 * Each party of an interface speaks all versions from a lowest to a highest
 * one. They use the highest that both know. It is so between a tool and the
 * module (netlink API), and between two nodes (replication protocol).
 */
#ifndef _BRAID_CORE_VERSION_H
#define _BRAID_CORE_VERSION_H

#include "env.h"

/* Macros, because messages quote them. Raise MAX with each change. */
#define BRAID_API_VERSION_MIN		1
#define BRAID_API_VERSION_MAX		1
#define BRAID_PROTOCOL_VERSION_MIN	1
#define BRAID_PROTOCOL_VERSION_MAX	1

/**
 * struct braid_version_range - the versions that a party speaks
 * @min: the lowest, at least 1
 * @max: the highest, not below @min
 */
struct braid_version_range {
	u32 min;
	u32 max;
};

/**
 * enum braid_version_result - what comparing two ranges says
 * @BRAID_VERSION_AGREED: there is a common version
 * @BRAID_VERSION_TOO_OLD: their highest is below our lowest
 * @BRAID_VERSION_TOO_NEW: their lowest is above our highest
 * @BRAID_VERSION_MALFORMED: one of the two is not a range
 */
enum braid_version_result {
	BRAID_VERSION_AGREED,
	BRAID_VERSION_TOO_OLD,
	BRAID_VERSION_TOO_NEW,
	BRAID_VERSION_MALFORMED,
};

#ifdef __cplusplus
extern "C" {
#endif

enum braid_version_result braid_version_agree(const struct braid_version_range *ours,
					      const struct braid_version_range *theirs,
					      u32 *agreed);

#ifdef __cplusplus
}
#endif

#endif /* _BRAID_CORE_VERSION_H */
