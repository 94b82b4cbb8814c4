# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer that is wrong, old or hostile (P4, P7): one node is the module, another is guest/rawpeer.py.

What a Braid kernel never sends is sent here. Each refusal is a status, or ends the connection with a cause
in the event `link`; nothing of it is stored, and what is right works before and after.
"""
import re
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from braidlab import kernels
from braidlab.braid import NO_WRITER, BraidResource, Configuration, Program

KIB, MIB, REGION = 1 << 10, 1 << 20, 4 << 20
OK, BEHIND, AHEAD, NO_DISK, IO, RANGE, BUSY = range(7)
NODE, WRITER, OTHER = range(3)  # the module's id, and those of raw peers
INSTANCES = {WRITER: 0xBBBB, OTHER: 0xCCCC}
LEASE, DISKFUL = 1, 4
FUA, RESYNC, MORE = 1, 2, 8
OUT_MAX = int(re.search(r"#define OUT_MAX\s+(\d+)", (kernels.TOP / "kernel/stream.c").read_text())[1])
TOO_MANY = "protocol error: more requests than were granted"
MAGIC, TYPE, FLAGS, LENGTH, EARLY, FIELD, CRC = (
    f"protocol error: {text}" for text in ("not a message", "unknown type", "flags or reserved bytes", "length",
                                           "out of order", "field out of range", "damaged on the way"))


class RawPeer:
    """A node that guest/rawpeer.py plays."""

    def __init__(self, under: "Under", number: int):
        self.under, self.number, self.stamp, self.connections = under, number, 0, 0
        node = under.node
        self.program = Program(node.host, "rawpeer.py", *node.control.arguments)

    def do(self, timeout: float = 30, **command) -> dict:
        answer = self.program.ask(command, timeout)
        assert "wrong" not in answer and "error" not in answer, (
            answer.get("wrong"), answer, command)
        return answer

    def connect(self, *, streams: int = 1, checksums: bool = True, **options) -> dict:
        self.do(close=True)
        self.under.node.wait(lambda: self.under.link(self) == "disconnected", "the last link's end")
        self.connections += 1
        return self.do(connect={
            "name": self.under.r.name, "node": self.number, "peer": NODE, "checksums": checksums,
            "session": self.under.r.rng.randrange(1, 1 << 63), "streams": streams, **options})

    def greet(self, **options) -> None:
        """A connection on which all is well."""
        assert "hello" in self.connect(**options)
        self.under.node.wait(lambda: self.under.link(self) == "connected", "the link to a raw peer")

    def send(self, *messages: dict, stream: int = 0, **options) -> None:
        self.do(send=list(messages), stream=stream, **options)

    def ask(self, *requests: dict, **options) -> list[dict]:
        found = self.do(ask=list(requests), **options)
        assert all(found["answers"]), (requests, found)
        return found["answers"]

    def statuses(self, *requests: dict) -> list[int]:
        return [answer["status"] for answer in self.ask(*requests)]

    def await_(self, kind: str, count: int = 1) -> list[dict]:
        found = self.do(**{"await": kind, "count": count})
        assert found["count"] >= count, (kind, found)
        return found["got"]

    def await_count(self, kind: str) -> int:
        """How many of a type came so far."""
        return self.do(**{"await": kind})["count"]

    def tell_state(self, **changes) -> None:
        """VOLUME and STATE of a replica that is well."""
        config, self.stamp = self.under.config, self.stamp + 1
        size = self.under.node.volume()["size"]
        self.send({"type": "volume", "size": size, "block_size": 512, "volume_flags": 1,
                   "volume_bytes": size, "physical_block_size": 512},
                  {"type": "state", "lineage": config.lineage, "epoch": config.epoch, "id": config.id,
                   "instance": INSTANCES[self.number], "state_flags": DISKFUL, "writer": config.writer,
                   "lease_ms": self.under.r.lease_ms, "stamp": self.stamp, **changes})

    def ended(self, cause: str) -> None:
        """The module has ended the connection, for this cause."""
        found = self.do(**{"await": "end"})
        assert all(found["ended"]), f"the connection goes on, without {cause!r}"
        self.under.node.wait(lambda: len(self.causes()) == self.connections, "the link's end")
        assert self.causes()[-1] == cause

    def causes(self) -> list[str]:
        """Of the ends of all connections."""
        return [event["cause"] for event in self.under.node.events()
                if event.get("kind") == "link" and event["node-id"] == self.number
                and event["new"] == "disconnected"]


class Under:
    """The module's node, under test."""

    def __init__(self, r: BraidResource):
        self.r, self.node = r, r.nodes[0]
        self.config: Configuration | None = None

    def link(self, peer: RawPeer) -> str:
        return next(it for it in self.node.dump("peer-get")
                    if it["node-id"] == peer.number and "volume" not in it)["link-state"]

    def configure(self, writer: int, in_sync: list[int]) -> None:
        before, r = self.config, self.r
        instances = {NODE: self.node.state()["instance"], **INSTANCES}
        self.config = r.config = Configuration(
            lineage=before.lineage if before else r.rng.randbytes(16).hex(),
            epoch=before.epoch + 1 if before else 5, id=r.rng.randrange(2, 1 << 63), writer=writer,
            in_sync={number: instances[number] for number in in_sync})
        members = [SimpleNamespace(id=number, diskful=number != NODE or self.node.diskful)
                   for number in (NODE, WRITER, OTHER)]
        self.node.do("resource-configure", config=self.config.attributes(members), new_lineage=not before)
        r.wait_adopted(self.node)

    def request(self, kind: str, **fields) -> dict:
        """A right request of the configuration's writer."""
        fields = {"generation": 1, **fields} if kind in ("write", "zeroes") else fields
        return {"type": kind, "epoch": self.config.epoch, "id": self.config.id, **fields}

    def serve(self, reference: int) -> None:
        self.node.do("resource-serve", epoch=self.config.epoch, reference=reference)

    def on_disk(self, at: int, count: int) -> str:
        """The digest of what the disk below holds."""
        fd = self.node.request(open=self.node.disks[0].path)["fd"]
        found = self.node.request(pread=fd, at=at, count=count)["digest"]
        self.node.close(fd)
        return found

    def content(self, seed: int, count: int) -> str:
        return self.node.request(expect=seed, count=count)["digest"]

    def stored(self, seed: int, at: int, count: int = 4096) -> bool:
        return self.on_disk(at, count) == self.content(seed, count)


