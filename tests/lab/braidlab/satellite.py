# SPDX-License-Identifier: GPL-2.0-or-later
"""A resource as users have it: the node daemon on each host, braidadm, and nobody who helps.

    with managed(lab, ["a", "b", "c"], witnesses=["c"]) as resource:     # up, a is Primary
        a, b, c = resource.nodes
        resource.write(a, count=100)
        a.host.power_cut()
        resource.take_over(b)
        resource.check_data(b)                     # P1
        resource.power_on(a)
        resource.wait_in_sync(a, b)
        resource.compare([a, b])                   # P3

What a host keeps on its own file system (/etc/braid, a witness's vote) is in the folder that survives
power cuts.
"""
import itertools
import json
from collections.abc import Iterable
from contextlib import contextmanager

from . import modules
from .braid import BraidResource, Node
from .disks import Disk
from .errors import LabError
from .machine import Process, Result


class ManagedResource(BraidResource):
    """witnesses names hosts that only vote; options are statements of the configuration's sections."""

    def __init__(self, cluster, *args, witnesses: Iterable[str] = (), options: str = "", net: str = "",
                 handlers: str = "", **more):
        self.witnesses = set(witnesses)
        super().__init__(cluster, *args, diskless={*more.pop("diskless", ()), *self.witnesses}, **more)
        self.sections = {"options": f"lease {self.lease_ms}ms; {options}",
                         "net": f"timeout {self.timeout_ms}ms; streams {self.streams}; {net}",
                         "handlers": handlers}
        self.daemons: dict[Node, Process] = {}
        self._starts = itertools.count()
        self._paths: dict[Disk, str] = {}

    def is_witness(self, node: Node) -> bool:
        return node.host.name in self.witnesses

    # Files

    def configuration(self) -> str:
        parts = [f"\t{name} {{ {text} }}\n" for name, text in self.sections.items()]
        for node in self.nodes:
            word = "witness" if self.is_witness(node) else "on"
            parts.append(f"\t{word} {node.host.name} {{\n\t\tnode-id {node.id};\n"
                         f"\t\taddress {node.host.address};\n")
            if not self.is_witness(node):
                for volume, minor in enumerate(node.minors):
                    disk = self.replica(node, volume) if node.diskful else "disk none"
                    meta = node.meta_disks[volume] if node.diskful else None
                    parts.append(f"\t\tvolume {volume} {{\n\t\t\tdevice /dev/braid{minor};\n"
                                 f"\t\t\t{disk};\n"
                                 + (f"\t\t\tmeta-disk {self._path(meta)};\n" if meta else "") + "\t\t}\n")
            parts.append("\t}\n")
        return f"resource {self.name} {{\n{''.join(parts)}}}\n"

    def replica(self, node: Node, volume: int) -> str:
        """What the configuration says of where a replica is."""
        return f"disk {self._path(node.disks[volume])}"

    def _path(self, disk: Disk) -> str:
        """It has none while its host is off; it is given the same one each time."""
        if disk.path:
            self._paths[disk] = disk.path
        return self._paths[disk]

    def folder(self, node: Node) -> str:
        """Where a host keeps what must survive, as its programs see it."""
        return f"/lab/{node.host.name}.files"

    def write_configuration(self, node: Node) -> None:
        node.host.run("cat > /etc/braid.conf", stdin=self.configuration())

    def mount(self, node: Node, new: bool = False) -> None:
        """Makes that folder be there, on a host that was just started."""

    def prepare(self, node: Node) -> None:
        """What is there before an administrator types anything."""
        self.mount(node, new=True)
        self.write_configuration(node)
        node.host.run(f"mkdir -p {self.folder(node)}/pki {self.folder(node)}/state /etc/braid && "
                      f"ln -sfn {self.folder(node)}/pki /etc/braid/pki")

    def certify(self) -> None:
        """A cluster's certificates, as an administrator makes them."""
        first, *others = self.nodes
        self.adm(first, "cert", "init")
        for node in others:
            bundle = self.adm(first, "cert", "issue", node.host.name, "--output", "-").out
            self.adm(node, "cert", "install", "-", stdin=bundle)

    # Programs

    def adm(self, node: Node, *arguments: str, check: bool = True, timeout: float = 60,
            stdin: str | None = None) -> Result:
        """braidadm on a host."""
        return node.host.run([node.host.machine.inside(modules.braidadm()), *arguments], check=check,
                             timeout=timeout, stdin=stdin)

    def start_daemon(self, node: Node) -> None:
        log = f"/lab/{node.host.name}-satellite-{next(self._starts)}.log"
        daemon = node.host.machine.inside(modules.satellite())
        self.daemons[node] = node.host.start(
            f"mkdir -p /run/braid && exec {daemon} --state {self.folder(node)}/state 2>{log}")
        node.wait(lambda: self.adm(node, "explain", check=False).rc == 0, "the daemon to answer")

    def kill_daemon(self, node: Node) -> None:
        """As kill -9 does."""
        node.host.run("pkill -KILL -x braid-satellite")
        self.daemons.pop(node).wait(10, check=False)

    def stop_daemon(self, node: Node) -> None:
        """As systemd does; it must end well."""
        process = self.daemons.pop(node)
        node.host.run("pkill -TERM -x braid-satellite")
        process.wait(10)

    def show(self, node: Node) -> dict:
        """What a daemon says of the resource."""
        answer = json.loads(self.adm(node, "explain", self.name, "--json").out)
        return answer["resources"][0]

    # Up and down

    def up(self) -> None:
        for node in self.nodes:
            self.prepare(node)
        self.certify()
        for node in self.nodes:
            self.start_daemon(node)
            if not self.is_witness(node):
                if node.diskful:
                    self.create_md(node)
                self.bring_up(node)
        self.wait_daemons()

    def bring_up(self, node: Node) -> None:
        if "braid" not in node.host.machine.loaded:
            self.load(node.host.machine)
        node.log_events()
        self.adm(node, "up", self.name)

    def wait_daemons(self) -> None:
        """Until all daemons that run have met and have members of the resource."""
        for node in self.daemons:
            node.wait(lambda node=node: self.show(node)["ready"], "a member of the resource")

    def begin(self, writer: Node) -> None:
        self.adm(writer, "init", self.name)
        self.adm(writer, "primary", self.name)
        self.wait_in_sync(*(node for node in self.nodes if node.diskful))
        writer.wait(lambda: all(it["votes"] for it in self.show(writer)["members"] if it["role"] != "diskless"),
                    "all to vote")

    def power_on(self, node: Node) -> None:
        node.control.forget()
        node.io.forget()
        self.daemons.pop(node, None)
        node.host.power_on()
        self.mount(node)
        node.host.run(f"mkdir -p /etc/braid && ln -sfn {self.folder(node)}/pki /etc/braid/pki")
        self.write_configuration(node)
        self.start_daemon(node)
        if not self.is_witness(node):
            self.bring_up(node)

    def wait_idle(self) -> None:
        for node in self.running:
            if not self.is_witness(node):
                node.wait(lambda node=node: not any(it["in-flight"] for it in node.dump("volume-get")),
                          "no write to be under way")

    def down(self) -> None:
        for node in self.running:
            if node not in self.daemons:
                self.start_daemon(node)
        for node in self.running:
            if not self.is_witness(node):
                self.adm(node, "secondary", self.name)
        for node in self.running:
            if not self.is_witness(node):
                self.adm(node, "down", self.name)
        for node in self.running:
            if not self.is_witness(node):
                assert node.is_gone()
            self.stop_daemon(node)

    def take_over(self, node: Node, timeout: float = 60) -> None:
        """Asks for the part of the Primary until it is given: the others have to be seen gone first."""
        node.wait(lambda: self.adm(node, "primary", self.name, check=False).rc == 0, "it to be Primary", timeout)

    # Waiting

    def members_in_sync(self, node: Node) -> set[str]:
        return {it["name"] for it in self.show(node).get("members", []) if it["in-sync"]}

    def wait_in_sync(self, *nodes: Node, timeout: float = 60) -> None:
        """Until all of these are in sync, as each of them sees it, and its kernel has adopted that."""
        names = {node.host.name for node in nodes}
        for node in nodes:
            node.wait(lambda node=node: names <= self.members_in_sync(node), f"{names} to be in sync", timeout)
            numbers = {it.id for it in nodes}
            node.wait(lambda node=node: numbers <= self._adopted_in_sync(node), "that to be adopted")

    def wait_dropped(self, node: Node, *nodes: Node) -> None:
        """Until these are not in sync any more, as a node sees it."""
        names = {it.host.name for it in nodes}
        node.wait(lambda: not names & self.members_in_sync(node), f"{names} to be dropped")

    def _adopted_in_sync(self, node: Node) -> set[int]:
        config = node.state().get("config", {})
        return {it["node-id"] for it in config.get("node", []) if it.get("in-sync")}

    def describe(self) -> str:
        lines = [super().describe()]
        for node in self.running:
            try:
                lines.append(f"{node}: {self.adm(node, 'explain', check=False, timeout=10).out}")
            except LabError as error:
                lines.append(f"{node}: {error}")
        shares = {node.host.machine.share for node in self.nodes}
        for file in sorted(it for share in shares for it in share.glob("*-satellite-*.log")):
            lines.append(f"{file.name}:\n{file.read_text()[-3000:]}")
        return "\n".join(lines)


