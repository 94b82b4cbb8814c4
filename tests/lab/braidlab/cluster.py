# SPDX-License-Identifier: GPL-2.0-or-later
"""Clusters: hosts with addresses, links and disks, the same to a test whatever they are made of.

    with NamespaceCluster(machine, ["a", "b"]) as cluster: ...    hosts are namespaces of one kernel
    with QemuCluster(folder, ["a", "b"], kernel) as cluster: ...  hosts are machines of their own

Every host has one address per network (10.77.<network>.<number>) and one link to each other host, so a
link can be cut or impaired without touching another. A cut is silent by default, as when a switch dies:
the interfaces stay up and packets vanish; carrier=True is a pulled cable.
"""
import itertools
import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import kernels
from .disks import DmDisk, Disk, QemuDisk
from .errors import LabError
from .machine import GUEST, Dialogue, Machine, Process, Result
from .qemu import Qemu


class Host(ABC):
    """One node of a cluster."""

    def __init__(self, name: str, number: int, networks: int):
        self.name, self.number = name, number
        self.addresses = [f"10.77.{network}.{number}" for network in range(networks)]
        self.disks: list[Disk] = []
        self.on = False
        # Called when the power goes, for what outlives the processes of a host without its own kernel.
        self.at_power_cut: list[Callable[[], None]] = []

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    @abstractmethod
    def machine(self) -> Machine:
        """The machine whose kernel this host runs in."""

    @abstractmethod
    def _wrap(self, argv: list[str] | str) -> list[str]: ...

    @abstractmethod
    def power_on(self) -> None:
        """Starts the host, with the disks and links it had."""

    @abstractmethod
    def power_cut(self) -> None:
        """Takes the power away at once."""

    @abstractmethod
    def give_disk(self, size: int, **options: object) -> Disk:
        """A new empty disk of size bytes."""

    def run(self, argv: list[str] | str, *, check: bool = True, timeout: float = 30,
            stdin: str | None = None) -> Result:
        """Runs a command on the host and waits for it. timeout in seconds of real hardware."""
        self._must_be_on()
        return self.machine.run(self._wrap(argv), check=check, timeout=timeout, stdin=stdin)

    def start(self, argv: list[str] | str, *, stdin: str | None = None) -> Process:
        """Starts a command on the host that goes on by itself."""
        self._must_be_on()
        return self.machine.start(self._wrap(argv), stdin=stdin)

    def converse(self, argv: list[str]) -> Dialogue:
        """Starts a program on the host that answers each line with a line."""
        self._must_be_on()
        return self.machine.converse(self._wrap(argv))

    def wait_for(self, condition: Callable[[], object], timeout: float, what: str) -> object:
        return self.machine.wait_for(condition, timeout, f"{self.name}: {what}")

    def wait_output(self, argv: list[str] | str, text: str, timeout: float) -> str:
        """Runs a command until its output contains text."""
        seen = ""

        def contains() -> bool:
            nonlocal seen
            result = self.run(argv, check=False)
            seen = result.out + result.err
            return text in seen

        try:
            self.wait_for(contains, timeout, f"'{text}' in the output of {argv}")
        except LabError as error:
            error.add_note(f"last output:\n{seen}")
            raise
        return seen

    def _must_be_on(self) -> None:
        if not self.on:
            raise LabError(f"{self.name}: the host is off")