@contextmanager
def under_test(lab, *, debug: bool = False, diskless: bool = False, names: str = "a", **options):
    machine = lab.uml(debug=debug)
    lab.load_braid(machine)
    with lab.namespaces(machine, list(names)) as cluster:
        r = BraidResource(cluster, rng=lab.rng("braid"), load=lab.load_braid,
                          diskless="a" if diskless else "", **options)
        under = Under(r)
        r.create_md(under.node)
        r.bring_up(under.node)
        for number in range(len(names), 3):
            under.node.do("peer-new", node_id=number)
        try:
            yield under
        except Exception as error:
            if not machine.failed:
                error.add_note(r.describe())
            raise
        for node in r.nodes:
            if not node.is_gone():
                node.do("resource-del", force=True)
                node.wait(node.is_gone, "the resource to go")


ALL = ["write", "zeroes", "read", "flush", "csum", "marks", "dirty", "settled"]


def each_request(under: Under, **changes) -> list[dict]:
    """One request of each type that would change what the test wrote before."""
    own = {"write": {"offset": 0, "bytes": 4096, "seed": 66}, "zeroes": {"offset": 0, "bytes": 4096},
           "read": {"offset": 0, "bytes": 4096}, "csum": {"offset": 0, "bytes": 4096},
           "dirty": {"bytes": OTHER}, "settled": {"offset": under.node.volume()["size"]}}
    return [under.request(kind, **{"stable": 3, "generation": 4, **own.get(kind, {}), **changes})
            for kind in ALL]


