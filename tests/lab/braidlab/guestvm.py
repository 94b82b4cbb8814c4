# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines on emulated hosts: what a host needs to run one, and the small machine that tests run.

Its kernel is the project's (tests/lab/kernels/guest.config), its only program tests/lab/vm/init.c: it boots within a
second or two of processor time, so that it is of use also where KVM itself is emulated.
"""
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .cluster import QemuCluster, QemuHost
from .errors import LabError
from .kernels import TOP
from .lan import CLIENT, GUEST, Lan
from .machine import Result
from .modules import BUILD
from .qemu import CACHE

PROGRAM = TOP / "tests/lab/vm/init.c"
# What a machine of a test has; enough for its kernel and its pages.
MEMORY = 64 << 20

LIBVIRTD = """
listen_tls = 1
listen_tcp = 0
auth_tls = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:file:/lab/libvirtd.log"
"""
# What there is no use for on a host that lives for a test, and what needs a whole system around it.
QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
seccomp_sandbox = 0
remember_owner = 0
stdio_handler = "file"
migrate_tls_force = 1
"""


@dataclass(frozen=True)
class Image:
    """The machine's kernel and initial file system, as files of the harness."""

    kernel: Path
    initrd: Path

    @staticmethod
    def cmdline(mode: str) -> str:
        return (f"console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check "
                f"ip={GUEST}::::vm:eth0:off LAB_CLIENT={CLIENT} LAB_MODE={mode}")


@cache
def image() -> Image:
    """Builds the machine that tests run, what is not there yet of it."""
    folder = Path(subprocess.run([TOP / "scripts/uml-kernel", "guest"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout.strip())
    digest = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()[:16]
    initrd = BUILD / "guestvm" / f"{digest}.cpio"
    if not initrd.exists():
        initrd.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as tree:
            _run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-s", "-o", f"{tree}/init", PROGRAM, "-lsqlite3", "-lm"])
            temporary = initrd.with_suffix(f".{os.getpid()}")
            subprocess.run(f"mkdir dev && mknod dev/console c 5 1 && find . | cpio --quiet -o -H newc >{temporary}",
                           shell=True, cwd=tree, check=True)
            temporary.rename(initrd)
    return Image(folder / "build/arch/x86/boot/bzImage", initrd)


# Run once a boot, with the MAC of the card to the LAN and the files that make_files() left. The host's root is this
# machine's, so what it must not find there is taken away. libvirt has to know the user that QEMU would run as had
# it not been told another; it asks each emulator that it finds what it can do; and the bridge has one way out,
# so nothing to find out.
PREPARE = """
set -e
for module in tun vhost_net bridge kvm_intel kvm_amd; do modprobe -q $module || true; done
test -c /dev/kvm
cp /lab/rig/hosts /etc/hosts
grep -q ^libvirt-qemu: /etc/passwd || {
    echo libvirt-qemu:x:64055:64055::/:/bin/false >>/etc/passwd
    echo libvirt-qemu:x:64055: >>/etc/group
    echo kvm:x:64056: >>/etc/group
}
rm -f /usr/bin/qemu-system-i386
mkdir -p /etc/libvirt /run/libvirt /etc/pki /var/cache/libvirt/qemu
cp /lab/rig/*.conf /etc/libvirt
cp -r /lab/rig/pki/* /etc/pki
[ ! -d /lab/rig/capabilities ] || cp -r /lab/rig/capabilities /var/cache/libvirt/qemu
ip link add lan type bridge forward_delay 0 mcast_snooping 0
for address in /sys/class/net/*/address; do
    if [ "$(cat $address)" = $1 ]; then card=$(basename ${address%/address}); fi
done
ip link set $card name uplink
ip link set uplink master lan up
ip link set lan up
"""


class Rig:
    """What hosts need to run virtual machines: KVM, the bridge "lan", libvirtd, names, keys."""

    def __init__(self, cluster: QemuCluster, lan: Lan):
        self.cluster, self.lan = cluster, lan
        self.keys = make_keys(cluster.hosts)

    def prepare(self, host: QemuHost) -> None:
        """After each start of a host, which remembers nothing; until libvirt answers."""
        known = self._capabilities(host)
        self._make_files(host, known)
        mac = self._plug(host)
        host.run(["sh", "-c", PREPARE, "sh", mac])
        self.start_libvirtd(host)
        if not known.exists():
            self._keep_capabilities(host, known)

    def start_libvirtd(self, host: QemuHost) -> None:
        """Starts it and waits until it answers."""
        daemon = host.start("exec libvirtd --listen >/lab/libvirtd.out 2>&1")

        def answers() -> bool:
            if daemon.done():
                raise LabError(f"{host.name}: libvirtd ended: {(host.machine.share / 'libvirtd.log').read_text()}")
            return self.virsh(host, "list", check=False).rc == 0
        host.wait_for(answers, 60, "libvirtd to answer")

    def kill_libvirtd(self, host: QemuHost) -> None:
        host.run("pkill -KILL -x libvirtd")

    def virsh(self, host: QemuHost, *words: str, check: bool = True, timeout: float = 60) -> Result:
        return host.run(["virsh", "-q", "-c", "qemu:///system", *words], check=check, timeout=timeout)

    def state(self, host: QemuHost, name: str) -> str:
        """Of a machine on a host: "running", "shut off", ...; "" where it is not known."""
        return self.virsh(host, "domstate", name, check=False).out.strip()

    # Inside

    def _make_files(self, host: QemuHost, known: Path) -> None:
        """What prepare() finds below /lab/rig."""
        rig = host.machine.share / "rig"
        shutil.rmtree(rig, ignore_errors=True)
        shutil.copytree(self.keys / host.name, rig / "pki")
        (rig / "libvirtd.conf").write_text(LIBVIRTD)
        (rig / "qemu.conf").write_text(QEMU_CONF)
        (rig / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
            f"{it.address} {it.name}\n" for it in self.cluster.hosts))
        if known.exists():
            shutil.copytree(known, rig / "capabilities")

    def _plug(self, host: QemuHost) -> str:
        """Plugs the card to the LAN and waits until the host has it; its MAC."""
        card, port = self.lan.port(host.name)
        mac = f"52:54:00:99:01:{host.number:02x}"
        qmp = host.machine.qmp
        qmp.command("netdev_add", type="dgram", id="lan", local={"type": "unix", "path": card},
                    remote={"type": "unix", "path": port})
        qmp.command("device_add", driver="virtio-net-pci", id="card-lan", netdev="lan", mac=mac)
        host.wait_for(lambda: host.run(f"grep -lix {mac} /sys/class/net/*/address", check=False).rc == 0, 10,
                      "the network card to the LAN")
        return mac

    def _capabilities(self, host: QemuHost) -> Path:
        """Where what libvirt found out about QEMU is kept between runs: it takes it a minute on such hosts."""
        parts = [host.machine.kernel.release, str(host.machine.variant.speed)]
        for file in ("/usr/bin/qemu-system-x86_64", "/usr/sbin/libvirtd"):
            stat = os.stat(file)
            parts.append(f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
        return CACHE / "libvirt" / hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16] / "capabilities"

    def _keep_capabilities(self, host: QemuHost, known: Path) -> None:
        self.virsh(host, "domcapabilities", "--virttype", "kvm")  # it asks QEMU when it first has to
        host.run("rm -rf /lab/capabilities; cp -r /var/cache/libvirt/qemu/capabilities /lab/")
        known.parent.mkdir(parents=True, exist_ok=True)
        temporary = known.with_suffix(f".{os.getpid()}-{host.name}")
        shutil.copytree(host.machine.share / "capabilities", temporary)
        try:
            temporary.rename(known)
        except OSError:  # another host was first
            shutil.rmtree(temporary)


def make_keys(hosts: list[QemuHost]) -> Path:
    """An authority and a certificate for each host, as libvirt's manual wants them; a folder for each host."""
    names = {host.name: host.address for host in hosts}
    key = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    folder = CACHE / "libvirt" / f"keys-{key}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, "keys")
        made.mkdir()
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "3650"]
        authority, secret = made / "authority.pem", made / "authority.key"
        _run([*new, "-keyout", secret, "-out", authority, "-subj", "/CN=lab",
              "-addext", "keyUsage=critical,keyCertSign"])
        for name, address in names.items():
            key, certificate = made / f"{name}.key", made / f"{name}.pem"
            _run([*new, "-CA", authority, "-CAkey", secret, "-subj", f"/CN={name}", "-keyout", key,
                  "-out", certificate, "-addext", "basicConstraints=critical,CA:FALSE",
                  "-addext", f"subjectAltName=DNS:{name},IP:{address}",
                  "-addext", "keyUsage=critical,digitalSignature,keyEncipherment",
                  "-addext", "extendedKeyUsage=serverAuth,clientAuth"])
            # Where libvirt and QEMU look for them.
            places = {"CA/cacert": authority, "qemu/ca-cert": authority}
            for end in ("server", "client"):
                places |= {f"libvirt/{end}cert": certificate, f"libvirt/private/{end}key": key,
                           f"qemu/{end}-cert": certificate, f"qemu/{end}-key": key}
            for place, file in places.items():
                target = made / name / f"{place}.pem"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        with contextlib.suppress(OSError):  # another run was first
            made.rename(folder)
    return folder