class Link:
    """The connection of two hosts on one network."""

    def __init__(self, cluster: "Cluster", a: Host, b: Host, network: int):
        self.cluster, self.a, self.b, self.network = cluster, a, b, network
        self.state: dict[str, str] = {}  # netem of each end, kept for a host that comes back
        self.carrier = True

    def interface(self, host: Host) -> str:
        """The name, on host, of the interface that leads to the other end."""
        peer = self.b if host is self.a else self.a
        return f"{peer.name}{self.network or ''}"

    def cut(self, *, carrier: bool = False, towards: Host | None = None) -> None:
        """Cuts the link, or only the packets towards one of the hosts."""
        if carrier:
            self.carrier = False
            self.cluster.set_carrier(self, False)
            return
        for host in (self.a, self.b):
            if towards is not host:
                self._netem(host, "loss 100%")

    def impair(self, *, delay_ms: float = 0, jitter_ms: float = 0, loss_percent: float = 0,
               rate_mbit: float = 0) -> None:
        """Makes the link worse, the same in both directions; delay_ms is one way."""
        words = ["limit 100000"]
        if delay_ms:
            words.append(f"delay {delay_ms}ms" + (f" {jitter_ms}ms" if jitter_ms else ""))
        if loss_percent:
            words.append(f"loss {loss_percent}%")
        if rate_mbit:
            words.append(f"rate {rate_mbit}mbit")
        for host in (self.a, self.b):
            self._netem(host, " ".join(words))

    def heal(self) -> None:
        """Back to an undisturbed link."""
        if not self.carrier:
            self.carrier = True
            self.cluster.set_carrier(self, True)
        for host in (self.a, self.b):
            self._netem(host, "")

    def restore(self, host: Host) -> None:
        """Gives a host whose interface is new its side of the link's state."""
        if netem := self.state.get(host.name):
            self._netem(host, netem)
        if not self.carrier:
            self.cluster.set_carrier(self, False)

    def _netem(self, host: Host, netem: str) -> None:
        before, self.state[host.name] = self.state.get(host.name, ""), netem
        if not self.cluster.plugged(self, host) or netem == before == "":
            return
        if host.machine.variant.own_kernel:
            interface = self.interface(host)
            host.run(f"tc qdisc replace dev {interface} root netem {netem}" if netem
                     else f"tc qdisc del dev {interface} root")
        else:
            self._misdirect(host, netem)

    def _misdirect(self, host: Host, netem: str) -> None:
        """For a kernel that may lack netem: packets to a wrong hardware address vanish on arrival."""
        if netem not in ("", "loss 100%"):
            raise LabError(f"{host.name}: in the local lane a link can be cut but not made worse")
        peer = self.b if host is self.a else self.a
        neighbour = f"{peer.addresses[self.network]} dev {self.interface(host)}"
        host.run(f"ip neigh replace {neighbour} lladdr 02:00:00:00:00:00 nud permanent" if netem
                 else f"ip neigh del {neighbour}")


