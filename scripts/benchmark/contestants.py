# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is measured: each brings up a block device on RAM disks of one User-Mode Linux, and takes it down.

Both nodes are in that kernel. Braid's nodes are network namespaces joined by a veth pair with the MTU of
the loopback device, on which the others run, as DRBD 8.4 cannot leave the first namespace.
"""
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from braidlab.braid import BraidResource, Node
from braidlab.cluster import NamespaceCluster
from braidlab.disks import Disk
from braidlab.drbd import SETUP
from braidlab.uml import Uml

MTU = 65535
PORTS = itertools.count(7001)


class Rig:
    """A machine with RAM disks to give away. Their first mib are there, so no page is allocated later."""

    def __init__(self, machine: Uml, disks: int, disk_mib: int, warm_mib: int):
        self.machine, self.disk_mib, self.warm_mib = machine, disk_mib, warm_mib
        machine.load("brd", f"rd_nr={disks}", f"rd_size={disk_mib << 10}")
        self._numbers = itertools.count()
        self._minors = itertools.count()

    def disk(self) -> str:
        path = f"/dev/ram{next(self._numbers)}"
        self.machine.run(f"dd if=/dev/zero of={path} bs=1M count={self.warm_mib} oflag=direct 2>/dev/null")
        return path

    def minor(self) -> int:
        return next(self._minors)


@dataclass(frozen=True)
class Contestant:
    """One that is measured. start() is a context manager that gives its device, up and in sync."""

    name: str

    def start(self, rig: Rig):
        raise NotImplementedError


class Raw(Contestant):
    """The RAM disk itself."""

    @contextmanager
    def start(self, rig: Rig) -> Iterator[str]:
        yield rig.disk()


class BareDisk(Disk):
    """A RAM disk with nothing in between."""

    def __init__(self, path: str, size: int):
        self.path, self.size = path, size

    def power(self, on: bool) -> None:
        pass

    def fail(self, first: int = 0, count: int = 0) -> None:
        raise NotImplementedError("a bare disk does not fail")

    def slow(self, delay_ms: int) -> None:
        raise NotImplementedError("a bare disk is not slow")

    def heal(self) -> None:
        pass

    def remove(self) -> None:
        pass


class BareResource(BraidResource):
    """A resource whose replicas are bare RAM disks."""

    def __init__(self, rig: Rig, cluster: NamespaceCluster, **options: object):
        self.rig = rig
        super().__init__(cluster, size=rig.disk_mib << 20, rng=Random(1), **options)

    def _give_disks(self, node: Node) -> None:
        machine = node.host.machine
        if getattr(machine, "braid_minors", None) is None:
            machine.braid_minors = itertools.count()
        node.minors.append(next(machine.braid_minors))
        node.disks.append(BareDisk(self.rig.disk(), self.size))
        node.meta_disks.append(None)

    def lose(self) -> None:
        """The last replica."""
        lost = self.nodes[-1]
        for node in self.nodes[:-1]:
            self.disconnect(node, lost)
        self.drop(lost)

    def rejoin(self) -> None:
        """It is back, and its resync has begun."""
        for node in self.nodes[:-1]:
            self.connect(node, self.nodes[-1])
        self.start_sync(self.nodes[-1])

    def unbound(self) -> None:
        """There is no upper bound."""

    def syncing(self) -> bool:
        return self.nodes[0].replicas(self.nodes[-1])[0]["sync-state"] != "done"

    def wait_synced(self) -> None:
        self.finish_sync(self.nodes[-1])


@dataclass(frozen=True)
class Braid(Contestant):
    """Two or more replicas, or one with no peers."""

    module: Path  # the folder of braid.ko
    nodes: int = 2
    checksums: bool = False
    tls: bool = False
    missing: bool = False  # the last replica is gone
    delay_ms: float = 0

    @contextmanager
    def start(self, rig: Rig) -> Iterator[str]:
        with self.resource(rig) as resource:
            yield resource.nodes[0].device()

    @contextmanager
    def resource(self, rig: Rig) -> Iterator[BraidResource]:
        if "braid" not in rig.machine.loaded:
            rig.machine.load(self.module / "braid.ko")
        letters = itertools.islice(getattr(rig.machine, "host_names", None) or self._names(rig), self.nodes)
        with NamespaceCluster(rig.machine, list(letters), mtu=MTU) as cluster:
            resource = BareResource(rig, cluster, streams=2, checksums=self.checksums, tls=self.tls)
            resource.up()
            resource.begin(resource.nodes[0])
            if self.missing:
                resource.lose()
            if self.delay_ms:
                for link in cluster.links:
                    link.impair(delay_ms=self.delay_ms)
            yield resource
            for link in cluster.links:
                link.heal()
            resource.down()

    @staticmethod
    def _names(rig: Rig) -> Iterator[str]:
        rig.machine.host_names = (f"n{number}" for number in itertools.count())
        return rig.machine.host_names


@dataclass(frozen=True)
class Drbd(Contestant):
    """DRBD 8.4 of the same kernel: two resources, each the other's peer; protocol C, large buffers."""

    missing: bool = False

    @contextmanager
    def start(self, rig: Rig) -> Iterator[str]:
        with self.pair(rig) as pair:
            if self.missing:
                pair.lose()
            yield pair.device

    @contextmanager
    def pair(self, rig: Rig) -> Iterator["DrbdPair"]:
        if "drbd" not in rig.machine.loaded:
            rig.machine.load("drbd", "usermode_helper=disabled", "minor_count=32")
            rig.machine.run("mkdir -p /var/lib/drbd")
        pair = DrbdPair(rig)
        yield pair
        rig.machine.run("; ".join(f"{SETUP} down d{minor}" for minor in pair.minors))