@pytest.mark.uml
def test_only_the_writer_of_the_adopted_configuration_is_obeyed(lab):
    """P4, R2: requests of another epoch or id, or of a member that is not the writer, are refused."""
    with under_test(lab, lease_ms=300) as under:
        writer, other = RawPeer(under, WRITER), RawPeer(under, OTHER)
        under.config = SimpleNamespace(epoch=5, id=6)
        writer.greet()
        assert writer.statuses(*each_request(under)) == [BEHIND] * len(ALL), "nothing is adopted yet"
        under.config = None
        under.configure(WRITER, [NODE, WRITER, OTHER])
        writer.tell_state()

        config, seed = under.config, 7
        (answer,) = writer.ask(under.request("write", offset=0, bytes=8192, seed=seed))
        assert answer["status"] == OK and under.stored(seed, 0, 8192)
        found = writer.ask(under.request("read", offset=0, bytes=8192), under.request("flush"),
                           under.request("marks"), under.request("csum", offset=0, bytes=8192))
        assert [it["status"] for it in found] == [OK] * 4
        assert found[0]["digest"] == under.content(seed, 8192)
        assert found[2]["payload"] == 136 and found[3]["payload"] == 32

        other.greet(streams=2)
        other.tell_state()
        wrong = [({"epoch": config.epoch - 1}, AHEAD), ({"epoch": config.epoch + 1}, BEHIND),
                 ({"id": config.id + 1}, AHEAD), ({"epoch": config.epoch - 1, "id": 1}, AHEAD),
                 ({"epoch": 0, "id": 0}, AHEAD), ({"epoch": (1 << 64) - 1}, BEHIND)]
        for flags in (0, RESYNC):
            for changes, status in wrong:
                for peer in (writer, other):
                    found = peer.statuses(*each_request(under, flags=flags, **changes))
                    assert found == [status] * len(ALL), (peer.number, changes)
            found = other.statuses(*each_request(under, flags=flags))
            assert found == [AHEAD] * len(ALL), "a member that is not the writer"
        assert under.stored(seed, 0, 8192), "what was refused was stored"

        # Nor is it believed what is stable: the region is still marked.
        for peer, changes in ((other, {}), (writer, {"epoch": config.epoch - 1}),
                              (writer, {"epoch": config.epoch + 1}), (writer, {"id": config.id + 1})):
            peer.send(under.request("stable", stable=1, **changes))
            peer.send({"type": "ping", "time": 1})
            peer.await_("pong")
            peer.do(forget=True)
            (answer,) = writer.ask(under.request("marks"))
            assert answer["payload"] == 136, (peer.number, changes)
        writer.send(under.request("stable", stable=1))
        under.node.wait(lambda: writer.ask(under.request("marks"))[0]["payload"] == 0, "a stable region")

        lease_is_for_the_writer(under, writer, other)
        out_of_range(under, writer)
        under.node.do("volume-detach", volume=0, force=True)
        under.node.wait_disk("diskless")
        assert set(writer.statuses(*each_request(under))) == {NO_DISK}


def lease_is_for_the_writer(under, writer, other) -> None:
    """R7: granted to nobody else, for nothing else, for no longer than configured."""
    ping = {"type": "ping", "time": 77, "epoch": under.config.epoch, "id": under.config.id,
            "ping_flags": LEASE, "term_ms": 1 << 31}
    for peer, changes, granted in ((writer, {}, True), (other, {}, False), (writer, {"ping_flags": 0}, False),
                                   (writer, {"epoch": ping["epoch"] - 1}, False),
                                   (writer, {"epoch": ping["epoch"] + 1}, False),
                                   (writer, {"id": ping["id"] + 1}, False)):
        peer.do(forget=True)
        peer.send({**ping, **changes})
        (pong,) = peer.await_("pong")
        assert {name: pong[name] for name in ("time", "epoch", "id")} == {
            name: {**ping, **changes}[name] for name in ("time", "epoch", "id")}
        assert (pong["ping_flags"], pong["term_ms"]) == ((LEASE, under.r.lease_ms) if granted else (0, 0)), changes


