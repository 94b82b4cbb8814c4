# SPDX-License-Identifier: GPL-2.0-or-later
"""Mirrored resources, with the test in the part of all the daemons: it holds the register, decides, and
tells each node's kernel through a program there (guest/braidctl.py).

    with mirror(lab, ["a", "b"]) as resource:      # up, a writes
        a, b = resource.nodes
        resource.write(a, count=100)
        a.host.power_cut()
        resource.fail_over(b, lost=[a])
        resource.check_data(b)                     # P1
        resource.power_on(a)
        resource.sync(a)
        resource.compare()                         # P3

A configuration is what the register holds; a node out of reach (away) isn't told of it. What is sent
and in which order is left to the caller where the order is what is tested.
"""
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import kernels, modules
from .cluster import Cluster, Host
from .disks import Disk
from .errors import LabError
from .machine import GUEST, Dialogue, Machine, Process
from .oracle import History, differing_blocks, read_blocks, stamp

SPEC = kernels.TOP / "kernel/spec/braid.yaml"
# Types of messages by name.
MESSAGES = {name: number for number, name in enumerate(re.findall(
    r"^\tBRAID_MSG_(\w+)", (kernels.TOP / "kernel/core/messages.h").read_text(), re.MULTILINE), 1)}
NO_WRITER = 255
FAULTS = "/sys/kernel/debug/braid/fault/"
REGION = 4 << 20
META_BYTES = 4 << 20  # more than metadata for the disks of these tests


class Refused(LabError):
    """The module refused an operation. error is its errno's name."""

    def __init__(self, node: str, what: str, answer: dict):
        self.error, self.message = answer["error"], answer.get("message") or ""
        self.attribute, self.missing = answer.get("attribute"), answer.get("missing")
        super().__init__(f"{node}: {what}: {self.error}: {self.message}")


class Program:
    """One of the guest's programs that speak JSON, started on a host when it is first needed."""

    def __init__(self, host: Host, name: str, *arguments: str):
        self.host, self.name, self.arguments = host, name, arguments
        self.dialogue: Dialogue | None = None

    def ask(self, question: object, timeout: float = 30) -> object:
        return json.loads(self.started().say(json.dumps(question), timeout))

    def started(self) -> Dialogue:
        if self.dialogue is None:
            self.dialogue = self.host.converse(
                ["/usr/bin/python3", self.host.machine.inside(GUEST / self.name), *self.arguments])
        return self.dialogue

    def kill(self) -> None:
        if self.dialogue is not None:
            self.dialogue.kill()
            self.forget()

    def forget(self) -> None:
        """After a power cut, which ended it."""
        self.dialogue = None