class Cluster(ABC):
    """Hosts and their links. A context manager: leaving it asks every kernel for its verdict."""

    def __init__(self, names: list[str], networks: int, mtu: int):
        self.networks, self.mtu = networks, mtu
        self.hosts: list[Host] = []
        self.links: list[Link] = []
        self.names = names

    def __getitem__(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def link(self, a: str, b: str, network: int = 0) -> Link:
        return next(link for link in self.links
                    if {link.a.name, link.b.name} == {a, b} and link.network == network)

    def links_of(self, host: Host) -> list[Link]:
        return [link for link in self.links if host in (link.a, link.b)]

    @abstractmethod
    def set_carrier(self, link: Link, up: bool) -> None: ...

    @abstractmethod
    def plugged(self, link: Link, host: Host) -> bool:
        """Whether the host has its interface of the link now."""

    @abstractmethod
    def machines(self) -> list[Machine]:
        """The machines that this cluster must get a verdict from at its end."""

    def check(self) -> None:
        for machine in self.machines():
            machine.check()

    def _make_links(self) -> None:
        self.links = [Link(self, a, b, network) for network in range(self.networks)
                      for a, b in itertools.combinations(self.hosts, 2)]


def configure_interface(host: Host, link: Link) -> str:
    """Shell lines that give an interface its address and the route to the other end."""
    peer = link.b if host is link.a else link.a
    interface = link.interface(host)
    return (f"ip link set dev {interface} up mtu {link.cluster.mtu}; "
            f"ip address replace {host.addresses[link.network]}/32 dev {interface}; "
            f"ip route replace {peer.addresses[link.network]} dev {interface} "
            f"src {host.addresses[link.network]}; ")


class NamespaceHost(Host):
    """A host made of namespaces (network, mount, host name, process ids) of one kernel."""

    def __init__(self, cluster: "NamespaceCluster", name: str, number: int):
        super().__init__(name, number, cluster.networks)
        self.cluster = cluster
        self.pid = 0

    @property
    def machine(self) -> Machine:
        return self.cluster.machine

    def _wrap(self, argv: list[str] | str) -> list[str]:
        command = ["sh", "-ec", argv] if isinstance(argv, str) else [str(word) for word in argv]
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--uts", "--ipc", "--pid",
                f"--root=/proc/{self.pid}/root", f"--wd=/proc/{self.pid}/root", "--", *command]

    def power_on(self) -> None:
        script = self.machine.inside(GUEST / "host")
        self.pid = int(self.machine.run(["sh", str(script), self.name]).out)
        self.on = True
        for link in self.cluster.links_of(self):
            self.cluster.connect(link)
        for disk in self.disks:
            disk.power(True)

    def power_cut(self) -> None:
        """Disks and links first: what the dying host still sends must reach neither any more."""
        for disk in self.disks:
            disk.power(False)
        for link in self.cluster.links_of(self):
            if self.cluster.plugged(link, self):
                self.run(["ip", "link", "del", "dev", link.interface(self)])
        for take_down in self.at_power_cut:
            take_down()
        self.on = False
        self.machine.run(["kill", "-9", str(self.pid)])
        self.machine.wait_for(
            lambda: self.machine.run(["test", "-e", f"/proc/{self.pid}"], check=False).rc != 0, 10,
            f"{self.name}'s processes to end")

    def give_disk(self, size: int, **options: object) -> Disk:
        disk = DmDisk(self, f"d{len(self.disks)}", size, **options)
        self.disks.append(disk)
        return disk


class NamespaceCluster(Cluster):
    """A cluster within one machine: one kernel, one verdict, no boot per host."""

    def __init__(self, machine: Machine, names: list[str], networks: int = 1, mtu: int = 1500):
        super().__init__(names, networks, mtu)
        self.machine = machine

    def __enter__(self) -> "NamespaceCluster":
        self.hosts = [NamespaceHost(self, name, n) for n, name in enumerate(self.names, 1)]
        self._make_links()
        for host in self.hosts:
            host.power_on()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Ends the hosts; the machine's own verdict is its owner's to ask for."""
        if self.machine.failed or self.machine.channel is None:
            return
        for host in self.hosts:
            if host.on:
                host.power_cut()
            for disk in host.disks:
                disk.remove()

    def machines(self) -> list[Machine]:
        return [self.machine]

    def connect(self, link: Link) -> None:
        """Makes the pair of interfaces, once both ends are on; a namespace's end takes them along."""
        a, b = link.a, link.b
        if not (a.on and b.on):
            return
        name_a, name_b = link.interface(a), link.interface(b)
        self.machine.run(
            f"ip link add name {name_a} netns {a.pid} type veth peer name {name_b} netns {b.pid}")
        for end in (a, b):  # both are new, also that of the host that stayed up
            end.run(configure_interface(end, link))
            link.restore(end)

    def plugged(self, link: Link, host: Host) -> bool:
        return link.a.on and link.b.on

    def set_carrier(self, link: Link, up: bool) -> None:
        if not self.plugged(link, link.a):
            return
        for host in (link.a, link.b):
            host.run(f"ip link set dev {link.interface(host)} {'up' if up else 'down'}")
        for host in (link.a, link.b):
            if up:
                host.run(configure_interface(host, link))