def out_of_range(under, writer) -> None:
    size = under.node.volume()["size"]
    beyond = [{"offset": size, "bytes": 512}, {"offset": size - 512, "bytes": 1024},
              {"offset": (1 << 50) - 512, "bytes": 512}, {"offset": 1 << 40, "bytes": MIB}]
    for kind in ("write", "zeroes", "read", "csum"):
        assert writer.statuses(*(under.request(kind, **it) for it in beyond)) == [RANGE] * len(beyond), kind
        inside = under.request(kind, offset=size - 512, bytes=512)
        assert writer.statuses(inside, {**inside, "volume": 1}, {**inside, "volume": 65535}) == [
            OK, NO_DISK, NO_DISK]
    assert writer.statuses(under.request("settled", offset=size + 4096)) == [RANGE]


HELLOS = [
    ({"name": "r1"}, "the peer's resource has another name"),
    ({"name": ""}, "the peer's resource has another name"),
    ({"name": "r0x"}, "the peer's resource has another name"),
    ({"name": "R0"}, "the peer's resource has another name"),
    ({"node": 2}, "node ids do not match"),
    ({"peer": 2}, "node ids do not match"),
    ({"node": 0, "peer": 1}, "node ids do not match"),
    ({"session": 1 << 63}, "sessions do not match"),
    ({"protocol_min": 2, "protocol_max": 9}, "no version of the protocol in common"),
    ({"protocol_min": 0}, FIELD), ({"protocol_min": 2}, FIELD),
    ({"node": 32}, FIELD), ({"peer": 32}, FIELD),
    ({"window_requests": 0}, FIELD), ({"window_requests": 1025}, FIELD), ({"window_bytes": MIB - 1}, FIELD),
    ({"name": "r" * 64}, FIELD), ({"name": "r0\0x"}, FIELD),
    ({"hello_flags": 2}, FLAGS), ({"features": 1}, FLAGS), ({"spare": 1}, FLAGS), ({"more": "01"}, FLAGS),
    ({"magic": 0xB7A0}, MAGIC), ({"magic": 0xA1B7}, MAGIC), ({"number": 2}, EARLY), ({"number": 0}, TYPE),
    ({"number": 18}, TYPE), ({"number": 255}, TYPE), ({"flags": 1}, FLAGS), ({"reserved": 1}, FLAGS),
    ({"crc": 1}, FLAGS), ({"tag": 1}, FIELD), ({"volume": 1}, FIELD), ({"length": 159}, LENGTH),
    ({"length": 161}, LENGTH), ({"length": (1 << 32) - 1}, LENGTH),
]


def ping(**changes) -> dict:
    return {"type": "ping", "time": 1, **changes}


