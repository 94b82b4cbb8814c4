#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays another node of a resource over the replication protocol, rightly or wrongly. Runs on a host of the lab.

    rawpeer.py SPEC

Written from the text of kernel/core/messages.h alone: it shares no code with the kernel. It makes TCP
connections within its host, hands one end of each to the kernel with peer-connect and keeps the other.
Reads a JSON command a line and answers with an object, in a line:

    {"connect": {"name":, "node": its id, "peer": the kernel's id, "session":, "checksums":, "streams":,
                 "hello": {...} or null, "greet": BOOL}}         -> {"hello": the kernel's} or {"ended": true}
    {"send": [MESSAGE...], "stream": N, "tags": N, "times": N}  -> {}; tags: as many
    {"ask": [REQUEST...], "stream": N, "times": N}               -> {"answers": [...]}, in their order
    {"behave": {"pong": ..., "rules": ..., "deaf": ...}}         -> {}; how it answers from now on
    {"await": TYPE or "end", "count": N, "within": SECONDS}      -> {"got": [...]} that many of those, or what came
    {"forget": true}                                             -> {}; of what was received so far
    {"close": true}                                              -> {}
    {"expect": SEED, "count": N}                                 -> {"digest": ...} of a payload
    {"fuzz": {...}}                                              -> see Fuzz

A MESSAGE is {"type": NAME} with fields of header and body by the names below; those that are left out are
zero, or follow from the others. "seed" and "payload" make a payload of so many bytes. "bytes" of a WRITE
is also its payload's length unless told.
"""
import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time

import genl
from blkio import content, digest

HEADER = struct.Struct("<HBBHHIII")
MAGIC = 0xB7A1
CRC_AT = 16
REGION, PAYLOAD_MAX, BLOCK, CSUM_BYTES = 4 << 20, 1 << 20, 4096, 65536
STAMP = ["last_epoch Q", "last_id Q", "last_instance Q"]
DATA = ["epoch Q", "id Q", "generation Q", "stable Q", "offset Q", "bytes I", "spare 12s"]
PING = ["time Q", "epoch Q", "id Q", "ping_flags I", "term_ms I"]
BODIES = [
    ("hello", ["protocol_min I", "protocol_max I", "features Q", "session Q", "node I", "peer I",
               "window_requests I", "window_bytes I", "hello_flags I", "spare I", "name 64s", "more 48s"]),
    ("state", ["lineage 16s", "epoch Q", "id Q", "instance Q", *STAMP, "state_flags I", "lease_ms I",
               "writer I", "spare I", "stamp Q"]),
    ("volume", ["size Q", "block_size I", "volume_flags I", "discard_granularity I",
                "physical_block_size I", "volume_bytes Q"]),
    ("ping", PING), ("pong", PING),
    ("goodbye", []),
    ("stable", DATA),
    ("token", ["epoch Q", "id Q", "grant Q", "token_flags I", "spare I"]),
    ("reply", ["status I", "spare I", "next Q"]),
    ("write", DATA), ("zeroes", DATA), ("read", DATA), ("flush", DATA), ("csum", DATA), ("marks", DATA),
    ("dirty", DATA), ("settled", DATA),
]
NAMES = {number: name for number, (name, _) in enumerate(BODIES, 1)}
NUMBERS = {name: number for number, name in NAMES.items()}
FIELDS = {name: [field.split()[0] for field in fields] for name, fields in BODIES}
LAYOUT = {name: struct.Struct("<" + "".join(field.split()[1] for field in fields)) for name, fields in BODIES}
REQUESTS = [NAMES[number] for number in range(NUMBERS["write"], len(NAMES) + 1)]
CRC_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    CRC_TABLE.append(_byte)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def value_of(name: str, message: dict) -> object:
    value = message.get(name, b"" if name in ("lineage", "name", "more") else 0)
    if name == "spare" and not value:
        return bytes(12) if "offset" in FIELDS[message["type"]] else 0
    if isinstance(value, str):
        return value.encode() if name == "name" else bytes.fromhex(value)
    return value


def encode(message: dict, checksums: bool) -> bytes:
    """The bytes of a message, right unless it says otherwise."""
    kind = message["type"]
    fields = FIELDS[kind]
    if "offset" in fields:
        message = {"offset": 0, **message}
    body = LAYOUT[kind].pack(*(value_of(name, message) for name in fields))
    count = message.get("payload", message.get("bytes", 0) if kind == "write" else 0)
    payload = content(message.get("seed", 0), count)
    header = [message.get("magic", MAGIC), message.get("number", NUMBERS[kind]), message.get("flags", 0),
              message.get("volume", 0), message.get("reserved", 0), message.get("tag", 0),
              message.get("length", len(body) + len(payload)), 0]
    if checksums and kind != "hello":
        header[-1] = crc32c(HEADER.pack(*header) + body + payload)
    header[-1] ^= message.get("crc", 0)
    return HEADER.pack(*header) + body + payload


def decode(header: tuple, rest: bytes) -> dict:
    """A message of the kernel's; AssertionError if it is not what the document says."""
    magic, number, flags, volume, reserved, tag, length, _ = header
    assert magic == MAGIC and not reserved and number in NAMES, header
    kind = NAMES[number]
    layout = LAYOUT[kind]
    assert length == len(rest) >= layout.size, header
    values = dict(zip(FIELDS[kind], layout.unpack(rest[:layout.size]), strict=True))
    assert values.pop("spare", 0) in (0, bytes(12)), header
    payload = rest[layout.size:]
    assert not payload or kind in ("write", "reply"), header
    found = {"type": kind, "flags": flags, "volume": volume, "tag": tag, **values}
    for name, value in found.items():
        if isinstance(value, bytes):
            found[name] = value.rstrip(b"\0").decode() if name == "name" else value.hex()
    return {**found, "data": payload}


class Stream:
    """One TCP connection to the kernel, with a thread that receives."""

    def __init__(self, peer: "RawPeer", index: int, sock: socket.socket, checksums: bool):
        self.peer, self.index, self.sock, self.checksums = peer, index, sock, checksums
        self.got: list[dict] = []
        self.ended: str | None = None
        self.greeted = False
        self.changed = threading.Condition()
        self.sending = threading.Lock()
        threading.Thread(target=self.receive_all, daemon=True).start()

    def send(self, data: bytes) -> bool:
        with self.sending:
            try:
                self.sock.sendall(data)
                return True
            except OSError:
                return False

    def say(self, message: dict) -> bool:
        return self.send(encode(message, self.checksums))

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise OSError("closed")
            data += part
        return data

    def receive_all(self) -> None:
        ended = None
        try:
            while True:
                self.peer.hearing.wait()
                self.take(HEADER.unpack(self.receive(HEADER.size)))
        except OSError as error:
            ended = str(error)
        except AssertionError as error:
            ended = self.peer.wrong = f"the kernel's message is wrong: {error}"
        # Here and nowhere else: closed by another thread, its number would be a new connection's
        # while this thread is on its way to receive.
        with self.sending:
            self.sock.close()
        with self.changed:
            self.ended = ended
            self.changed.notify_all()

    def take(self, header: tuple) -> None:
        rest = self.receive(header[6])
        if self.checksums and self.greeted:
            assert header[7] == crc32c(HEADER.pack(*header[:7], 0) + rest), f"crc of {header}"
        else:
            assert not header[7], f"crc of {header}"
        message = decode(header, rest)
        if message["type"] == "hello":
            assert not self.greeted, "a second HELLO"
            self.greeted = True
            self.checksums |= bool(message["hello_flags"])
        else:
            assert self.greeted, "before HELLO"
            self.peer.respond(self, message)
        with self.changed:
            self.got.append(message)
            self.changed.notify_all()

    def wait(self, condition, within: float) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: condition() or self.ended, within)
            return bool(condition())

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def plain(message: dict) -> dict:
    """A received message for JSON."""
    data = message["data"]
    return {**{name: value for name, value in message.items() if name != "data"},
            "payload": len(data), "digest": digest(data)}


