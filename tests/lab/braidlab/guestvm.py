# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines on emulated hosts: what a host needs to run one, and the small machine that tests run.

Its kernel is the project's (tests/lab/kernels/guest.config), its only program tests/lab/vm/init.c: it boots within a
second or two of processor time, so that it is of use also where KVM itself is emulated.
"""
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
            built = subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", f"{tree}/init", PROGRAM,
                                    "-lsqlite3", "-lm"], text=True, check=False, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
            if built.returncode != 0:
                raise LabError(f"{PROGRAM}: {built.stdout}")
            subprocess.run(["strip", f"{tree}/init"], check=True)
            temporary = initrd.with_suffix(f".{os.getpid()}")
            subprocess.run(f"mkdir dev && mknod dev/console c 5 1 && find . | cpio --quiet -o -H newc >{temporary}",
                           shell=True, cwd=tree, check=True)
            temporary.rename(initrd)
    return Image(folder / "build/arch/x86/boot/bzImage", initrd)


class Rig:
    """What hosts need to run virtual machines: KVM, the bridge "lan", libvirtd, names, keys."""

    def __init__(self, cluster: QemuCluster, lan: Lan):
        self.cluster, self.lan = cluster, lan

    def prepare(self, host: QemuHost) -> None:
        """After each start of a host, which remembers nothing."""
        self._plug(host)
        names = "".join(f"{it.address} {it.name}\n" for it in self.cluster.hosts)
        host.run(f"printf '127.0.0.1 localhost\\n{names}' >/etc/hosts")
        module = "kvm_intel" if "vmx" in host.run("cat /proc/cpuinfo").out.split() else "kvm_amd"
        host.run(["modprobe", "-a", module, "tun", "vhost_net"])
        # libvirt asks each emulator that it finds what it can do.
        host.run("rm -f /usr/bin/qemu-system-i386; mkdir -p /etc/libvirt /run/libvirt; ldconfig -p >/dev/null")
        host.machine.write("/etc/libvirt/libvirtd.conf", LIBVIRTD)
        host.machine.write("/etc/libvirt/qemu.conf", QEMU_CONF)

    def install_keys(self, host: QemuHost, node_file: str) -> None:
        """libvirt's and QEMU's files, from the node's own: the same certificates prove who it is."""
        host.run(["/usr/bin/python3", "-c", SPLIT_KEYS, node_file])

    def start_libvirtd(self, host: QemuHost) -> None:
        """Starts it and waits until it answers. What it found out about QEMU is kept for other hosts and runs."""
        known = self._capabilities(host)
        if known.exists():
            host.run(f"mkdir -p /var/cache/libvirt/qemu && cp -r {host.machine.inside(known)} "
                     "/var/cache/libvirt/qemu/capabilities")
        host.start("exec libvirtd --listen >/lab/libvirtd.out 2>&1")
        host.wait_for(lambda: self.virsh(host, "list", check=False).rc == 0, 60, "libvirtd to answer")
        if not known.exists():
            self._keep_capabilities(host, known)

    def kill_libvirtd(self, host: QemuHost) -> None:
        host.run("pkill -KILL -x libvirtd")

    def virsh(self, host: QemuHost, *words: str, check: bool = True, timeout: float = 60):
        return host.run(["virsh", "-q", "-c", "qemu:///system", *words], check=check, timeout=timeout)

    def state(self, host: QemuHost, name: str) -> str:
        """Of a machine on a host: "running", "shut off", ...; "" where it is not known."""
        return self.virsh(host, "domstate", name, check=False).out.strip()

    # Inside

    def _plug(self, host: QemuHost) -> None:
        card, port = self.lan.port(host.name)
        mac = f"52:54:00:99:01:{host.number:02x}"
        qmp = host.machine.qmp
        qmp.command("netdev_add", type="dgram", id="lan", local={"type": "unix", "path": card},
                    remote={"type": "unix", "path": port})
        qmp.command("device_add", driver="virtio-net-pci", id="card-lan", netdev="lan", mac=mac)
        path = host.wait_for(lambda: host.run(f"grep -lix {mac} /sys/class/net/*/address", check=False).out.strip(),
                             10, "the network card to the LAN")
        # The bridge has nothing to find out: there is one way out.
        host.run(f"modprobe bridge; ip link add lan type bridge forward_delay 0 mcast_snooping 0; "
                 f"ip link set {str(path).split('/')[-2]} name uplink; ip link set uplink master lan up; "
                 "ip link set lan up; sysctl -q net.ipv6.conf.all.disable_ipv6=1")

    def _capabilities(self, host: QemuHost) -> Path:
        parts = [host.machine.kernel.release, str(host.machine.memory), json.dumps(host.machine.variant.speed)]
        for file in ("/usr/bin/qemu-system-x86_64", "/usr/sbin/libvirtd"):
            stat = os.stat(file)
            parts.append(f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
        return CACHE / "libvirt" / hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16] / "capabilities"

    def _keep_capabilities(self, host: QemuHost, known: Path) -> None:
        host.run("rm -rf /lab/capabilities; cp -r /var/cache/libvirt/qemu/capabilities /lab/")
        made = host.machine.share / "capabilities"
        if not any(made.iterdir()):
            return
        known.parent.mkdir(parents=True, exist_ok=True)
        temporary = known.with_suffix(f".{os.getpid()}")
        shutil.copytree(made, temporary)
        try:
            temporary.rename(known)
        except OSError:  # another host was first
            shutil.rmtree(temporary)


# Of node.pem: the private key, the node's certificate, the authority's.
SPLIT_KEYS = r"""
import os, re, sys
text = open(sys.argv[1]).read()
parts = re.findall(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n", text, re.S)
blocks = [match.group(0) for match in re.finditer(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n", text, re.S)]
(key,) = [block for block in blocks if "PRIVATE KEY" in block]
own, authority = [block for block in blocks if "CERTIFICATE" in block]
os.umask(0o077)
for path, block in {
        "CA/cacert.pem": authority, "libvirt/servercert.pem": own, "libvirt/private/serverkey.pem": key,
        "libvirt/clientcert.pem": own, "libvirt/private/clientkey.pem": key, "qemu/ca-cert.pem": authority,
        "qemu/server-cert.pem": own, "qemu/server-key.pem": key, "qemu/client-cert.pem": own,
        "qemu/client-key.pem": key}.items():
    path = "/etc/pki/" + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(block)
"""


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
