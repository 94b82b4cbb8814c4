/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */

#ifndef _UAPI_LINUX_BRAID_H
#define _UAPI_LINUX_BRAID_H

/*
 * Control of Braid's synchronous disk mirroring. Every operation needs
 * CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial user namespace. Objects belong
 * to the network namespace of the socket that created them.
 */
#define BRAID_FAMILY_NAME	"braid"
#define BRAID_FAMILY_VERSION	1

/* What this build of the module can do beyond its version. */
enum braid_feature {
	/*
	 * The kernel was built with TLS sockets (CONFIG_TLS), so replication
	 * may run encrypted.
	 */
	BRAID_FEATURE_KTLS = 0x1,
	/*
	 * Creation and destruction of objects can be logged (dynamic debug, or
	 * a debug build). Without it a log that shows no leak proves nothing.
	 */
	BRAID_FEATURE_OBJECT_LOG = 0x2,
};

/* The module as a whole. */
enum braid_a_module {
	/*
	 * Lowest version of this interface that is spoken. In a request by the
	 * caller, in a reply by the module.
	 */
	BRAID_A_MODULE_API_MIN = 1,
	/* Highest version of this interface that is spoken, as api-min. */
	BRAID_A_MODULE_API_MAX,
	/* Version of the module, for people. Programs compare api-version. */
	BRAID_A_MODULE_VERSION,
	/*
	 * Highest version that caller and module have in common. Only where the
	 * caller gave its range.
	 */
	BRAID_A_MODULE_API_VERSION,
	/* Lowest version of the replication protocol that is spoken. */
	BRAID_A_MODULE_PROTOCOL_MIN,
	/* Highest version of the replication protocol that is spoken. */
	BRAID_A_MODULE_PROTOCOL_MAX,
	/* What this build can do. */
	BRAID_A_MODULE_FEATURES,

	__BRAID_A_MODULE_MAX,
	BRAID_A_MODULE_MAX = __BRAID_A_MODULE_MAX - 1
};

/* The operations, events and notifications. */
enum braid_cmd {
	/*
	 * Describe the module, and agree on a version of this interface. A
	 * range without a common version is refused with EPROTONOSUPPORT; half
	 * a range, or one that ends before it begins, with EINVAL.
	 */
	BRAID_CMD_MODULE_GET = 1,

	__BRAID_CMD_MAX,
	BRAID_CMD_MAX = __BRAID_CMD_MAX - 1
};

#endif /* _UAPI_LINUX_BRAID_H */
