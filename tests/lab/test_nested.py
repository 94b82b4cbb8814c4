# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM inside an emulated host: what tests of virtual machines will run on."""
import pytest

# The nested guest only says that it lives; its kernel is the host's, its root this initramfs.
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
/bin/busybox echo "nested guest alive on $(/bin/busybox uname -r)" >/dev/ttyS0
/bin/busybox poweroff -f
"""


@pytest.mark.vm
def test_kvm_works_inside_an_emulated_host(lab):
    with lab.qemu(["a"], memory=1024) as cluster:
        a = cluster["a"]
        module = "kvm_intel" if "vmx" in a.run("cat /proc/cpuinfo").out.split() else "kvm_amd"
        a.run(["modprobe", module])
        a.run("test -c /dev/kvm")
        a.run("mkdir -p /tmp/nested/bin /tmp/nested/dev; cp /bin/busybox /tmp/nested/bin")
        a.machine.write("/tmp/nested/init", INIT)
        a.run("cd /tmp/nested; chmod +x init; find . | cpio --quiet -o -H newc >/tmp/nested.cpio")
        release = a.machine.kernel.release
        out = a.run(["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                     "-accel", "kvm", "-cpu", "host", "-m", "256", "-no-reboot", "-serial", "stdio",
                     "-kernel", f"/boot/vmlinuz-{release}", "-initrd", "/tmp/nested.cpio",
                     "-append", "console=ttyS0 quiet panic=-1 mitigations=off"], timeout=30).out
        assert f"nested guest alive on {release}" in out