def _run(command: list) -> None:
    done = subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise LabError(f"{command}: {done.stdout}")


def virtio_port(host: QemuHost, name: str) -> str:
    """The device on a host of a port that was plugged under a name."""
    find = f"for d in /sys/class/virtio-ports/*; do [ \"$(cat $d/name)\" != {name} ] || echo /dev/${{d##*/}}; done"
    return str(host.wait_for(lambda: host.run(find).out.strip(), 10, f"port {name}"))


def domain_xml(host: QemuHost, name: str, disks: list[str], mode: str = "database") -> str:
    """A libvirt domain as an administrator would write it."""
    it = image()
    inside = host.machine.inside
    devices = "".join(
        f"<disk type='block' device='disk'><driver name='qemu' type='raw' cache='none' io='native' discard='unmap'/>"
        f"<source dev='{disk}'/><target dev='vd{chr(ord('a') + number)}' bus='virtio'/></disk>"
        for number, disk in enumerate(disks))
    return f"""<domain type='kvm'><name>{name}</name><uuid>7b6f2f4e-0c0e-4d8c-9d0a-2c1f9a3f0001</uuid>
<memory unit='b'>{MEMORY}</memory><vcpu>1</vcpu><os><type machine='pc'>hvm</type>
<kernel>{inside(it.kernel)}</kernel><initrd>{inside(it.initrd)}</initrd><cmdline>{it.cmdline(mode)}</cmdline></os>
<features><acpi/></features><cpu mode='host-passthrough' migratable='off'/><on_crash>destroy</on_crash>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}
<interface type='bridge'><mac address='52:54:00:99:02:01'/><source bridge='lan'/><model type='virtio'/>
<rom enabled='no'/></interface><serial type='file'><source path='/lab/{name}.console' append='on'/></serial>
<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"""