def bad_messages(under) -> list[tuple[dict, str]]:
    """What ends a connection, and the cause."""
    size = under.node.volume()["size"]
    write = under.request("write", offset=0, bytes=4096, seed=66)
    read, zeroes, flush = (under.request(kind, offset=0, bytes=4096) for kind in ("read", "zeroes", "flush"))
    state = {"type": "state", "stamp": 1 << 40, "writer": NO_WRITER}
    volume = {"type": "volume", "size": size, "block_size": 512, "volume_flags": 1}
    reply = {"type": "reply"}
    return [
        (ping(magic=0), MAGIC), (ping(number=0), TYPE), (ping(number=18), TYPE), (ping(number=1), EARLY),
        (ping(flags=1), FLAGS), (ping(reserved=256), FLAGS), (ping(tag=1), FIELD), (ping(volume=1), FIELD),
        (ping(length=31), LENGTH), (ping(length=33), LENGTH), (ping(length=0), LENGTH), (ping(crc=1 << 31), CRC),
        (ping(ping_flags=2), FLAGS), ({"type": "goodbye"}, "closed by the peer"),
        ({"type": "goodbye", "length": 1, "payload": 1}, LENGTH),
        ({**state, "state_flags": 16}, FLAGS), ({**state, "spare": 1}, FLAGS), ({**state, "writer": 32}, FIELD),
        ({**volume, "size": size + 512}, FIELD), ({**volume, "size": (1 << 50) + 4096}, FIELD),
        ({**volume, "volume_flags": 8}, FLAGS), ({**volume, "block_size": 0}, FIELD),
        ({**volume, "block_size": 1024}, FIELD), ({**volume, "volume_bytes": 1}, FIELD),
        ({"type": "token", "token_flags": 2}, FLAGS), ({"type": "token", "spare": 1}, FLAGS),
        (under.request("stable", stable=1 << 63), FIELD),
        ({**write, "payload": 4095}, LENGTH), ({**write, "payload": 4608}, LENGTH), ({**write, "payload": 0}, LENGTH),
        ({**write, "bytes": MIB + 512, "length": MIB + 512 + 56, "payload": 0}, LENGTH),
        ({**write, "bytes": 0}, FIELD), ({**write, "bytes": 513}, FIELD), ({**write, "offset": 1}, FIELD),
        ({**write, "offset": REGION - 512}, FIELD), ({**write, "offset": 1 << 50}, FIELD),
        ({**write, "offset": (1 << 64) - 512}, FIELD),
        ({**write, "generation": 0}, FIELD), ({**write, "stable": 1}, FIELD),
        ({**write, "generation": 1 << 63}, FIELD), ({**write, "spare": "01" + "00" * 11}, FLAGS),
        ({**write, "flags": 4}, FLAGS), ({**write, "tag": 1024}, FIELD), ({**write, "tag": 256}, FIELD),
        ({**write, "tag": (1 << 32) - 1}, FIELD), ({**write, "crc": 1}, CRC),
        ({**read, "bytes": MIB + 512}, FIELD), ({**read, "bytes": 0}, FIELD), ({**read, "flags": FUA}, FLAGS),
        ({**read, "payload": 1}, LENGTH), ({**zeroes, "bytes": REGION + 512}, FIELD),
        ({**zeroes, "payload": 4096}, LENGTH), ({**flush, "length": 55}, LENGTH),
        (under.request("csum", offset=0, bytes=MIB + 512), FIELD),
        (under.request("marks", offset=(1 << 28) + 1), FIELD), (under.request("dirty", bytes=32), FIELD),
        (under.request("settled", offset=512), FIELD), (under.request("settled", offset=(1 << 50) + 4096), FIELD),
        (reply, FIELD), ({**reply, "tag": 1023}, FIELD), ({**reply, "tag": 1024}, FIELD),
        ({**reply, "status": 7}, FIELD), ({**reply, "spare": 1}, FLAGS), ({**reply, "next": (1 << 28) + 1}, FIELD),
        ({**reply, "status": 1, "payload": 512}, LENGTH), ({**reply, "flags": 1}, FLAGS),
        ({**reply, "length": MIB + 17, "payload": 0}, LENGTH),
    ]


@pytest.mark.uml
def test_what_ends_a_connection(lab):
    """P7: each thing that the document forbids, with its cause; the next connection works."""
    with under_test(lab) as under:
        peer = RawPeer(under, WRITER)
        under.configure(WRITER, [NODE, WRITER])
        for changes, cause in HELLOS:
            peer.connect(hello=changes)
            peer.ended(cause)
        for message in (under.request("write", bytes=4096, seed=66), ping(), {"type": "reply"}):
            peer.connect(hello=None)
            peer.send(message)
            peer.ended(EARLY)

        right = under.request("write", offset=0, bytes=4096)
        for seed, (message, cause) in enumerate(bad_messages(under), 1):
            peer.greet()
            assert peer.statuses({**right, "seed": seed}) == [OK]
            peer.send(message)
            peer.ended(cause)
        for damage in ({"crc": 1}, {"crc": 1 << 31}):
            peer.greet(checksums=False)  # none were agreed on: there is to be none
            peer.send({**ping(), **damage})
            peer.ended(CRC)
        assert under.stored(seed, 0), "what was refused was stored"
        more_than_was_granted(under, peer)
        peer.greet(streams=8, checksums=False)
        for stream in range(8):
            message = under.request("write", offset=stream * MIB, bytes=MIB, seed=stream + 1)
            assert [it["status"] for it in peer.ask(message, stream=stream)] == [OK]
            assert under.stored(stream + 1, stream * MIB, MIB)