class VmResource(ManagedResource):
    """On hosts of which each has its own kernel, and a disk for its own files."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.files = {node: node.host.give_disk(32 << 20) for node in self.nodes}

    def folder(self, node: Node) -> str:
        return "/srv"

    def mount(self, node: Node, new: bool = False) -> None:
        disk = self.files[node].path
        node.host.run((f"mkfs.ext4 -q {disk}; " if new else "") + f"mount {disk} {self.folder(node)}")


@contextmanager
def managed(lab, names: Iterable[str], *, debug: bool = False, networks: int = 1, load: bool = True,
            kind: type[ManagedResource] = ManagedResource, **options):
    """A resource on namespaces of one User-Mode Linux, its first host Primary; at the end all goes.

    Without load the module is loaded only when the first daemon runs; without setup nothing is done.
    """
    machine = lab.uml(debug=debug)
    if load:
        lab.load_braid(machine)
    with lab.namespaces(machine, list(names), networks=networks) as cluster, \
            _managed(kind, lab, cluster, **options) as resource:
        yield resource


@contextmanager
def managed_vm(lab, names: Iterable[str], series: str, **options):
    """The same on emulated hosts with a kernel of Debian's each."""
    with lab.qemu(list(names), series) as cluster, \
            _managed(VmResource, lab, cluster, **options) as resource:
        yield resource


@contextmanager
def _managed(kind, lab, cluster, *, begin: bool = True, setup: bool = True, **options):
    resource = kind(cluster, rng=lab.rng("braid"), load=lab.load_braid, **options)
    try:
        if setup:
            resource.up()
        if setup and begin:
            resource.begin(resource.nodes[0])
        yield resource
    except Exception as error:
        if not any(machine.failed for machine in cluster.machines()):
            error.add_note(resource.describe())
        raise
    resource.down()