class DrbdPair:
    """A DRBD resource and its peer. What can be lost and come back: for resyncs."""

    OPTIONS = "--protocol=C --max-buffers=36k --sndbuf-size=4M --rcvbuf-size=4M"

    def __init__(self, rig: Rig):
        self.machine = rig.machine
        self.minors, ports = (rig.minor(), rig.minor()), (next(PORTS), next(PORTS))
        self.device = f"/dev/drbd{self.minors[0]}"
        self.paths = [f"ipv4:127.0.0.1:{here} ipv4:127.0.0.1:{there}" for here, there in (ports, ports[::-1])]
        for minor in self.minors:
            disk, name = rig.disk(), f"d{minor}"
            self.machine.run(f"drbdmeta --force {minor} v08 {disk} internal create-md")
            self.machine.run(f"{SETUP} new-resource {name}; {SETUP} new-minor {name} {minor} 0;"
                             f"{SETUP} attach {minor} {disk} {disk} internal")
        self.connect()
        self._wait("cs:Connected")
        self.machine.run(f"{SETUP} new-current-uuid --clear-bitmap {self.minors[0]};"
                         f"{SETUP} primary {self.minors[0]}")
        self.wait_synced()

    def connect(self) -> None:
        for minor, path in zip(self.minors, self.paths):
            self.machine.run(f"{SETUP} connect d{minor} {path} {self.OPTIONS}")

    def lose(self) -> None:
        for path in reversed(self.paths):  # refused for a moment after a resync
            self.machine.wait_for(lambda path=path: self.machine.run(
                f"{SETUP} disconnect {path}", check=False).rc == 0, 20, f"DRBD to disconnect {path}")
        self._wait("cs:StandAlone")

    def rejoin(self) -> None:
        """The resync begins by itself."""
        self.connect()
        self._wait("cs:SyncSource", "ds:UpToDate/UpToDate")

    def unbound(self) -> None:
        self.machine.run("; ".join(f"{SETUP} disk-options --c-max-rate=4G --c-fill-target=10M {minor}"
                                   for minor in self.minors))

    def syncing(self) -> bool:
        return "ds:UpToDate/UpToDate" not in self._line()

    def wait_synced(self) -> None:
        self._wait("ds:UpToDate/UpToDate", timeout=120)

    def _line(self) -> str:
        return next(line for line in self.machine.read("/proc/drbd").splitlines()
                    if line.strip().startswith(f"{self.minors[0]}:"))

    def _wait(self, *texts: str, timeout: float = 20) -> None:
        self.machine.wait_for(lambda: any(text in self._line() for text in texts), timeout,
                              f"DRBD minor {self.minors[0]} to be {' or '.join(texts)}")


