/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Part of the lab's User-Mode Linux: sets the extended registers of a process on a processor with more of
 * them than this kernel keeps (those of AMX, which no process here may use). The host takes all or nothing
 * (EFAULT), so what is not kept is set as unused. scripts/uml-kernel has it included.
 */
#include <errno.h>
#include <string.h>
#include <os.h>

static int set_whole_xstate(int pid, const unsigned long *kept)
{
	/* The host takes no more of it than it has; signals would bring another task here. */
	static char whole[65536];
	struct iovec iov = { .iov_base = whole, .iov_len = sizeof(whole) };
	int enabled = um_set_signals(0), ret, err;

	memcpy(whole, kept, FP_SIZE * sizeof(*kept));
	ret = ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov);
	err = errno;
	um_set_signals(enabled);
	errno = err;
	return ret;
}