class RawPeer:
    def __init__(self, spec: str):
        self.spec = genl.Spec(spec)
        self.client: genl.Client | None = None
        self.streams: list[Stream] = []
        self.hearing = threading.Event()
        self.hearing.set()
        self.pong: dict | None = {}
        self.rules: dict[str, dict] = {}
        self.store: dict[int, bytes] = {}  # sectors by number: the replica
        self.wrong: str | None = None

    # How it answers the kernel

    def respond(self, stream: Stream, message: dict) -> None:
        """Grants leases and does requests, unless told otherwise."""
        kind = message["type"]
        if kind == "ping" and self.pong is not None:
            changed = dict(self.pong)
            times = changed.pop("times", 1)
            pong = {**message, "type": "pong", "flags": 0}
            for name in ("time", "epoch", "id"):
                pong[name] = (pong[name] + changed.pop(name, 0)) % (1 << 64)
            self.reply(stream, {**pong, **changed}, times)
        elif kind in REQUESTS:
            rule = self.rules.get(kind) or self.rules.get("all") or {}
            left = rule.get("count")
            if left == 0:
                rule = {}
            elif left is not None:
                rule["count"] -= 1
            if rule.get("silent"):
                return
            answer = {"type": "reply", "tag": message["tag"], "volume": message["volume"]}
            answer |= self.execute(message) if not rule.get("status") else {}
            data = answer.pop("data", b"")
            changed = {name: value for name, value in rule.items() if name not in ("count", "times", "stream")}
            target = self.streams[rule["stream"]] if "stream" in rule else stream
            if changed or not data:
                self.reply(target, {**answer, **({"payload": len(data)} if data else {}), **changed},
                           rule.get("times", 1))
            else:
                raw = bytearray(encode({**answer, "length": 16 + len(data)}, False) + data)
                if target.checksums:
                    struct.pack_into("<I", raw, CRC_AT, crc32c(raw))
                target.send(bytes(raw))

    def reply(self, stream: Stream, message: dict, times: int) -> None:
        for _ in range(times):
            stream.say(message)

    def execute(self, message: dict) -> dict:
        """Does a request on a replica in memory."""
        kind, first, count = message["type"], message["offset"] // 512, message["bytes"] // 512
        if kind == "write":
            for sector in range(count):
                self.store[first + sector] = message["data"][sector * 512:][:512]
        elif kind == "zeroes":
            for sector in range(first, first + count):
                self.store.pop(sector, None)
        elif kind in ("read", "csum"):
            data = b"".join(self.store.get(sector, bytes(512)) for sector in range(first, first + count))
            if kind == "csum":
                data = b"".join(hashlib.blake2s(data[at:at + CSUM_BYTES]).digest()
                                for at in range(0, len(data), CSUM_BYTES))
            return {"data": data}
        return {}

    # Commands

    def on_connect(self, command: dict) -> dict:
        it = command["connect"]
        self.close()
        for index in range(it.get("streams", 1)):
            ours, theirs = tcp_pair()
            if "buffers" in it:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, it["buffers"])
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, it["buffers"])
            with theirs:
                self.hand_over(theirs, it)
            self.streams.append(Stream(self, index, ours, it["checksums"]))
        if "hello" in it and it["hello"] is None:
            return {}
        hello = {"type": "hello", "protocol_min": 1, "protocol_max": 1, "session": it["session"],
                 "node": it["node"], "peer": it["peer"], "window_requests": 256, "window_bytes": 8 << 20,
                 "hello_flags": int(it["checksums"]), "name": it["name"], **it.get("hello", {})}
        for stream in self.streams:
            stream.say(hello)
        found = {}
        for stream in self.streams:
            if not stream.wait(lambda stream=stream: stream.got, it.get("within", 10)):
                return {"ended": stream.ended}
            found = {"hello": plain(stream.got[0])}
        return found

    def hand_over(self, sock: socket.socket, it: dict) -> None:
        if self.client is None:
            self.client = genl.Client(self.spec)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        operation = self.spec.operations["peer-connect"]
        values = {"name": it["name"], "node-id": it["node"], "session": it["session"], "fd": sock.fileno(),
                  "checksums": it["checksums"]}
        self.client.request("peer-connect", genl.from_json(self.spec, values, operation.attributes))

    def stream(self, command: dict) -> Stream:
        return self.streams[command.get("stream", 0)]

    def on_send(self, command: dict) -> dict:
        stream = self.stream(command)
        messages = command["send"]
        if "tags" in command:
            messages = [{**messages[0], "tag": tag % 256} for tag in range(command["tags"])]
        data = b"".join(encode(message, stream.checksums) for message in messages)
        stream.send(data * command.get("times", 1))
        return {}

    def on_ask(self, command: dict) -> dict:
        """Sends requests and takes their replies; a tag that is used twice takes the later one."""
        stream = self.stream(command)
        before = len(stream.got)
        requests = command["ask"] * command.get("times", 1)
        requests = [{"tag": tag, **message} for tag, message in enumerate(requests)]
        stream.send(b"".join(encode(message, stream.checksums) for message in requests))

        def replies() -> dict:
            return {it["tag"]: it for it in stream.got[before:] if it["type"] == "reply"}

        stream.wait(lambda: len(replies()) >= len(requests), command.get("within", 10))
        found = replies()
        answers = [plain(found[it["tag"]]) if it["tag"] in found else None for it in requests]
        return {"answers": [it and {name: it[name] for name in ("status", "payload", "digest")}
                            for it in answers], "ended": stream.ended}

    def on_behave(self, command: dict) -> dict:
        it = command["behave"]
        if "pong" in it:
            self.pong = it["pong"]
        if "rules" in it:
            self.rules = it["rules"]
        if "deaf" in it:
            (self.hearing.clear if it["deaf"] else self.hearing.set)()
        return {}

    def on_await(self, command: dict) -> dict:
        """Of all streams."""
        kind, count = command["await"], command.get("count", 1)
        deadline = time.monotonic() + command.get("within", 10)

        def found() -> list[dict]:
            return [it for stream in self.streams for it in stream.got if it["type"] == kind]

        while time.monotonic() < deadline:
            if (all(stream.ended for stream in self.streams) if kind == "end" else len(found()) >= count):
                break
            time.sleep(0.01)
        return {"got": [plain(it) for it in found()[-count:]], "count": len(found()),
                "ended": [stream.ended for stream in self.streams]}

    def on_forget(self, command: dict) -> dict:
        for stream in self.streams:
            with stream.changed:
                stream.got = [it for it in stream.got if it["type"] == "hello"]
        return {}

    def on_close(self, command: dict) -> dict:
        self.close()
        return {}

    def close(self) -> None:
        for stream in self.streams:
            stream.close()
        self.streams = []

    def on_expect(self, command: dict) -> dict:
        return {"digest": digest(content(command["expect"], command["count"]))}

    def on_fuzz(self, command: dict) -> dict:
        return Fuzz(self, **command["fuzz"]).run()

    def answer(self, command: dict) -> dict:
        for name in ("connect", "send", "ask", "behave", "await", "forget", "close", "expect", "fuzz"):
            if name in command:
                answer = getattr(self, "on_" + name)(command)
                return {**answer, "wrong": self.wrong} if self.wrong else answer
        return {"wrong": f"not a command: {command}"}