class Node:
    """A host as a member of a resource."""

    def __init__(self, resource: "BraidResource", host: Host, number: int, diskful: bool):
        self.resource, self.host, self.id, self.diskful = resource, host, number, diskful
        self.disks: list[Disk] = []
        self.meta_disks: list[Disk | None] = []
        self.minors: list[int] = []
        self.control = Program(host, "braidctl.py", host.machine.inside(SPEC))
        self.io = Program(host, "blkio.py")
        host.at_power_cut.append(self._vanish)

    def __repr__(self) -> str:
        return self.host.name

    # Control

    def tell(self, *commands: dict, timeout: float = 30) -> list[dict]:
        """Commands of braidctl.py in one go. Refused when one of them is."""
        answers = self.control.ask(commands, timeout)
        for command, answer in zip(commands, answers, strict=True):
            if "error" in answer:
                raise Refused(self.host.name, json.dumps(command), answer)
        return answers

    def do(self, operation: str, **values: object) -> dict:
        """One operation on this resource; attribute names with underscores for dashes."""
        return self.tell({"do": operation, "with": self.resource.named(values)})[0]

    def refusal(self, operation: str, **values: object) -> Refused:
        """The refusal of an operation that must be refused."""
        try:
            answer = self.do(operation, **values)
        except Refused as refused:
            return refused
        raise AssertionError(f"{self}: {operation} {values} was accepted: {answer}")

    def dump(self, operation: str) -> list[dict]:
        return self.tell({"dump": operation, "with": {"name": self.resource.name}})[0]["list"]

    def log_events(self) -> None:
        self.tell({"events": f"/lab/{self._event_log}"})

    def events(self) -> list[dict]:
        """What was announced since log_events(), up to now."""
        with suppress(Refused):  # it was taken down: no more will come
            now = self.state()["sequence"]
            self.host.wait_for(lambda: self._has_logged(now), 20, f"event {now} to be logged")
        return self.logged()

    def logged(self) -> list[dict]:
        """What of it was written to the log until now: by a thread that may be late."""
        path = self.host.machine.share / self._event_log
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _has_logged(self, sequence: int) -> bool:
        ours = [it for it in self.logged() if it.get("name") == self.resource.name or "lost" in it]
        return not ours or "lost" in ours[-1] or ours[-1]["sequence"] >= sequence

    @property
    def _event_log(self) -> str:
        return f"{self.resource.name}-{self.host.name}.events"

    def fault(self, point: str, count: int = 1, what: int = 0, *, every: int = 1, after: int = 0) -> None:
        """What of this node's module fails from now on: kernel/fault.h."""
        self.host.machine.write(FAULTS + point, f"{self.id} {count} {what} {every} {after}")

    def faults_left(self, point: str) -> int:
        """How often it would still fail."""
        return int(self.host.machine.read(FAULTS + point).split()[0])

    # State

    def state(self) -> dict:
        return self.do("resource-get")

    def state_of_migration(self) -> str:
        return self.state().get("migration", "none")

    def volume(self, volume: int = 0) -> dict:
        return next(it for it in self.dump("volume-get") if it["volume"] == volume)

    def peer(self, peer: "Node") -> dict:
        """The connection to a peer."""
        return next(it for it in self.dump("peer-get")
                    if it["node-id"] == peer.id and "volume" not in it)

    def replicas(self, peer: "Node") -> list[dict]:
        """A peer's replicas as this node sees them, by volume."""
        return sorted((it for it in self.dump("peer-get") if it["node-id"] == peer.id and "volume" in it),
                      key=lambda it: it["volume"])

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 20) -> object:
        """Waits for a condition; tells the node's state when it does not come."""
        try:
            return self.host.wait_for(condition, timeout, what)
        except LabError as error:
            error.add_note(self.resource.describe())
            raise

    def wait_service(self, *services: str, timeout: float = 20) -> None:
        self.wait(lambda: self.state()["service"] in services, f"service {' or '.join(services)}", timeout)

    def wait_link(self, peer: "Node", state: str, timeout: float = 20) -> None:
        self.wait(lambda: self.peer(peer)["link-state"] == state, f"link to {peer} {state}", timeout)

    def wait_disk(self, state: str, volume: int = 0, timeout: float = 20) -> None:
        self.wait(lambda: self.volume(volume)["disk-state"] == state, f"disk {state}", timeout)

    def wait_sync(self, peer: "Node", *states: str, timeout: float = 60) -> None:
        """Until the resync of a peer's replicas is in one of some states, for all volumes."""
        self.wait(lambda: all(it["sync-state"] in states for it in self.replicas(peer)),
                  f"resync of {peer} {' or '.join(states)}", timeout)

    # Data

    def device(self, volume: int = 0) -> str:
        return f"/dev/braid{self.minors[volume]}"

    def request(self, timeout: float = 30, **command: object) -> dict:
        """A command of blkio.py, and its answer, refused or not."""
        return self.io.ask(command, timeout)

    def send_request(self, **command: object) -> Callable[..., dict]:
        """A command of blkio.py whose answer may take long: a function that takes it, with done()."""
        dialogue = self.io.started()
        answer = dialogue.send(json.dumps(command))

        def hear(timeout: float = 30) -> dict:
            return json.loads(dialogue.hear(answer, timeout))

        hear.done = answer.done
        return hear

    def open(self, volume: int = 0, *, write: bool = True, cached: bool = False) -> int | str:
        """Opens the device: a descriptor of blkio.py's, or the name of an error."""
        answer = self.request(open=self.device(volume), write=write, cached=cached)
        return answer.get("fd", answer.get("error"))

    def close(self, fd: int) -> None:
        assert self.request(close=fd) == {}

    # Inside

    def _vanish(self) -> None:
        """A namespace's processes die with its power; its resource lives in the kernel until told.

        The device stays as long as one of them has it open, so they go first.
        """
        self.host.run("kill -s KILL -- -1", check=False)
        self.control.forget()
        self.io.forget()
        try:
            self.do("resource-del", force=True)
            self.host.wait_for(self.is_gone, 20, "the resource to go")
        except Refused:
            pass  # it was down, or the module isn't loaded
        self.control.kill()
        self.io.forget()

    def is_gone(self) -> bool:
        try:
            self.state()
        except Refused as refused:
            return refused.error == "ENOENT"
        return False