def more_than_was_granted(under, peer) -> None:
    """P7: a window of 256 requests and 8 MiB on each stream, while the disk takes its time."""
    small = under.request("read", offset=0, bytes=512)
    big = under.request("read", offset=0, bytes=MIB)
    large = under.request("write", offset=0, bytes=MIB)
    csum = under.request("csum", offset=0, bytes=MIB)
    for request, count in ((small, 256), (big, 8), (large, 8), (csum, 8)):
        peer.greet(checksums=False)
        under.node.disks[0].slow(200)
        assert {it["status"] for it in peer.ask(request, times=count)} == {OK}
        peer.send(request, tags=count + 2)
        peer.ended(TOO_MANY)
        under.node.disks[0].heal()


@pytest.mark.uml
def test_a_peer_that_asks_and_does_not_listen(lab):
    """P7: what it does not take is bounded, and what it was not sent is no harm to it later."""
    with under_test(lab, request_ms=20000, timeout_ms=20000) as under:
        peer = RawPeer(under, WRITER)
        under.configure(WRITER, [NODE, WRITER])
        peer.greet(checksums=False, buffers=16 << 10)
        peer.do(behave={"deaf": True})
        peer.send(ping(), times=15000)
        under.node.wait(lambda: heard_all(under.node), "the module to hear all PINGs")
        peer.do(behave={"deaf": False})
        peer.await_("pong", 1000)
        peer.send(under.request("write", offset=0, bytes=4096, seed=5))
        assert peer.await_("reply")[0]["status"] == OK and under.stored(5, 0)
        got = peer.await_count("pong")
        assert got < OUT_MAX + 2000, f"{got} PONGs were kept for a peer that took none"
        peer.send(ping())
        peer.await_("pong", got + 1)


def heard_all(node) -> bool:
    """The module's end of the only connection has nothing left to receive; the other end's is full."""
    queues = [line.split()[:2] for line in node.host.run("ss -tnH state established").out.splitlines()]
    return sorted(queue[0] == "0" for queue in queues) == [False, True] and ["0", "0"] not in queues


class Application:
    """A write or a read on the module's device, which may wait for the raw peer."""

    def __init__(self, under: Under):
        self.under, node = under, under.node
        self.fd = node.open()
        self.seed = 0

    def write(self) -> "Application":
        self.seed += 1
        return self.begin(f'{{"pwrite": {self.fd}, "at": 0, "count": 4096, "seed": {self.seed}}}')

    def read(self) -> "Application":
        return self.begin(f'{{"pread": {self.fd}, "at": 0, "count": 4096}}')

    def begin(self, command: str) -> "Application":
        dialogue = self.under.node.io.started()
        self.answer = dialogue.send(command)
        return self

    def done(self) -> bool:
        return self.answer.done()

    def end(self) -> str:
        return self.under.node.io.started().hear(self.answer).strip()


