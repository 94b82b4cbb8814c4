#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends a netlink family messages that its spec describes, most of them wrong in some way.

    netlink_fuzz.py SPEC SEED COUNT

Each datagram is also read here, as genl.py reads the spec, and the kernel's answers are compared
with that: what the spec forbids must be refused, every request must be answered, a reply must
decode, and a refusal of what the spec allows must say why and name the attribute. The first
difference is printed with its datagram and ends the run with exit code 1. Prints as JSON what was
sent and answered.
"""
import errno
import json
import os
import random
import struct
import sys
from collections import Counter
from dataclasses import dataclass

import genl

NOBODY = 65534
NAMES = [b"a\0", b"b\0"]  # of objects that are met again
F_KNOWN = genl.F_REQUEST | genl.F_ACK | 0x8  # what generic netlink lets through, with NLM_F_ECHO
LARGEST = 65535 - 4


@dataclass
class Raw:
    """An attribute on its way to be wrong. length, where set, is said instead of its own."""

    kind: int
    payload: bytes
    length: int | None = None

    def bytes(self) -> bytes:
        data = genl.put(self.kind, self.payload)
        return data if self.length is None else struct.pack("=H", self.length) + data[2:]


class Sampler:
    """Messages that are right, as far as the spec tells."""

    def __init__(self, spec: genl.Spec, rng: random.Random):
        self.spec, self.rng = spec, rng

    def attributes(self, choice: list[genl.Attribute], depth: int = 0) -> list[Raw]:
        found = []
        for it in choice:
            if self.rng.random() < 0.1:
                continue
            for _ in range(self.rng.randint(0, 3) if it.multi else 1):
                found.append(Raw(it.id | (genl.NLA_NESTED if it.type == "nest" else 0),
                                 self.payload(it, depth)))
        return found

    def payload(self, it: genl.Attribute, depth: int = 0) -> bytes:
        rng = self.rng
        if it.type in genl.INTEGERS:
            return self.number(it)
        if it.type == "flag":
            return b""
        if it.type == "nest":
            inner = self.attributes(self.spec.sets[it.nested], depth + 1) if depth < 8 else []
            return b"".join(raw.bytes() for raw in inner)
        if it.type == "string" and rng.random() < 0.8:
            return rng.choice(NAMES)
        size = rng.randint(it.low or 0, min(it.high or 64, 256))
        if it.type == "string":
            return bytes(rng.randint(1, 255) for _ in range(size)) + b"\0"
        return rng.randbytes(size)

    def number(self, it: genl.Attribute) -> bytes:
        """Mostly a bound or a number near one: that is where versions, sizes and indexes differ."""
        form = genl.INTEGERS[it.type]
        bits = 8 * struct.calcsize(form)
        if it.mask is not None:
            return struct.pack(form, self.rng.getrandbits(bits) & it.mask)
        least = 0 if it.type[0] == "u" else -1 << bits - 1
        low = least if it.low is None else it.low
        high = least + (1 << bits) - 1 if it.high is None else it.high
        value = self.rng.choice([low, low, low, low + 1, high, high - 1,
                                 self.rng.randint(low, high)])
        return struct.pack(form, max(low, min(value, high)))


class Mutator(Sampler):
    """Makes right messages wrong. Each method named attribute_* or header_* is a way to do so."""

    def __init__(self, spec: genl.Spec, family: int, rng: random.Random):
        super().__init__(spec, rng)
        self.family, self.used, self.sequence = family, Counter(), 0
        ways = {name: getattr(self, name) for name in sorted(dir(self))}
        self.of_attributes = {n: way for n, way in ways.items() if n.startswith("attribute_")}
        self.of_headers = {n: way for n, way in ways.items() if n.startswith("header_")}

    def message(self) -> bytes:
        """One datagram: right, with wrong attributes, a wrong header, or both of them."""
        data = self.request(self.rng.choice([0, 0, 1, 2, 3]))
        for _ in range(self.rng.choice([0, 0, 0, 1, 2])):
            data = self.use(self.of_headers, data, None)
        return data

    def request(self, times: int) -> bytes:
        """A request for a random operation, its attributes made wrong this many times."""
        operation = self.rng.choice(list(self.spec.operations.values()))
        attributes = self.attributes(operation.request)
        for _ in range(times):
            attributes = self.use(self.of_attributes, attributes, operation)
        self.sequence += 1
        flags = genl.F_REQUEST | genl.F_ACK
        if self.rng.choice(sorted(operation.kinds)) == "dump":
            flags |= genl.F_DUMP
        return genl.message(self.family, operation.id, b"".join(raw.bytes() for raw in attributes),
                            flags=flags, sequence=self.sequence)

    def use(self, ways: dict, subject: object, context: object) -> object:
        name = self.rng.choice(list(ways))
        self.used[name] += 1
        return ways[name](subject, context)

    # Ways of attributes

    def attribute_number(self, attributes: list[Raw], operation: genl.Operation) -> list[Raw]:
        """An attribute of a reply, of nobody, or number 0."""
        most = len(operation.attributes) + 2
        for raw in self.one_of(attributes):
            raw.kind = self.rng.choice([0, self.rng.randint(1, most), self.rng.getrandbits(14)])
        return attributes

    def attribute_marks(self, attributes: list[Raw], _) -> list[Raw]:
        for raw in self.one_of(attributes):
            raw.kind ^= self.rng.choice([genl.NLA_NESTED, genl.NLA_NET_BYTEORDER, 0xc000])
        return attributes

    def attribute_size(self, attributes: list[Raw], _) -> list[Raw]:
        for raw in self.one_of(attributes):
            size = self.rng.choice([0, 1, 2, 3, 5, 8, self.rng.randint(0, 300)])
            raw.payload = (raw.payload + self.rng.randbytes(size))[:size]
        return attributes

    def attribute_length(self, attributes: list[Raw], _) -> list[Raw]:
        """One that lies about its length."""
        for raw in self.one_of(attributes):
            more = min(len(raw.payload) + self.rng.randint(0, 12), 0xffff)
            raw.length = self.rng.choice([0, 3, 4, more, 0xffff])
        return attributes

    def attribute_value(self, attributes: list[Raw], _) -> list[Raw]:
        for raw in self.one_of(attributes):
            value = self.rng.choice([0, 1, 2, -1, 1 << 31, (1 << 31) - 1, self.rng.getrandbits(63)])
            raw.payload = struct.pack("=q", value)[:len(raw.payload)].ljust(len(raw.payload), b"\0")
        return attributes

    def attribute_twice(self, attributes: list[Raw], _) -> list[Raw]:
        return attributes + [Raw(raw.kind, raw.payload) for raw in self.one_of(attributes)]

    def attribute_order(self, attributes: list[Raw], _) -> list[Raw]:
        self.rng.shuffle(attributes)
        return attributes

    def attribute_lost(self, attributes: list[Raw], _) -> list[Raw]:
        lost = self.one_of(attributes)
        return [raw for raw in attributes if raw not in lost]

    def attribute_nest(self, attributes: list[Raw], operation: genl.Operation) -> list[Raw]:
        """All attributes inside of one, up to many levels deep."""
        for _ in range(self.rng.choice([1, 1, 2, 2, 3, 50])):
            kind = self.rng.randint(1, len(operation.attributes) + 1) | genl.NLA_NESTED
            attributes = [Raw(kind, b"".join(raw.bytes() for raw in attributes)[:LARGEST])]
        return attributes

    def attribute_many(self, attributes: list[Raw], _) -> list[Raw]:
        size = sum(len(raw.payload) + 4 for raw in attributes)
        most = (1 << 16) // (size + 1)
        return attributes * min(most, self.rng.choice([2] * 15 + [50] * 4 + [1000]))

    def attribute_huge(self, attributes: list[Raw], _) -> list[Raw]:
        for raw in self.one_of(attributes):
            raw.payload = bytes(self.rng.choice([1 << 9] * 6 + [1 << 12] * 3 + [LARGEST]))
        return attributes

    def one_of(self, attributes: list[Raw]) -> list[Raw]:
        return [self.rng.choice(attributes)] if attributes else []

    # Ways of whole messages

    def header_cut(self, data: bytes, _) -> bytes:
        """Ends anywhere, and the header may know it."""
        data = data[:self.rng.randint(1, len(data))]
        if len(data) >= genl.HEADER.size and self.rng.random() < 0.7:
            data = struct.pack("=I", len(data)) + data[4:]
        return data

    def header_length(self, data: bytes, _) -> bytes:
        near = self.rng.randint(16, 40)
        length = self.rng.choice([0, 15, 16, 19, len(data) + 1, 0xffffffff, near])
        return struct.pack("=I", length) + data[4:]

    def header_stray(self, data: bytes, _) -> bytes:
        """Bytes after the last attribute, which the message may count as its own."""
        data += self.rng.randbytes(self.rng.randint(1, 40))
        return struct.pack("=I", len(data)) + data[4:] if self.rng.random() < 0.7 else data

    def header_kind(self, data: bytes, _) -> bytes:
        """Control messages and families that do not exist; never one that does."""
        kind = self.rng.choice([0, genl.NLMSG_ERROR, genl.NLMSG_DONE, 4, 15, 0x3ff, 0xffff])
        return data[:4] + struct.pack("=H", kind) + data[6:]

    def header_flags(self, data: bytes, _) -> bytes:
        flags = self.rng.choice([
            genl.F_REQUEST, genl.F_ACK, genl.F_REQUEST | genl.F_ACK | genl.F_DUMP,
            genl.F_REQUEST | genl.F_ACK | 1 << self.rng.randrange(16), self.rng.getrandbits(16)])
        return data[:6] + struct.pack("=H", flags) + data[8:]

    def header_command(self, data: bytes, _) -> bytes:
        command = self.rng.choice([0, len(self.spec.operations) + 1, 255, self.rng.getrandbits(8)])
        return data[:16] + bytes([command]) + data[17:]

    def header_version(self, data: bytes, _) -> bytes:
        return data[:17] + bytes([self.rng.getrandbits(8)]) + data[18:]

    def header_reserved(self, data: bytes, _) -> bytes:
        return data[:18] + struct.pack("=H", self.rng.choice([0, 1, 0xffff])) + data[20:]

    def header_noise(self, data: bytes, _) -> bytes:
        """Nothing but noise after the headers."""
        data = data[:genl.HEADERS] + self.rng.randbytes(self.rng.randint(0, 200))
        return struct.pack("=I", len(data)) + data[4:]

    def header_second(self, data: bytes, _) -> bytes:
        """Another request in the same datagram."""
        return data + bytes(-len(data) % 4) + self.request(self.rng.randint(0, 1))


REFUSE, IGNORE, EITHER = "refuse", "ignore", "either"


def requests(data: bytes):
    """The messages in a datagram that the kernel sees: it stops at a header that lies."""
    while len(data) >= genl.HEADER.size:
        length = struct.unpack_from("=I", data)[0]
        if not genl.HEADER.size <= length <= len(data):
            return
        yield data[:length]
        data = data[(length + 3) & ~3:]


def judge(data: bytes, spec: genl.Spec, family: int) -> tuple[str, genl.Operation | None]:
    """What must become of a message. EITHER: the spec allows it, the operation may refuse it."""
    _, kind, flags, _, _ = genl.HEADER.unpack_from(data)
    if not flags & genl.F_REQUEST or kind < 16:
        return IGNORE, None  # no request: acknowledged, where asked for, and left alone
    if kind != family or len(data) < genl.HEADERS:
        return REFUSE, None
    command, _, reserved = struct.unpack_from("=BBH", data, genl.HEADER.size)
    dump = flags & genl.F_DUMP
    operation = next((it for it in spec.operations.values() if it.id == command), None)
    if operation is None or ("dump" if dump else "do") not in operation.kinds:
        # One bit of the two alone is no dump and not allowed either.
        return REFUSE, None
    if reserved or flags & ~(F_KNOWN | (genl.F_DUMP if dump == genl.F_DUMP else 0)):
        return REFUSE, None
    try:
        spec.decode(data[genl.HEADERS:], operation.request)
    except genl.Malformed:
        return REFUSE, None
    return EITHER, operation


class Fuzzer:
    def __init__(self, spec: genl.Spec):
        self.spec, self.client = spec, genl.Client(spec)
        self.client.socket.setblocking(False)
        self.outcomes = Counter()
        # One buffer for all: mapping memory is what takes the time in User-Mode Linux.
        self.buffer = memoryview(bytearray(1 << 16))

    def send(self, data: bytes) -> list[genl.Answer] | None:
        """All answers to a datagram, or None when the socket did not take it."""
        try:
            self.client.socket.send(data)
        except OSError as error:
            self.outcomes["unsent " + genl.error_name(error.errno)] += 1
            return None
        found = []
        # The kernel answers before send returns; a dump goes on while its answers are taken.
        while True:
            try:
                size = self.client.socket.recv_into(self.buffer)
                found += genl.answers(bytes(self.buffer[:size]))
            except BlockingIOError:
                return found

    def check(self, data: bytes) -> None:
        """Sends a datagram; raises when its answers are not those that the spec demands."""
        found = self.send(data)
        if found is None:
            return
        wanted = list(requests(data))
        if not wanted:
            self.outcomes["silence"] += 1
        sequences = [struct.unpack_from("=I", request, 8)[0] for request in wanted]
        if len(set(sequences)) < len(sequences):
            self.outcomes["ambiguous"] += 1  # an attribute that is there twice, read as requests
            return
        for request, sequence in zip(wanted, sequences):
            self.check_one(request, [it for it in found if it.sequence == sequence])
            found = [it for it in found if it.sequence != sequence]
        demand(not found, f"answers that nobody asked for: {found}")

    def check_one(self, request: bytes, found: list[genl.Answer]) -> None:
        verdict, operation = judge(request, self.spec, self.client.family)
        ends = [it for it in found if it.error is not None]
        replies = [it for it in found if it.error is None]
        owed = struct.unpack_from("=H", request, 6)[0] & genl.F_ACK
        demand(len(ends) == 1 or not ends and not owed and verdict != REFUSE,
               f"{len(ends)} ends of request that is to {verdict}")
        refused = bool(ends and ends[0].error)
        flags = struct.unpack_from("=H", request, 6)[0]
        dump = flags & genl.F_DUMP == genl.F_DUMP
        demand(not (refused and verdict == IGNORE or not refused and verdict == REFUSE),
               f"is to {verdict}, was answered {ends}")
        if refused:
            self.outcomes[genl.error_name(ends[0].error)] += 1
            if dump and ends[0].error == errno.EBUSY:
                return  # the kernel's core, about an earlier dump of this socket
            demand(not replies, f"replies to what was refused: {replies}")
            if verdict == EITHER:
                why = self.client.refusal(ends[0], operation, request[genl.HEADERS:])
                # The kernel's core tells of a refused dump no more than the message.
                demand(why.message and (why.attribute or why.missing or dump),
                       f"no reason given: {why}")
        elif verdict == EITHER:
            self.outcomes["accepted"] += 1
            # A dump describes what there is, which may be nothing.
            demand(bool(replies) == bool(operation.reply) or dump, f"{len(replies)} replies")
            for reply in replies:
                demand(reply.command == operation.id, f"a reply of command {reply.command}")
                self.spec.decode(reply.body, operation.reply)
        else:
            self.outcomes["ignored"] += 1


def demand(condition: object, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


def main() -> int:
    spec, seed, count = genl.Spec(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    fuzzer = Fuzzer(spec)
    mutator = Mutator(spec, fuzzer.client.family, random.Random(seed))
    for number in range(count):
        data = mutator.message()
        try:
            fuzzer.check(data)
        except Exception as error:
            print(f"datagram {number}: {type(error).__name__}: {error}\n{data[:400].hex()}",
                  file=sys.stderr)
            return 1
    told = strangers(spec, mutator)
    print(json.dumps({"outcomes": fuzzer.outcomes, "used": mutator.used, "strangers": told,
                      "left": clear(genl.Client(spec))}))
    return 0


def clear(client: genl.Client) -> int:
    """Takes down what the messages have made: how many resources."""
    resources = client.dump("resource-get")
    for resource in resources:
        client.request("resource-del", {"name": resource["name"], "force": True})
    return len(resources)


def strangers(spec: genl.Spec, mutator: Mutator) -> Counter:
    """What somebody without privileges is told, by operation, whatever he sends to it."""
    os.seteuid(NOBODY)
    fuzzer, told = Fuzzer(spec), Counter()
    for number in range(200 * len(spec.operations)):
        data = mutator.request(times=number % 4)
        operation = next(it.name for it in spec.operations.values() if it.id == data[16])
        ends = fuzzer.send(data)
        if ends is not None:
            words = [genl.error_name(it.error) if it.error else "served" for it in ends]
            told[" ".join([operation, *words])] += 1
    os.seteuid(0)
    return told


if __name__ == "__main__":
    sys.exit(main())