@dataclass
class Configuration:
    """The register's value, as far as kernels enforce it."""

    lineage: str
    epoch: int
    id: int
    writer: int
    in_sync: dict[int, int] = field(default_factory=dict)  # node id: instance

    def attributes(self, nodes: Iterable[Node]) -> dict:
        return {"lineage": self.lineage, "epoch": self.epoch, "id": self.id, "writer": self.writer,
                "node": [{"node-id": node.id, "diskful": node.diskful, "in-sync": node.id in self.in_sync,
                          "instance": self.in_sync.get(node.id)} for node in nodes]}


class BraidResource:
    """A resource on all hosts of a cluster, node ids from 0 in their order.

    diskless names hosts without a replica. size is what each disk has for data and internal metadata.
    disk has the options of give_disk(). Times in ms are stretched on slow machines.
    """

    def __init__(self, cluster: Cluster, name: str = "r0", *, diskless: Iterable[str] = (),
                 volumes: int = 1, size: int = 16 << 20, block_size: int = 512, meta: str = "internal",
                 streams: int = 2, checksums: bool = True, lease_ms: int = 500, timeout_ms: int = 2000,
                 request_ms: int = 30000, tls: bool = False, policy: str = "suspend",
                 meta_bytes: int = META_BYTES, max_peers: int = 7, rng=None,
                 load: Callable[[Machine], object] = lambda _: None,
                 disk: dict | None = None):
        self.cluster, self.name, self.volumes, self.size = cluster, name, volumes, size
        self.block_size, self.meta, self.streams = block_size, meta, streams
        self.checksums, self.rng, self.load = checksums, rng, load
        self.slow = min(cluster.hosts[0].machine.variant.speed, 3)
        self.lease_ms, self.timeout_ms = int(lease_ms * self.slow), int(timeout_ms * self.slow)
        self.request_ms, self.tls = int(request_ms * self.slow), tls
        self.policy, self.disk, self.meta_bytes, self.max_peers = policy, disk or {}, meta_bytes, max_peers
        self.nodes = [Node(self, host, number, host.name not in diskless)
                      for number, host in enumerate(cluster.hosts)]
        self.away: set[Node] = set()
        self.config: Configuration | None = None
        self._writers = itertools.count()
        for node in self.nodes:
            self._give_disks(node)

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.host.name == name)

    def named(self, values: dict) -> dict:
        """Attributes from Python's keywords, with this resource's name."""
        return {"name": self.name, **{key.replace("_", "-"): value for key, value in values.items()}}

    @property
    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.host.on]

    @property
    def reached(self) -> list[Node]:
        """The nodes that would be told of a new configuration."""
        return [node for node in self.running if node not in self.away]

    @property
    def writer(self) -> Node | None:
        return next((node for node in self.nodes if self.config and node.id == self.config.writer), None)

    @property
    def in_sync(self) -> list[Node]:
        return [node for node in self.nodes if self.config and node.id in self.config.in_sync]

    # Up and down

    def up(self) -> None:
        """Makes metadata and brings up all nodes, connected to one another."""
        for node in self.nodes:
            self.create_md(node)
        for node in self.nodes:
            self.bring_up(node)
        for a, b in itertools.combinations(self.nodes, 2):
            self.connect(a, b)

    def begin(self, writer: Node) -> None:
        """The first configuration: all replicas, still blank and so equal, are in sync."""
        self.configure(writer=writer, in_sync=[node for node in self.nodes if node.diskful],
                       new_lineage=True)
        self.serve(writer)

    def create_md(self, node: Node) -> None:
        for volume, (disk, meta) in enumerate(zip(node.disks, node.meta_disks)):
            node.host.run([node.host.machine.inside(modules.braidadm()), "create-md", "--device", disk.path,
                           *(["--meta-device", meta.path] if meta else []), "--node", str(node.id),
                           "--volume", str(volume), "--block-size", str(self.block_size),
                           "--max-peers", str(self.max_peers)])

    def bring_up(self, node: Node) -> None:
        """Makes the resource on a node and attaches its disks; connects nothing."""
        if "braid" not in node.host.machine.loaded:
            self.load(node.host.machine)
        node.log_events()
        node.do("resource-new", node_id=node.id, lease_ms=self.lease_ms, timeout_ms=self.timeout_ms,
                request_timeout_ms=self.request_ms, policy=self.policy)
        for peer in self.nodes:
            if peer is not node:
                node.do("peer-new", node_id=peer.id)
        for volume in range(self.volumes):
            node.do("volume-new", volume=volume, minor=node.minors[volume])
        self.attach(node)

    def attach(self, node: Node) -> None:
        if not node.diskful:
            return
        for volume, (disk, meta) in enumerate(zip(node.disks, node.meta_disks)):
            node.do("volume-attach", volume=volume, disk=disk.path, meta_disk=meta.path if meta else None)
        for volume in range(self.volumes):
            node.wait_disk("attached", volume)

    def down(self) -> None:
        """Takes the resource down in good order: nothing may need force."""
        if self.writer in self.running and self.writer.state()["service"] != "secondary":
            self.demote(self.writer)
        for node in self.running:
            node.do("resource-del")
        for node in self.running:
            node.wait(node.is_gone, "the resource to go")

    def power_on(self, node: Node) -> None:
        """Starts a host again, its resource, and its connections to those that are reached."""
        node.control.forget()
        node.io.forget()
        node.host.power_on()
        self.bring_up(node)
        self.away.discard(node)
        for peer in self.reached:
            if peer is not node:
                self.connect(node, peer)

    # Links

    def connect(self, a: Node, b: Node, *, wait: bool = True, checksums: bool | None = None,
                **options: object) -> None:
        """A new connection between two nodes, of several streams."""
        session = self.rng.randrange(1, 1 << 64)
        self.add_streams(a, b, session, self.streams, checksums=checksums, **options)
        if wait:
            for node, peer in ((a, b), (b, a)):
                node.wait(lambda node=node, peer=peer: self._is_connected(node.peer(peer), session),
                          f"{self.streams} streams to {peer}")

    def add_streams(self, a: Node, b: Node, session: int, count: int, *, checksums: bool | None = None,
                    tls: bool | None = None, keep: bool = False, key_limit: int | None = None) -> list[int]:
        """Streams of a session. Returns a's sockets, if they are to be kept open: for braidctl.py."""
        shared = {"name": self.name, "session": session, "key-limit": key_limit,
                  "checksums": self.checksums if checksums is None else checksums}
        under = {"count": count, "tls": self.tls if tls is None else tls}
        (listening,) = b.tell({"listen": b.host.address})
        (answer,) = a.tell({"connect": b.host.address, "from": a.host.address, "port": listening["port"],
                            **under, "keep": keep, "with": {**shared, "node-id": b.id}})
        b.tell({"accept": listening["listener"], **under, "with": {**shared, "node-id": a.id}})
        return answer["kept"]

    def _is_connected(self, link: dict, session: int) -> bool:
        return (link["link-state"], link.get("session"), link.get("streams")) == (
            "connected", session, self.streams)

    def disconnect(self, a: Node, b: Node) -> None:
        for node, peer in ((a, b), (b, a)):
            node.do("peer-disconnect", node_id=peer.id)
            node.wait_link(peer, "disconnected")

    def cut(self, a: Node, b: Node) -> None:
        """Cuts the network between two nodes; both notice only by the other's silence."""
        self.cluster.link(a.host.name, b.host.name).cut()

    def heal(self, a: Node, b: Node) -> None:
        """The network is back, and the daemons connect again once both ends gave the old one up."""
        self.cluster.link(a.host.name, b.host.name).heal()
        for node, peer in ((a, b), (b, a)):
            if node.peer(peer)["link-state"] != "disconnected":
                node.do("peer-disconnect", node_id=peer.id)
                node.wait_link(peer, "disconnected")
        self.connect(a, b)

    # The register

    def configure(self, *, writer: Node | None, in_sync: Iterable[Node], to: Iterable[Node] | None = None,
                  new_lineage: bool = False, wait: bool = True, step: int = 1) -> None:
        """The register's next value: told to those that are reached, and adopted by them."""
        to = self.reached if to is None else list(to)
        before = self.config
        old = before.in_sync if before else {}
        instances = {node.id: node.state()["instance"] if node in to else old[node.id]
                     for node in in_sync}
        self.config = Configuration(
            lineage=before.lineage if before and not new_lineage else self.rng.randbytes(16).hex(),
            epoch=(before.epoch if before else 0) + step, id=self.rng.randrange(1, 1 << 64),
            writer=NO_WRITER if writer is None else writer.id, in_sync=instances)
        self.tell_config(to, new_lineage=new_lineage, wait=wait)

    def tell_config(self, to: Iterable[Node], *, new_lineage: bool = False, wait: bool = True) -> None:
        """Tells nodes of the current configuration."""
        to = list(to)
        for node in to:
            node.do("resource-configure", config=self.config.attributes(self.nodes),
                    new_lineage=new_lineage)
        for node in to if wait else []:
            self.wait_adopted(node)

    def wait_adopted(self, node: Node, timeout: float = 30) -> None:
        node.wait(lambda: self.has_adopted(node), f"epoch {self.config.epoch} adopted", timeout)

    def has_adopted(self, node: Node) -> bool:
        state = node.state()
        adopted = state.get("config", {})
        return (not state.get("adopting") and adopted.get("epoch") == self.config.epoch
                and adopted.get("id") == self.config.id)

    def serve(self, node: Node, reference: Node | None = None, *, wait: bool = True) -> None:
        """Has the writer serve, with the replicas first made equal to the reference's."""
        reference = reference or (node if node in self.in_sync else self.in_sync[0])
        node.do("resource-serve", epoch=self.config.epoch, reference=reference.id)
        if wait:
            node.wait_service("serving", timeout=60)

    def demote(self, node: Node, *, force: bool = False) -> None:
        node.do("resource-demote", force=force)
        node.wait(lambda: node.state().get("done"), "the node to have stopped")
        node.wait_service("secondary")

    def move(self, to: Node) -> None:
        """A planned change of the writer."""
        self.demote(self.writer)
        self.configure(writer=to, in_sync=self.in_sync)
        self.serve(to)

    def drop(self, *nodes: Node) -> None:
        """The writer goes on without nodes that are out of reach, or were reported unwell."""
        self.away |= set(nodes)
        self.configure(writer=self.writer, in_sync=[node for node in self.in_sync if node not in nodes])

    def fail_over(self, to: Node, lost: Iterable[Node], reference: Node | None = None) -> None:
        """Another writer, without those that are lost."""
        lost = set(lost)
        self.away |= lost
        self.configure(writer=to, in_sync=[node for node in self.in_sync if node not in lost])
        self.serve(to, reference)

    # Resync

    def sync(self, node: Node, **options: object) -> list[dict]:
        """Brings a connected node's replicas up to date and takes it into in_sync.

        options are those of sync-start. Returns what was known of each volume when all was done.
        """
        self.start_sync(node, **options)
        return self.finish_sync(node)

    def start_sync(self, node: Node, **options: object) -> None:
        self.away.discard(node)
        if not self.has_adopted(node):
            self.tell_config([node])
        if node is not self.writer:
            self.writer.wait(lambda: self.writer.peer(node).get("epoch") == self.config.epoch,
                             f"{node} to announce epoch {self.config.epoch}")
        self.writer.do("sync-start", node_id=node.id, **options)

    def finish_sync(self, node: Node) -> list[dict]:
        writer = self.writer
        writer.wait_sync(node, "done")
        found = writer.replicas(node)
        writer.do("sync-join", node_id=node.id)
        self.configure(writer=writer, in_sync=sorted({*self.in_sync, node}, key=lambda it: it.id))
        writer.wait_service("serving")
        return found

    # Data

    def log(self, volume: int = 0) -> str:
        return f"{self.name}-{volume}.history"

    def writer_job(self, node: Node, *, volume: int = 0, blocks: int = 512, count: int = 0,
                   flush_every: int = 10, skip: int = 0) -> "WriterJob":
        """Starts a writer of stamped blocks; all writers of a volume share one history.

        skip leaves sequence numbers to another writer that is to stop before this one begins.
        """
        return WriterJob(self, node, volume, blocks, count, flush_every, skip)

    def write(self, node: Node, *, timeout: float = 60, **options: object) -> None:
        """Writes count stamped blocks."""
        job = self.writer_job(node, **options)
        job.process.wait(timeout)

    def history(self, volume: int = 0) -> History:
        """What writers were told, on any node."""
        history = History()
        for path in self._logs(volume):
            part = History.read(path)
            for block, sequences in part.issued.items():
                history.issued[block] = sorted(history.issued[block] + sequences)
            history.acknowledged |= part.acknowledged
            history.flushed = max(history.flushed, part.flushed)
        return history

    def _logs(self, volume: int) -> list[Path]:
        folders = {node.host.machine.share for node in self.nodes}
        return [path for folder in folders for path in [folder / self.log(volume)] if path.exists()]

    def next_sequence(self, volume: int) -> int:
        issued = self.history(volume).issued.values()
        return max((sequences[-1] for sequences in issued), default=0) + 1

    def check_data(self, node: Node, *, blocks: int = 512, flushed_only: bool = False,
                   at_least: int = 1) -> None:
        """P1 (or P2 with flushed_only): what is read on the writer keeps what was acknowledged."""
        for volume in range(self.volumes):
            history = self.history(volume)
            assert len(history.acknowledged) >= at_least, "the test wrote nothing"
            found = read_blocks(node.host, node.device(volume), blocks)
            assert history.violations(found, flushed_only=flushed_only) == [], f"volume {volume}"

    def data_bytes(self, volume: int = 0) -> int:
        return next(node for node in self.nodes if node.host.on).volume(volume)["size"]

    def wait_idle(self) -> None:
        for node in self.running:
            node.wait(lambda node=node: not any(it["in-flight"] for it in node.dump("volume-get")),
                      "no write to be under way")

    def compare(self, nodes: Iterable[Node] | None = None) -> None:
        """P3: the replicas in sync are byte-equal. Reads the disks below Braid, which must be idle."""
        nodes = self.in_sync if nodes is None else list(nodes)
        assert len(nodes) > 1, f"only {nodes} in sync: nothing to compare"
        self.wait_idle()
        for volume in range(self.volumes):
            differing = differing_blocks([node.host for node in nodes],
                                         [node.disks[volume].path for node in nodes],
                                         self.data_bytes(volume))
            assert differing == [], f"volume {volume} of {nodes} differs in {len(differing)} blocks"

    def fio(self, node: Node, *, volume: int = 0, timeout: float = 120, **options: object) -> dict:
        """Runs fio on a node's device; an option that is None drops a default."""
        defaults = {"name": "job", "filename": node.device(volume), "direct": 1, "ioengine": "libaio",
                    "rw": "randwrite", "iodepth": 16, "size": "100%", "randrepeat": 0, "thread": 1,
                    "randseed": self.rng.randrange(1, 1 << 31), "output-format": "json"}
        words = {**defaults, **options}
        result = node.host.run(["fio", *(f"--{key}={value}" for key, value in words.items()
                                         if value is not None)], timeout=timeout)
        return json.loads(result.out[result.out.index("{"):])["jobs"][0]

    # Inside

    def _give_disks(self, node: Node) -> None:
        machine = node.host.machine
        numbers = getattr(machine, "braid_minors", None)
        if numbers is None:
            numbers = machine.braid_minors = itertools.count()
        for _ in range(self.volumes):
            node.minors.append(next(numbers))
            if node.diskful:
                node.disks.append(node.host.give_disk(self.size, block_size=self.block_size, **self.disk))
                solid = {**self.disk, "hollow": False}
                node.meta_disks.append(node.host.give_disk(self.meta_bytes, **solid)
                                       if self.meta == "external" else None)

    def describe(self) -> str:
        """What each node says of itself, for a test that failed."""
        lines = []
        for node in self.running:
            try:
                for command in ({"do": "resource-get"}, {"dump": "volume-get"}, {"dump": "peer-get"}):
                    (answer,) = node.control.ask([{**command, "with": {"name": self.name}}])
                    for it in answer.get("list", [answer]):
                        it.pop("stats", None)
                        lines.append(f"{node}: {json.dumps(it)}")
            except LabError as error:
                lines.append(f"{node}: {error}")
            lines += [f"{node}: event {event}" for event in node.logged()[-10:]]
        return "\n".join(lines)


