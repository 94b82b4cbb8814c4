# SPDX-License-Identifier: GPL-2.0-or-later
"""A resource whose volumes are the disks of a virtual machine, on emulated hosts with libvirt.

    with machine_on(lab, ["a", "b", "c"], witnesses=["c"]) as r:   # up, a is Primary, the machine runs there
        a, b, c = r.nodes
        r.client.start()                     # it commits transactions from now on
        r.client.wait_commits(50, 60)
        r.migrate(a, b)
        r.client.stop()
        r.client.check()                     # P1
        r.client.must_have_run_once()        # P4

Who makes the machine run is an administrator with virsh and braidadm here.
"""
import json
import shlex
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import modules
from .braid import Node
from .errors import LabError
from .guestvm import Rig, domain_xml
from .lan import Client, Lan
from .machine import Process, Result
from .satellite import VmResource

# What the hosts below the machine have, in MiB: libvirt, QEMU and the machine come on top of what others need.
HOST_MEMORY = 768
# Reads a database's rows where the machine that wrote them does not run.
READ_DATABASE = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(json.dumps([db.execute("PRAGMA integrity_check").fetchone()[0], dict(db.execute("SELECT n, text FROM t"))]))
"""


class MachineResource(VmResource):
    """mode is what the machine does (tests/lab/vm/init.c)."""

    def __init__(self, cluster, lan: Lan, *args, mode: str = "database", **options):
        self.rig, self.mode = Rig(cluster, lan), mode
        super().__init__(cluster, *args, **options)
        self.client = Client(lan, self.rng)

    @property
    def machine_hosts(self) -> list[Node]:
        return [node for node in self.nodes if not self.is_witness(node)]

    # Up

    def up(self) -> None:
        first, *others = self.machine_hosts
        self.rig.prepare(first.host)  # alone: what libvirt finds out there the others are told
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: self.rig.prepare(node.host), others))
        super().up()

    def power_on(self, node: Node) -> None:
        super().power_on(node)
        if not self.is_witness(node):
            self.rig.prepare(node.host)

    def make_file_system(self, node: Node) -> None:
        """On the Primary, for a machine with a database."""
        node.host.run(f"mkfs.ext4 -q -E nodiscard -O ^metadata_csum_seed {node.device()}", timeout=60)

    # The machine

    def virsh(self, node: Node, *words: str, check: bool = True, timeout: float = 60) -> Result:
        return self.rig.virsh(node.host, *words, check=check, timeout=timeout)

    def state(self, node: Node) -> str:
        """Of the machine on a host, in virsh's words; "" where it is not known."""
        return self.rig.state(node.host, self.name)

    def runs_on(self) -> list[Node]:
        return [node for node in self.machine_hosts if node.host.on and self.state(node) == "running"]

    def start_machine(self, node: Node) -> None:
        """On the Primary; until it is heard."""
        xml = domain_xml(node.host, self.name, [node.device(volume) for volume in range(self.volumes)], self.mode)
        node.host.machine.write(f"/tmp/{self.name}.xml", xml)
        begin = time.monotonic()
        self.virsh(node, "create", f"/tmp/{self.name}.xml")
        self.heard_on(node, begin)

    def heard_on(self, node: Node, since: float, timeout: float = 60) -> None:
        try:
            self.client.wait_beat(timeout * node.host.machine.variant.speed, host=node.host.name, since=since)
        except LabError as error:
            error.add_note(self.describe())
            raise

    def kill_machine(self, node: Node) -> None:
        self.virsh(node, "destroy", self.name)

    def grant(self, source: Node, target: Node) -> Process:
        """Lets both open the disks; ends once the target has written."""
        granted = source.host.start(shlex.join([source.host.machine.inside(modules.braidadm()), "migrate", self.name,
                                                target.host.name, "--deadline", "600"]))
        for node in (source, target):
            node.wait(lambda node=node: granted.done() or node.state_of_migration() != "none", "the grant")
        return granted

    def send_machine(self, source: Node, target: Node, *options: str) -> Process:
        """libvirt's part of a migration, which goes on by itself."""
        return source.host.start(["virsh", "-q", "-c", "qemu:///system", "migrate", "--live", "--p2p", "--tls",
                                  "--migrateuri", f"tcp://{target.host.name}", *options, self.name,
                                  f"qemu+tls://{target.host.address}/system"])

    def migrate(self, source: Node, target: Node, timeout: float = 120) -> None:
        granted = self.grant(source, target)
        begin = time.monotonic()
        try:
            self.send_machine(source, target).wait(timeout)
            granted.wait(timeout)
        except LabError as error:
            error.add_note(self.describe())
            raise
        self.heard_on(target, begin)

    def read_database(self, node: Node) -> dict[int, str]:
        """The rows as they are on the disk: on the Primary, with no machine on it."""
        node.host.run(f"mkdir -p /srv/db && mount {node.device()} /srv/db")
        try:
            word, rows = json.loads(node.host.run(["/usr/bin/python3", "-c", READ_DATABASE, "/srv/db/lab.db"],
                                                  timeout=60).out)
        finally:
            node.host.run("umount /srv/db")
        assert word == "ok", f"integrity_check on {node} says: {word}"
        return {int(number): text for number, text in rows.items()}

    def numbers(self, node: Node, volume: int) -> list[int]:
        """Mode order: what each writer wrote last to a disk; on the Primary."""
        at = ("import os, struct, sys; f = os.open(sys.argv[1], os.O_RDONLY); "
              "print([struct.unpack('<Q', os.pread(f, 8, 4096 * n))[0] for n in range(4)])")
        return json.loads(node.host.run(["/usr/bin/python3", "-c", at, node.device(volume)]).out)

    def describe(self) -> str:
        lines = [super().describe(), f"heard: {self.client.lives[-5:]}, {len(self.client.commits)} transactions"]
        for node in self.machine_hosts:
            share = node.host.machine.share
            for file in (share / "libvirtd.log", share / f"{self.name}.console"):
                if file.exists():
                    lines.append(f"{node} {file.name}:\n{file.read_text(errors='replace')[-2000:]}")
            if node.host.on:
                log = node.host.run(f"cat /var/log/libvirt/qemu/{self.name}.log", check=False).out
                lines.append(f"{node} QEMU of {self.name}:\n{log[-2000:]}")
        return "\n".join(lines)


@contextmanager
def machine_on(lab, names: Iterable[str], *, series: str = "6.12", start: bool = True, **options):
    """A resource with its machine, which runs on the first host; at the end all goes."""
    with tempfile.TemporaryDirectory(prefix="braid-lan-") as folder:
        lan = Lan(Path(folder))
        try:
            with lab.qemu(list(names), series, memory=HOST_MEMORY) as cluster:
                r = MachineResource(cluster, lan, rng=lab.rng("braid"), load=lab.load_braid, **options)
                try:
                    r.up()
                    r.begin(r.nodes[0])
                    if r.mode == "database":
                        r.make_file_system(r.nodes[0])
                    if start:
                        r.start_machine(r.nodes[0])
                    yield r
                except Exception as error:
                    if not any(machine.failed for machine in cluster.machines()):
                        error.add_note(r.describe())
                    raise
                for node in r.runs_on():
                    r.kill_machine(node)
                r.down()
        finally:
            lan.close()