class Fuzz:
    """Sequences of right messages, some of them damaged, on one connection after another until it has sent enough.

    config is the configuration that the kernel has adopted; state as a MESSAGE. link is as "connect" has it.
    """

    DAMAGE = 0.12
    EDGES = [0, 1, 2, 511, 512, 4095, 4096, REGION - 512, REGION, PAYLOAD_MAX, (1 << 31) - 1, 1 << 31,
             (1 << 32) - 1, 1 << 50, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]

    def __init__(self, peer: RawPeer, *, seed: int, messages: int, link: dict, config: dict, state: list,
                 size: int):
        self.peer, self.rng, self.messages, self.link = peer, random.Random(seed), messages, link
        self.config, self.state, self.size = config, state, size
        self.sent = self.damaged = self.connections = self.stamp = 0
        self.replies: dict[int, int] = {}
        self.least = self.free()

    def free(self) -> int:
        with open("/proc/meminfo", encoding="ascii") as info:
            return next(int(line.split()[1]) for line in info if line.startswith("MemAvailable"))

    def run(self) -> dict:
        begun = self.free()
        while self.sent < self.messages:
            self.connect_and_talk()
            self.least = min(self.least, self.free())
        self.peer.close()
        return {"sent": self.sent, "damaged": self.damaged, "connections": self.connections,
                "ok": self.replies.get(0, 0), "refused": sum(self.replies.values()) - self.replies.get(0, 0),
                "used_kib": begun - self.least}

    def connect_and_talk(self) -> None:
        rng = self.rng
        link = {**self.link, "session": rng.randrange(1, 1 << 63), "checksums": rng.random() < 0.3,
                "streams": rng.randrange(1, 4), "within": 3}
        if rng.random() < 0.1:
            link["hello"] = {rng.choice(FIELDS["hello"][:-2]): rng.choice(self.EDGES[:13])}
            # With hello_flags the kernel would send checksums that this side does not expect.
            link["hello"] = {name: value for name, value in link["hello"].items()
                             if name not in ("name", "hello_flags")}
        try:
            self.connections += 1
            greeted = "hello" in self.peer.on_connect({"connect": link})
        except (genl.Refused, struct.error):
            time.sleep(0.02)  # streams of the last connection are still ending
            return
        if not greeted:
            return
        streams = self.peer.streams
        for message in self.state:
            self.stamp += 1
            streams[0].say({**message, "stamp": self.stamp} if message["type"] == "state" else message)
        for _ in range(rng.randrange(5, 80)):
            stream = rng.choice(streams)
            if stream.ended is not None or not self.say_one(stream):
                break
        if rng.random() < 0.7:
            streams[0].wait(lambda: streams[0].ended, 0.02)
        for stream in streams:
            for message in stream.got:
                if message["type"] == "reply":
                    self.replies[message["status"]] = self.replies.get(message["status"], 0) + 1

    def say_one(self, stream: Stream) -> bool:
        self.sent += 1
        message = self.right()
        if self.rng.random() > self.DAMAGE:
            return stream.say(message)
        self.damaged += 1
        return stream.send(self.damage(message, stream.checksums))

    def right(self) -> dict:
        """A message that may be sent."""
        rng = self.rng
        kind = rng.choice([*NAMES.values(), "write", "write", "read"])
        if kind == "hello":
            kind = "ping"
        if kind == "goodbye" and rng.random() < 0.9:
            kind = "flush"
        block = rng.randrange(self.size // 4096)
        count = 512 * rng.choice([1, 1, 2, 8])
        message = {"type": kind, **self.config, "offset": block * 4096, "bytes": count,
                   "generation": rng.randrange(2, 1 << 20), "stable": rng.choice([0, 0, 0, 1])}
        if kind in REQUESTS:
            message |= {"tag": rng.randrange(256), "seed": rng.randrange(1 << 20),
                        "flags": 2 if rng.random() < 0.2 else 0}
        if kind in ("marks", "dirty"):
            message |= {"offset": rng.randrange(8), "bytes": rng.randrange(32)}
        elif kind == "settled":
            message["offset"] = self.size
        elif kind in ("state", "volume"):
            message = next(dict(it) for it in self.state if it["type"] == kind)
            self.stamp += 1
            if kind == "state":
                message |= {"stamp": self.stamp, "state_flags": rng.randrange(16), "epoch": rng.randrange(9)}
        elif kind in ("ping", "pong"):
            message |= {"time": rng.choice(self.EDGES), "ping_flags": rng.randrange(2),
                        "term_ms": rng.choice(self.EDGES[:13])}
        elif kind == "token":
            message |= {"grant": 1, "token_flags": rng.randrange(2)}
        elif kind == "reply":
            message = {"type": kind, "tag": rng.randrange(4), "status": rng.randrange(7)}
        return message

    def damage(self, message: dict, checksums: bool) -> bytes:
        """Its bytes, wrong: a field, before the crc or after it; bits; cut short; twice; with a tail."""
        rng = self.rng
        way = rng.randrange(6)
        if way == 0:
            names = [*(name for name in FIELDS[message["type"]] if name not in ("spare", "lineage")),
                     "magic", "number", "flags", "volume", "tag", "length", "crc"]
            field = rng.choice(names)
            wide = field in ("epoch", "id", "generation", "stable", "offset", "next", "stamp", "time")
            limit = {"number": 32, "magic": 1 << 16, "flags": 256, "volume": 1 << 16}.get(field, 1 << 32)
            value = rng.choice(self.EDGES) % (1 << 64 if wide else limit)
            return encode({**message, field: value, **({"payload": message["bytes"]} if message["type"] == "write"
                                                       else {})}, checksums)
        data = bytearray(encode(message, checksums))
        if way == 1:
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif way == 2:
            at = rng.randrange(min(len(data), HEADER.size + 56))
            data[at:at + 4] = rng.randbytes(4)
        elif way == 3:
            del data[rng.randrange(len(data)):]
        elif way == 4:
            data += bytes(data)
        else:
            data += rng.randbytes(rng.randrange(1, 64))
        return bytes(data)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


def main() -> None:
    peer = RawPeer(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = peer.answer(json.loads(line))
        except genl.Refused as refused:
            answer = refused.answer()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