class WriterJob:
    """A writer of stamped blocks that runs on by itself."""

    def __init__(self, resource: BraidResource, node: Node, volume: int, blocks: int, count: int,
                 flush_every: int, skip: int = 0):
        self.resource, self.node = resource, node
        self.file = node.host.machine.share / resource.log(volume)
        before = self.acknowledged()
        self.process: Process = node.host.start(stamp(
            node.host, "write", node.device(volume), "--blocks", blocks, "--log",
            f"/lab/{resource.log(volume)}", "--seed", resource.rng.randrange(1 << 30), "--first",
            resource.next_sequence(volume) + skip, "--count", count, "--flush-every", flush_every))
        self._start = before

    def acknowledged(self) -> int:
        """How many writes were, by all that share the history on this host."""
        return self.file.read_text().count("\na ") if self.file.exists() else 0

    def wait(self, count: int = 50, timeout: float = 30) -> None:
        """Until count more writes than now are acknowledged."""
        wanted = self.acknowledged() + count

        def enough() -> bool:
            if self.process.done():
                result = self.process.wait(1, check=False)
                raise AssertionError(f"the writer ended: {result}")
            return self.acknowledged() >= wanted

        self.node.wait(enough, f"{count} more acknowledged writes", timeout)

    def must_hang(self) -> None:
        """The writer is stuck: nothing is acknowledged, though there is time for it."""
        self.node.wait_service("held")
        time.sleep(0.2 * self.resource.slow)  # what was acknowledged before may still have to be logged
        before = self.acknowledged()
        time.sleep(0.5 * self.resource.slow)
        assert self.acknowledged() == before, "a write was acknowledged that had to wait"
        assert not self.process.done(), "the writer ended"

    def stop(self, timeout: float = 30) -> None:
        if not self.process.done():
            self.process.kill()
        self.process.wait(timeout, check=False)


@contextmanager
def mirror(lab, names: Iterable[str], *, debug: bool = False, begin: bool = True, machine=None,
           **options: object):
    """A resource on namespaces of one User-Mode Linux, its first host the writer; at the end all goes."""
    machine = machine or lab.uml(debug=debug)
    if "braid" not in machine.loaded:
        lab.load_braid(machine)
    with lab.namespaces(machine, list(names)) as cluster:
        resource = BraidResource(cluster, rng=lab.rng("braid"), load=lab.load_braid, **options)
        resource.up()
        if begin:
            resource.begin(resource.nodes[0])
        try:
            yield resource
        except Exception as error:
            if not machine.failed:
                error.add_note(resource.describe())
            raise
        resource.down()