@pytest.mark.uml
def test_a_replica_that_is_wrong(lab):
    """P4, P7, R1, R7: what the writer believes of an in-sync peer, and what ends the connection to it."""
    with under_test(lab, request_ms=1000, timeout_ms=3000, lease_ms=300) as under:
        node, peer = under.node, RawPeer(under, WRITER)
        under.configure(NODE, [NODE, WRITER])

        def well() -> None:
            """A connection to a replica that is well; the module serves."""
            peer.do(behave={"pong": {}, "rules": {}})
            peer.greet(streams=2)
            peer.tell_state()
            node.wait_service("serving")

        peer.greet()
        for number in range(16):  # lies, and more that do not fit
            peer.tell_state(**[{"epoch": 4}, {"epoch": 6}, {"id": 1}, {"instance": 1}, {"state_flags": 0},
                               {"lineage": "00" * 16}][number % 6])
        under.serve(NODE)
        peer.tell_state(epoch=4)
        assert node.state()["service"] == "reconciling", "it must not serve without this replica"
        peer.tell_state()
        node.wait_service("serving")
        app = Application(under)

        forged = [None, {"epoch": 1}, {"epoch": -1}, {"id": 1}, {"time": 1 << 40}, {"time": (1 << 63)},
                  {"ping_flags": 0}, {"term_ms": 0}, {"time": -(1 << 40), "term_ms": (1 << 32) - 1}]
        for pong in forged:
            peer.do(behave={"pong": pong})
            node.wait_service("held")  # what was granted before has run out
            assert "lease" in node.state()["reason"], (pong, node.state())
            app.write()
            peer.do(behave={"pong": {}})
            assert app.end() == "{}"
            node.wait_service("serving")
        peer.do(behave={"pong": {"term_ms": (1 << 32) - 1, "times": 3}})
        node.wait(lambda: peer.do(**{"await": "ping", "count": 20})["count"] >= 20, "pings")
        peer.do(behave={"pong": None})
        node.wait(lambda: node.state()["service"] == "held", "a lease of a month to be cut short", timeout=2)
        peer.do(behave={"pong": {}})
        node.wait_service("serving")

        for status in (BEHIND, AHEAD, NO_DISK, IO, RANGE, BUSY):
            peer.do(behave={"rules": {"write": {"status": status, "count": 2}}})
            peer.do(forget=True)
            app.write()
            peer.await_("write", 3)  # it is asked again, and not at once and for ever
            assert app.end() == "{}"
            assert peer.do(**{"await": "write"})["count"] == 3, status

        wrong = [({"payload": 512}, LENGTH), ({"payload": 4096}, LENGTH), ({"flags": MORE}, LENGTH),
                 ({"tag": 256}, FIELD), ({"tag": 255}, FIELD), ({"status": 7}, FIELD), ({"times": 2}, FIELD),
                 ({"next": 1 << 40}, FIELD), ({"volume": 7}, FIELD), ({"crc": 1}, CRC), ({"length": 15}, LENGTH),
                 ({"silent": True}, "a request was left unanswered")]
        for rule, cause in wrong:
            peer.do(behave={"rules": {"write": rule}})
            app.write()
            peer.ended(cause)
            well()
            assert app.end() == "{}", rule
        peer.do(forget=True)
        peer.do(behave={"rules": {"write": {"silent": True}}})
        app.write()
        (write,) = peer.await_("write")
        mine = peer.do(**{"await": "write"})
        for stream in (0, 1):  # one of them is not where it was asked
            peer.send({"type": "reply", "tag": write["tag"]}, stream=stream)
        peer.ended(FIELD)
        assert mine["count"] == 1
        well()
        assert app.end() == "{}"
        assert under.stored(app.seed, 0)

        # What it holds is not lost with it: the writer goes on when it is told to.
        peer.do(behave={"rules": {"all": {"status": IO}}})
        app.write()
        peer.await_("write", 1)
        assert not app.done(), "acknowledged by a replica that failed"
        under.configure(NODE, [NODE])
        assert app.end() == "{}" and under.stored(app.seed, 0)
        node.close(app.fd)


