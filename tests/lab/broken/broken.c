// SPDX-License-Identifier: GPL-2.0
/*
 * A module that is wrong on purpose, in the way its parameter says, so that the
 * lab can be seen to notice. Never part of the product.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "leak, lockdep, atomic-sleep, hang, spin, oops, overrun, warn or object");

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);
static DEFINE_SPINLOCK(spin);

static noinline void broken_leak(void)
{
	void *lost = kmalloc(128, GFP_KERNEL);

	/* The compiler must not see that nobody wants it. */
	OPTIMIZER_HIDE_VAR(lost);
}

static noinline void broken_lockdep(void)
{
	mutex_lock(&lock_a);
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);

	mutex_lock(&lock_b);
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
}

static noinline void broken_atomic_sleep(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static noinline void broken_hang(void)
{
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule();
	}
}

static noinline void broken_spin(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static noinline void broken_oops(void)
{
	int *nowhere = NULL;

	OPTIMIZER_HIDE_VAR(nowhere);
	WRITE_ONCE(*nowhere, 1);
}

static noinline void broken_overrun(void)
{
	char *buffer = kzalloc(64, GFP_KERNEL);

	if (!buffer)
		return;
	OPTIMIZER_HIDE_VAR(buffer);
	WRITE_ONCE(buffer[64], 1);
	kfree(buffer);
}

static const struct {
	const char *name;
	void (*run)(void);
} faults[] = {
	{ "leak", broken_leak },
	{ "lockdep", broken_lockdep },
	{ "atomic-sleep", broken_atomic_sleep },
	{ "hang", broken_hang },
	{ "spin", broken_spin },
	{ "oops", broken_oops },
	{ "overrun", broken_overrun },
};

static int __init broken_init(void)
{
	size_t n;

	pr_debug("broken: thing 1 created\n");
	if (strcmp(fault, "object"))
		pr_debug("broken: thing 1 destroyed\n");
	WARN(!strcmp(fault, "warn"), "broken on purpose\n");
	for (n = 0; n < ARRAY_SIZE(faults); n++)
		if (!strcmp(fault, faults[n].name))
			faults[n].run();
	return 0;
}

static void __exit broken_exit(void)
{
}

module_init(broken_init);
module_exit(broken_exit);
MODULE_DESCRIPTION("Wrong on purpose, for tests of the lab");
MODULE_LICENSE("GPL");
