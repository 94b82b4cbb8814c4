# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab recognises what a kernel must never print, and objects without an end."""
import pytest
from braidlab import splats

TEXTS = [
    ("kasan", "[    3.1] BUG: KASAN: slab-out-of-bounds in broken_overrun+0x2b/0x40 [broken]"),
    ("kfence", "BUG: KFENCE: out-of-bounds write in f+0x1/0x2"),
    ("ubsan", "UBSAN: shift-out-of-bounds in drivers/x.c:1:2"),
    ("lockdep", "WARNING: possible circular locking dependency detected"),
    ("lockdep", "WARNING: inconsistent lock state"),
    ("lockdep", "WARNING: suspicious RCU usage"),
    ("lockdep", "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"),
    ("atomic-sleep", "BUG: sleeping function called from invalid context at mm/x.c:1"),
    ("hung-task", "INFO: task insmod:81 blocked for more than 10 seconds."),
    ("soft-lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:81]"),
    ("rcu-stall", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
    ("oops", "BUG: kernel NULL pointer dereference, address: 0000000000000000"),
    ("oops", "Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x60003000"),
    ("refcount", "refcount_t: underflow; use-after-free."),
    ("list", "list_del corruption. prev->next should be ffff, but was dead"),
    ("odebug", "ODEBUG: free active (active state 0) object: 000 object type: timer_list"),
    ("slab", "BUG kmalloc-64 (Tainted: G    B): Redzone overwritten"),
    ("warning", "WARNING: CPU: 1 PID: 81 at drivers/block/x.c:12 f+0x1/0x2 [x]"),
    ("panic", "Kernel panic - not syncing: Attempted to kill init!"),
]


@pytest.mark.parametrize("kind,text", TEXTS, ids=[f"{k}-{n}" for n, (k, _) in enumerate(TEXTS)])
def test_recognised(kind, text):
    splat = splats.find(f"[ 0.0] all is well\n{text}\n[ 9.9] Call Trace:")
    assert (splat.kind, text.endswith(splat.headline)) == (kind, True)
    assert "Call Trace" in splat.excerpt and "all is well" not in splat.excerpt


def test_the_earliest_is_the_cause():
    log = "WARNING: possible recursive locking detected\nKernel panic - not syncing: panic_on_warn set"
    assert splats.find(log).kind == "lockdep"


@pytest.mark.parametrize("line", [
    "I/O error, dev vda, sector 0 op 0x0:(READ)", "EXT4-fs warning: checktime reached",
    "Freeing unused kernel memory", "broken: loading out-of-tree module taints kernel."])
def test_ordinary_lines_are_none(line):
    assert splats.find(line) is None


def test_pairing():
    log = "\n".join(["[ 1.0] braid: netns 1 created", "[ 1.1] braid: netns 2 created",
                     "[ 1.2] braid: netns 1 destroyed", "[ 1.3] braid: netns 1 created",
                     "[ 1.4] braid: peer r/b destroyed", "[ 1.5] braid: netns 1 destroyed"])
    assert splats.unpaired(log) == ["braid: peer r/b destroyed but never created",
                                    "braid: netns 2 never destroyed"]
    assert splats.objects_created(log) == 3


def test_an_object_created_twice_is_no_pair():
    log = "braid: netns 1 created\nbraid: netns 1 created\nbraid: netns 1 destroyed"
    assert splats.unpaired(log) == ["braid: netns 1 created twice"]


def test_taints():
    assert splats.taints(1 << 12 | 1 << 13 | 1 << 18) == []
    assert splats.taints(1 << 9 | 1 << 7) == ["D: oops", "W: warning"]


def test_addresses_of_a_module_that_has_gone_get_their_names():
    symbols = splats.module_symbols("0000000060001000 T panic\n0000000000002000 t leak\t[broken]\n"
                                    "0000000000001000 T start\t[broken]\n0000000000003000 d x\t[broken]")
    report = "  backtrace (crc 1):\n    kmalloc+0x1/0x2\n    0x206d\n    0x1fff\n    0x10"
    assert splats.name_addresses(report, symbols).splitlines()[2:] == [
        "    leak+0x6d [broken]", "    start+0xfff [broken]", "    0x10"]