@pytest.mark.uml
def test_a_node_without_a_disk(lab):
    """P7: what it is asked to read it does not have; what it is given to read has the length that it asked for."""
    with under_test(lab, diskless=True, request_ms=1000) as under:
        node, peer = under.node, RawPeer(under, WRITER)
        under.configure(WRITER, [WRITER])
        peer.greet()
        assert peer.statuses(*each_request(under)) == [NO_DISK] * len(ALL)
        size = 8 * MIB
        volume = {"type": "volume", "size": size, "block_size": 512, "volume_flags": 1, "volume_bytes": size,
                  "physical_block_size": 3, "discard_granularity": (1 << 32) - 1}
        peer.send({**volume, "physical_block_size": (1 << 32) - 1}, volume)
        under.configure(NODE, [WRITER])
        peer.tell_state(writer=NODE)
        peer.send(volume)
        under.serve(WRITER)
        node.wait_service("serving")
        app = Application(under)
        assert app.write().end() == "{}"
        for rule, cause in (({"payload": 0}, LENGTH), ({"payload": 4095}, LENGTH), ({"payload": 4608}, LENGTH),
                            ({"payload": MIB}, LENGTH), ({"status": BUSY, "payload": 512}, LENGTH),
                            ({"flags": MORE, "payload": 512}, LENGTH)):
            peer.do(behave={"rules": {"read": rule}})
            app.read()
            peer.ended(cause)
            assert not app.done()
            peer.do(behave={"rules": {}})
            peer.greet()
            peer.send(volume)
            peer.tell_state()
            assert app.end() == f'{{"digest": "{under.content(app.seed, 4096)}"}}', rule
        peer.do(behave={"rules": {"read": {"status": IO}}})
        assert app.read().end() == '{"error": "EIO"}'
        node.close(app.fd)


@pytest.mark.parametrize("debug, messages", [
    pytest.param(False, 4000, id="uml", marks=pytest.mark.uml),
    pytest.param(True, 1500, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long]),
])
def test_a_fuzzed_protocol(lab, debug, messages):
    """P7, P8: right messages and damaged ones, of the writer and of a replica; then all works as before."""
    with under_test(lab, debug=debug, names="ab", lease_ms=300, request_ms=2000) as under:
        r, node, peer = under.r, under.node, RawPeer(under, WRITER)
        rng = lab.rng("fuzz")

        def fuzz(count: int) -> dict:
            config, size = under.config, node.volume()["size"]
            state = [{"type": "volume", "size": size, "block_size": 512, "volume_flags": 1, "volume_bytes": size},
                     {"type": "state", "lineage": config.lineage, "epoch": config.epoch, "id": config.id,
                      "instance": INSTANCES[WRITER], "state_flags": DISKFUL, "writer": config.writer}]
            found = peer.do(timeout=60, fuzz={
                "seed": rng.randrange(1 << 32), "messages": count, "size": size, "state": state,
                "config": {"epoch": config.epoch, "id": config.id},
                "link": {"name": r.name, "node": WRITER, "peer": NODE}})
            print(found)
            assert found["damaged"] > count / 20 and found["connections"] > 10, found
            assert found["used_kib"] < 128 << 10, f"memory: {found}"
            node.wait(lambda: under.link(peer) == "disconnected", "the last link's end")
            return found

        under.configure(WRITER, [NODE, WRITER])
        found = fuzz(messages)
        assert found["ok"] > 100 and found["refused"] > 0, "most of it must come through"
        under.configure(NODE, [NODE, WRITER])
        under.serve(NODE)
        peer.stamp = 1 << 20
        peer.greet()
        peer.tell_state()
        node.wait_service("serving")
        app = Application(under)
        peer.do(behave={"rules": {"write": {"status": BEHIND, "count": 5}}})
        app.write()
        fuzz(messages // 2)

        # The raw peer goes, and a node of ours takes its place.
        under.configure(NODE, [NODE])
        assert app.end() == "{}" and under.stored(app.seed, 0)
        node.wait_service("serving")
        node.close(app.fd)
        b = r.nodes[1]
        r.create_md(b)
        r.bring_up(b)
        r.connect(node, b)
        r.config = Configuration(lineage=under.config.lineage, epoch=under.config.epoch, id=under.config.id,
                                 writer=NODE, in_sync=dict(under.config.in_sync))
        b.do("resource-configure", config=r.config.attributes(r.nodes), new_lineage=True)
        r.wait_adopted(b)
        r.sync(b)
        r.write(node, count=100)
        r.compare([node, b])
        assert any(cause.startswith("protocol error") for cause in peer.causes())