class QemuHost(Host):
    """A host that is a QEMU machine of its own."""

    def __init__(self, cluster: "QemuCluster", name: str, number: int, machine: Qemu):
        super().__init__(name, number, cluster.networks)
        self.cluster = cluster
        self._machine = machine

    @property
    def machine(self) -> Qemu:
        return self._machine

    def _wrap(self, argv: list[str] | str) -> list[str]:
        return ["sh", "-ec", argv] if isinstance(argv, str) else [str(word) for word in argv]

    def power_on(self) -> None:
        self._machine.boot()
        self._machine.ask("entropy", hex=self.cluster.rng(f"{self.name}{self._machine.boots}"))
        self.on = True
        for disk in self.disks:
            disk.power(True)
        for link in self.cluster.links_of(self):
            self.cluster.plug(self, link)
            link.restore(self)

    def power_cut(self) -> None:
        self._machine.must_be_up()
        self._machine.kill()
        self.on = False
        for disk in self.disks:
            disk.power(False)

    def give_disk(self, size: int, **options: object) -> Disk:
        disk = QemuDisk(self, f"d{len(self.disks)}", size, **options)
        self.disks.append(disk)
        return disk


class QemuCluster(Cluster):
    """A cluster of machines, joined by datagrams over unix sockets: the host's network sees nothing.

    rng(name) gives the hex digits that seed a machine's random numbers.
    """

    def __init__(self, folder: Path, names: list[str], kernel: kernels.Kernel, *, networks: int = 1,
                 mtu: int = 1500, rng: Callable[[str], str] = lambda _name: os.urandom(32).hex(),
                 memory: int = 512, smp: int = 2, options: tuple[str, ...] = ()):
        super().__init__(names, networks, mtu)
        self.rng = rng
        for number, name in enumerate(names, 1):
            machine = Qemu(name, kernel, folder, memory=memory, smp=smp, options=options)
            self.hosts.append(QemuHost(self, name, number, machine))
        self._make_links()

    def __enter__(self) -> "QemuCluster":
        try:
            self.hosts[0].power_on()  # alone: it may have to save the state that the others start from
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda host: host.power_on(), self.hosts[1:]))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                for host in self.hosts:
                    if host.on:
                        host.machine.finish()
        finally:
            self._remove()

    def _remove(self) -> None:
        for host in self.hosts:
            host.machine.remove()

    def machines(self) -> list[Machine]:
        return [host.machine for host in self.hosts if host.on]

    def _mac(self, host: Host, link: Link) -> str:
        peer = link.b if host is link.a else link.a
        return f"52:54:00:{link.network:02x}:{host.number:02x}:{peer.number:02x}"

    def plug(self, host: QemuHost, link: Link) -> None:
        """Plugs a network card for one end of a link and gives it its name and address."""
        peer = link.b if host is link.a else link.a
        end, qmp = f"net{link.network}-{peer.name}", host.machine.qmp
        qmp.command("netdev_add", type="dgram", id=end,
                    local={"type": "unix", "path": self._socket(host, link)},
                    remote={"type": "unix", "path": self._socket(peer, link)})
        mac = self._mac(host, link)
        qmp.command("device_add", driver="virtio-net-pci", id=f"card-{end}", netdev=end, mac=mac,
                    host_mtu=9000)
        find = f"grep -lix {mac} /sys/class/net/*/address"
        path = host.wait_for(lambda: host.run(find, check=False).out.strip(), 10,
                             f"the network card to {peer.name}")
        interface = shlex.quote(str(path).split("/")[-2])
        host.run(f"ip link set dev {interface} name {link.interface(host)}; "
                 + configure_interface(host, link))

    def _socket(self, host: Host, link: Link) -> str:
        peer = link.b if host is link.a else link.a
        return f"{host.machine.sockets}/net{link.network}-{peer.number}"

    def plugged(self, link: Link, host: Host) -> bool:
        return host.on

    def set_carrier(self, link: Link, up: bool) -> None:
        for host in (link.a, link.b):
            if host.on:
                peer = link.b if host is link.a else link.a
                host.machine.qmp.command("set_link", name=f"card-net{link.network}-{peer.name}", up=up)
