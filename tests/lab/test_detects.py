# SPDX-License-Identifier: GPL-2.0-or-later
"""A broken module makes the lab fail, with a message that names what it did. No verdict of the lab
is worth anything without these: each test loads tests/lab/broken with one fault and expects to be told.
"""
import re

import pytest
from braidlab import modules
from braidlab.errors import Hang, KernelFailure, MachineGone

# Fault, kind that the lab must report, and what its message must name.
UML_DEBUG = [
    ("leak", "kmemleak", r"broken_leak"),
    ("lockdep", "lockdep", r"circular locking.*broken_lockdep"),
    ("atomic-sleep", "atomic-sleep|oops|lockdep", r"broken_atomic_sleep"),
    ("overrun", "kasan", r"broken_overrun"),
    ("oops", "oops|kasan", r"\[broken\]"),  # UML's trace leaves out the faulting function itself
    ("hang", "hung-task", r"insmod.*broken_hang"),
    # The process only: caught within a KASAN check, UML gives up tracing the stack.
    ("spin", "soft-lockup", r"broken_spin|stuck for \d+s! \[insmod"),
    ("warn", "warning", r"broken on purpose|broken_init"),
    ("object", "objects", r"broken: thing 1 never destroyed"),
]
VM = [
    ("oops", "oops", r"broken_oops"),
    ("hang", "hung-task", r"insmod.*broken_hang"),
    ("spin", "soft-lockup", r"broken_spin"),
    ("warn", "warning", r"broken_init"),
    ("object", "objects", r"broken: thing 1 never destroyed"),
]


def provoke(machine, fault):
    """Loads the broken module and asks for the verdict, with watchdogs set to bite early."""
    machine.run("echo 4 >/proc/sys/kernel/hung_task_timeout_secs;"
                "echo 2 >/proc/sys/kernel/watchdog_thresh")
    machine.load(modules.broken(machine.kernel), f"fault={fault}")
    machine.finish()


def expect(machine, fault, kinds, names):
    with pytest.raises(KernelFailure) as caught:
        provoke(machine, fault)
    assert re.fullmatch(kinds, caught.value.kind), str(caught.value)
    assert re.search(names, str(caught.value), re.DOTALL), str(caught.value)
    assert machine.name in str(caught.value)


@pytest.mark.uml_debug
@pytest.mark.parametrize("fault,kinds,names", UML_DEBUG, ids=[row[0] for row in UML_DEBUG])
def test_broken_module_in_uml(lab, fault, kinds, names):
    machine = lab.uml(debug=True)
    expect(machine, fault, kinds, names)
    machine.failed = True


@pytest.mark.uml_debug
def test_the_same_module_unbroken_passes(lab):
    provoke(lab.uml(debug=True), "none")


@pytest.mark.vm
@pytest.mark.parametrize("series", [pytest.param("6.1", marks=pytest.mark.long), "6.12"])
@pytest.mark.parametrize("fault,kinds,names", VM, ids=[row[0] for row in VM])
def test_broken_module_in_qemu(lab, series, fault, kinds, names):
    with lab.qemu(["a"], series) as cluster:
        expect(cluster["a"].machine, fault, kinds, names)
        cluster["a"].machine.failed = True


@pytest.mark.vm
def test_reboot_is_a_failure(lab):
    with lab.qemu(["a"]) as cluster:
        machine = cluster["a"].machine
        with pytest.raises(MachineGone, match="stopped by itself"):
            machine.run("echo b >/proc/sysrq-trigger; sleep 60")


@pytest.mark.vm
def test_a_power_cut_does_not_cover_up_a_panic(lab):
    with lab.qemu(["a"]) as cluster:
        a = cluster["a"]
        a.machine.start("sleep 0.1; echo c >/proc/sysrq-trigger")
        a.machine.process.wait(30)
        with pytest.raises(KernelFailure, match="sysrq triggered crash"):
            a.power_cut()


@pytest.mark.uml
def test_a_module_that_logs_no_objects_is_a_failure(lab):
    """Pairing what was created with what was destroyed would prove nothing."""
    machine = lab.uml()
    machine.load(modules.braid(machine.kernel) / "braid.ko", "dyndbg=-p")
    with pytest.raises(KernelFailure, match="logged no object at all"):
        machine.finish()
    machine.failed = True


@pytest.mark.uml
def test_power_off_is_a_failure(lab):
    machine = lab.uml()
    with pytest.raises(MachineGone, match="stopped by itself"):
        machine.run("halt -f; sleep 60")


@pytest.mark.uml
def test_panic_is_a_failure(lab):
    machine = lab.uml()
    with pytest.raises(KernelFailure, match="sysrq triggered crash"):
        machine.run("echo c >/proc/sysrq-trigger; sleep 60")


@pytest.mark.uml
def test_silence_is_a_failure(lab):
    """An agent that does not answer is as bad as a kernel that does not."""
    machine = lab.uml()
    agent = machine.run("pgrep -f /agent.py | head -1").out.strip()
    with pytest.raises(Hang, match="no answer during 'sh -ec true'"):
        machine.run(["sh", "-c", f"(sleep 0.2; kill -STOP {agent}) >/dev/null 2>&1 &"])
        machine.wait_for(lambda: machine.run("true", timeout=0.1) and False, 30, "silence")


@pytest.mark.uml
def test_a_command_that_does_not_end_is_a_failure_that_names_it(lab):
    machine = lab.uml()
    with pytest.raises(Hang, match="'sleep 1000' did not end within 1 s"):
        machine.run(["sleep", "1000"], timeout=1)


@pytest.mark.uml
def test_a_module_that_does_not_unload_is_a_failure(lab):
    machine = lab.uml()
    machine.load("brd", "rd_nr=1")
    machine.run("mkfs.ext4 -q /dev/ram0 1024 && mount /dev/ram0 /mnt")
    with pytest.raises(KernelFailure, match="rmmod brd.*in use"):
        machine.finish()
    machine.failed = True


@pytest.mark.uml
def test_console_text_is_no_verdict(lab):
    """A guest that prints that all is well, and goes down, has failed."""
    machine = lab.uml()
    with pytest.raises(MachineGone):
        machine.run("echo success >/dev/kmsg; echo '{\"id\": 1, \"rc\": 0}' >/dev/kmsg; halt -f")