@dataclass(frozen=True)
class Nvme(Contestant):
    """A RAM disk over NVMe/TCP and loopback, without a local copy."""

    @contextmanager
    def start(self, rig: Rig) -> Iterator[str]:
        machine, target = rig.machine, "/sys/kernel/config/nvmet"
        for module in ("nvmet", "nvmet-tcp", "nvme-tcp"):
            if module.replace("-", "_") not in machine.loaded:
                machine.load(module)
        port = next(PORTS)
        name, settings = f"nqn.2024-01.bench:{port}", f"{target}/ports/{port}"
        machine.run(f"mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config;"
                    f"cd {target}/subsystems; mkdir {name}; cd {name}; echo 1 >attr_allow_any_host;"
                    f"mkdir namespaces/1; cd namespaces/1; echo -n {rig.disk()} >device_path; echo 1 >enable;"
                    f"mkdir {settings}; cd {settings}; echo ipv4 >addr_adrfam; echo tcp >addr_trtype;"
                    f"echo 127.0.0.1 >addr_traddr; echo {port} >addr_trsvcid;"
                    f"ln -s {target}/subsystems/{name} subsystems/{name}")
        answer = machine.run(
            "exec 3<>/dev/nvme-fabrics; echo -n "
            f"transport=tcp,traddr=127.0.0.1,trsvcid={port},nqn={name},hostnqn=nqn.2024-01.bench:host,"
            "hostid=6b1f9f0e-6d4f-4f0e-9d9b-0d2f6c1c7a55,queue_size=1024,keep_alive_tmo=60 >&3; cat <&3").out
        controller = answer.split(",")[0].removeprefix("instance=").strip()
        device = f"/dev/nvme{controller}n1"
        machine.wait_for(lambda: machine.run(["test", "-b", device], check=False).rc == 0, 20,
                         f"{device} to appear")
        yield device
        machine.run(f"echo 1 >/sys/class/nvme/nvme{controller}/delete_controller;"
                    f"rm {settings}/subsystems/{name};"
                    f"rmdir {settings}; cd {target}/subsystems; echo 0 >{name}/namespaces/1/enable;"
                    f"rmdir {name}/namespaces/1 {name}")


@dataclass(frozen=True)
class Md(Contestant):
    """md raid1 of a RAM disk and others over NVMe/TCP, with a write-intent bitmap."""

    nodes: int = 2
    missing: bool = False

    @contextmanager
    def start(self, rig: Rig) -> Iterator[str]:
        machine = rig.machine
        for module in ("md-mod", "raid1"):
            if module.replace("-", "_") not in machine.loaded:
                machine.load(module)
        with ExitStack() as stack:
            far = [stack.enter_context(Nvme("leg").start(rig)) for _ in range(self.nodes - 1)]
            number = rig.minor()
            device = f"/dev/md{number}"
            machine.run(f"export MDADM_NO_UDEV=1; mdadm --create {device} --run --level=1 "
                        f"--raid-devices={self.nodes} --assume-clean --bitmap=internal --homehost=bench "
                        f"--name={number} {rig.disk()} " + " ".join(far), timeout=60)
            if self.missing:
                machine.run(f"mdadm {device} --fail {far[-1]}; mdadm {device} --remove {far[-1]}")
            yield device
            machine.run(f"mdadm --stop {device}")
