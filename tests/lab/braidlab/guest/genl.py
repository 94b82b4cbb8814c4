#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A generic netlink client made from a netlink spec alone, and from nothing else of Braid.

    genl.py SPEC OPERATION [ATTRIBUTE=VALUE ...] [-- OPERATION [ATTRIBUTE=VALUE ...]] ...

prints for each request its reply or its refusal as one line of JSON, and exits with 1 if one was
refused. ATTRIBUTE is a name or a number, VALUE a number, a text or hex:BYTES for the bare payload
of an attribute. As a library it builds messages, also wrong ones, and takes them apart.

It shares no line with scripts/gen_netlink, which the module and the userland come from: a mistake
that one of them makes in reading the spec is seen by the other.
"""
import errno
import json
import os
import socket
import struct
import sys
from dataclasses import dataclass, field

import yaml

NETLINK_GENERIC = 16  # socket has it from Python 3.12 on
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_ACK, F_DUMP = 0x1, 0x4, 0x300
F_CAPPED, F_ACK_TLVS = 0x100, 0x200
NLA_NESTED, NLA_NET_BYTEORDER = 0x8000, 0x4000
SOL_NETLINK, CAP_ACK, EXT_ACK, GET_STRICT_CHK = 270, 10, 11, 12
ERR_MSG, ERR_OFFS, ERR_MISS_TYPE, ERR_MISS_NEST = 1, 2, 5, 6
CTRL, CTRL_GETFAMILY, CTRL_FAMILY_ID, CTRL_FAMILY_NAME, CTRL_GROUPS = 0x10, 3, 1, 2, 7
GROUP_NAME, GROUP_ID, ADD_MEMBERSHIP = 1, 2, 1
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
HEADERS = HEADER.size + 4  # with that of generic netlink: command, version, 2 reserved bytes
INTEGERS = {"u8": "=B", "u16": "=H", "u32": "=I", "u64": "=Q", "s32": "=i", "s64": "=q"}


class Malformed(Exception):
    """Bytes that the spec does not allow."""


class Refused(Exception):
    """The kernel's answer to a request that it refused."""

    def __init__(self, number: int, message: str, attribute: str | None, missing: str | None):
        super().__init__(f"{error_name(number)}: {message}")
        self.errno, self.message = number, message
        self.attribute, self.missing = attribute, missing

    def answer(self) -> dict[str, object]:
        """As the command prints it."""
        return {"error": error_name(self.errno),
                "message": self.message or os.strerror(self.errno),
                "attribute": self.attribute, "missing": self.missing}


@dataclass
class Attribute:
    name: str
    id: int
    type: str
    nested: str = ""
    multi: bool = False
    low: int | None = None  # of a number its value, of a string or binary its length
    high: int | None = None
    mask: int | None = None
    names: list[str] = field(default_factory=list)  # of an enum's values, from low on


@dataclass
class Operation:
    name: str
    id: int
    attributes: list[Attribute]
    request: list[Attribute]
    reply: list[Attribute]
    kinds: set[str] = field(default_factory=set)


class Spec:
    """What a spec says of its family's bytes."""

    def __init__(self, path: str):
        with open(path, encoding="utf-8") as file:
            spec = yaml.safe_load(file)
        self.name = spec["name"]
        self._definitions = {item["name"]: item for item in spec.get("definitions", [])}
        self.sets = {item["name"]: [self._attribute(number, attribute) for number, attribute
                                    in enumerate(item["attributes"], 1)]
                     for item in spec["attribute-sets"]}
        self.operations, self.events = {}, {}
        for number, item in enumerate(spec["operations"]["list"], 1):
            kinds = {"do", "dump"} & set(item)
            if kinds:
                self.operations[item["name"]] = self._operation(number, item, kinds)
            if "event" in item and "attribute-set" in item:
                self.events[number] = self._operation(number, item, set())

    def _operation(self, number: int, item: dict, kinds: set[str]) -> Operation:
        attributes = self.sets[item["attribute-set"]] if "attribute-set" in item else []

        def listed(side: str) -> list[Attribute]:
            names = {name for kind in kinds for name in
                     ((item[kind] or {}).get(side) or {}).get("attributes", [])}
            return [attribute for attribute in attributes if attribute.name in names]

        return Operation(item["name"], number, attributes, listed("request"), listed("reply"),
                         kinds)

    def _attribute(self, number: int, item: dict) -> Attribute:
        it = Attribute(item["name"], number, item["type"], item.get("nested-attributes", ""),
                       item.get("multi-attr", False))
        checks = item.get("checks", {})
        for side, keys in (("low", ("min", "min-len", "exact-len")),
                           ("high", ("max", "max-len", "exact-len"))):
            for key in keys:
                if key in checks:
                    setattr(it, side, self._number(checks[key]))
        named = self._definitions.get(item.get("enum", checks.get("flags-mask")))
        if named and named["type"] == "flags":
            it.mask = (1 << len(named["entries"])) - 1
        elif named:
            it.low = named.get("value-start", 0)
            it.names = [entry if isinstance(entry, str) else entry["name"]
                        for entry in named["entries"]]
            it.high = it.low + len(it.names) - 1
        return it

    def _number(self, value: int | str) -> int:
        return value if isinstance(value, int) else self._definitions[value]["value"]

    def encode(self, values: dict[str, object], attributes: list[Attribute]) -> bytes:
        """The bytes of named attributes, in the order of values."""
        by_name = {attribute.name: attribute for attribute in attributes}
        out = b""
        for name, value in values.items():
            it = by_name[name]
            for one in value if it.multi else [value]:
                out += put(it.id | (NLA_NESTED if it.type == "nest" else 0), self._payload(it, one))
        return out

    def _payload(self, it: Attribute, value: object) -> bytes:
        if it.type in INTEGERS:
            return struct.pack(INTEGERS[it.type], value)
        if it.type == "string":
            return value.encode() + b"\0"
        if it.type == "nest":
            return self.encode(value, self.sets[it.nested])
        return b"" if it.type == "flag" else bytes(value)

    def decode(self, data: bytes, attributes: list[Attribute]) -> dict[str, object]:
        """The attributes of a message, by name. Malformed when the spec does not allow them.

        As in the kernel the last of several equal attributes counts, and the mark for network byte
        order is passed over.
        """
        by_id = {attribute.id: attribute for attribute in attributes}
        values = {}
        for _, kind, payload in walk(data):
            it = by_id.get(kind & ~(NLA_NESTED | NLA_NET_BYTEORDER))
            if it is None:
                raise Malformed(f"attribute {kind:#x} does not belong here")
            if (it.type == "nest") != bool(kind & NLA_NESTED):
                raise Malformed(f"{it.name}: the mark of a nest is wrong")
            value = self._value(it, payload)
            values[it.name] = values.get(it.name, []) + [value] if it.multi else value
        return values

    def _value(self, it: Attribute, payload: bytes) -> object:
        if it.type in INTEGERS:
            if len(payload) != struct.calcsize(INTEGERS[it.type]):
                raise Malformed(f"{it.name}: {len(payload)} bytes are no {it.type}")
            value = measured = struct.unpack(INTEGERS[it.type], payload)[0]
            if it.mask is not None and value & ~it.mask:
                raise Malformed(f"{it.name}: {value:#x} has bits without a meaning")
        elif it.type == "nest":
            return self.decode(payload, self.sets[it.nested])
        elif it.type == "flag":
            if payload:
                raise Malformed(f"{it.name}: a flag has no value")
            return True
        elif it.type == "string":
            text, nul, _ = payload.partition(b"\0")
            if not nul:
                raise Malformed(f"{it.name}: a string without an end")
            value = text.decode(errors="surrogateescape")
            measured = len(payload) - payload.endswith(b"\0")
        else:
            value, measured = payload, len(payload)
        if (it.low is not None and measured < it.low
                or it.high is not None and measured > it.high):
            raise Malformed(f"{it.name}: {measured} is not in {it.low}..{it.high}")
        return value


def to_json(spec: Spec, values: dict[str, object], attributes: list[Attribute]) -> dict[str, object]:
    """Decoded attributes as a person writes them: enums by name, bytes in hex."""
    by_name = {attribute.name: attribute for attribute in attributes}

    def one(it: Attribute, value: object) -> object:
        if it.type == "nest":
            return to_json(spec, value, spec.sets[it.nested])
        if it.names:
            return it.names[value - it.low]
        return value.hex() if isinstance(value, bytes) else value

    return {name: [one(by_name[name], each) for each in value] if by_name[name].multi
            else one(by_name[name], value) for name, value in values.items()}


def from_json(spec: Spec, values: dict[str, object], attributes: list[Attribute]) -> dict[str, object]:
    """The reverse, for Spec.encode. What is None or False isn't sent: so a flag can be given."""
    by_name = {attribute.name: attribute for attribute in attributes}

    def one(it: Attribute, value: object) -> object:
        if it.type == "nest":
            return from_json(spec, value, spec.sets[it.nested])
        if it.names and isinstance(value, str):
            return it.low + it.names.index(value)
        if it.type == "binary":  # "0a0b*100" is that a hundred times
            pattern, _, times = value.partition("*")
            return bytes.fromhex(pattern) * int(times or 1)
        return value

    return {name: [one(by_name[name], each) for each in value] if by_name[name].multi
            else one(by_name[name], value) for name, value in values.items()
            if value is not None and value is not False}


def put(kind: int, payload: bytes) -> bytes:
    """One attribute, with the padding that follows it."""
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def walk(data: bytes):
    """(offset, type with its marks, payload) of each attribute in data."""
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from("=HH", data, at) if len(data) - at >= 4 else (0, 0)
        if length < 4 or at + length > len(data):
            raise Malformed(f"{len(data) - at} stray bytes")
        yield at, kind, data[at + 4:at + length]
        at += (length + 3) & ~3


def message(kind: int, command: int, attributes: bytes, *, flags: int = F_REQUEST | F_ACK,
            sequence: int = 0) -> bytes:
    """A whole request."""
    return (HEADER.pack(HEADERS + len(attributes), kind, flags, sequence, 0)
            + struct.pack("=BBH", command, 1, 0) + attributes)


@dataclass
class Answer:
    """One message from the kernel: a reply, or with error not None an acknowledgement."""

    sequence: int
    kind: int
    body: bytes = b""
    command: int = 0
    error: int | None = None
    notes: dict[int, bytes] = field(default_factory=dict)


def answers(data: bytes):
    """The messages of one datagram from the kernel."""
    while data:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data)
        if not HEADER.size <= length <= len(data):
            raise Malformed(f"a message of {length} bytes in {len(data)}")
        body, data = data[HEADER.size:length], data[(length + 3) & ~3:]
        if kind in (NLMSG_ERROR, NLMSG_DONE):
            it = Answer(sequence, kind, error=-struct.unpack_from("=i", body)[0])
            echo = 4 if kind == NLMSG_DONE else 4 + HEADER.size
            if kind == NLMSG_ERROR and not flags & F_CAPPED:
                echo = 4 + ((HEADER.unpack_from(body, 4)[0] + 3) & ~3)
            if flags & F_ACK_TLVS:
                it.notes = {number: payload for _, number, payload in walk(body[echo:])}
            yield it
        else:
            yield Answer(sequence, kind, body[4:], body[0])


class Client:
    """A socket to the family of a spec."""

    def __init__(self, spec: Spec):
        self.spec, self.sequence = spec, 0
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.bind((0, 0))
        self.socket.settimeout(10)
        for option in (CAP_ACK, EXT_ACK, GET_STRICT_CHK):
            self.socket.setsockopt(SOL_NETLINK, option, 1)
        name = put(CTRL_FAMILY_NAME, spec.name.encode() + b"\0")
        replies, end = self.exchange(message(CTRL, CTRL_GETFAMILY, name))
        if end.error:
            raise Refused(end.error, f"the kernel has no family {spec.name}", None, None)
        about = {kind & ~NLA_NESTED: payload for _, kind, payload in walk(replies[0].body)}
        (self.family,) = struct.unpack("=H", about[CTRL_FAMILY_ID])
        self.groups = {}
        for _, _, group in walk(about.get(CTRL_GROUPS, b"")):
            it = {kind: payload for _, kind, payload in walk(group)}
            self.groups[it[GROUP_NAME].rstrip(b"\0").decode()] = struct.unpack("=I", it[GROUP_ID])[0]

    def request(self, name: str, values: dict[str, object] | bytes = b"") -> dict[str, object]:
        """Does an operation and returns its reply's attributes; Refused when it is refused."""
        operation = self.spec.operations[name]
        data = values
        if not isinstance(values, bytes):
            data = self.spec.encode(values, operation.attributes)
        replies, end = self.exchange(message(self.family, operation.id, data))
        if end.error:
            raise self.refusal(end, operation, data)
        for reply in replies:
            if (reply.kind, reply.command) != (self.family, operation.id):
                raise Malformed(f"{name} was answered by command {reply.command}")
        return self.spec.decode(b"".join(reply.body for reply in replies), operation.reply)

    def dump(self, name: str, values: dict[str, object] | bytes = b"") -> list[dict[str, object]]:
        """All that an operation's dump lists; Refused when it is refused."""
        operation = self.spec.operations[name]
        data = values
        if not isinstance(values, bytes):
            data = self.spec.encode(values, operation.attributes)
        replies, end = self.exchange(message(self.family, operation.id, data,
                                             flags=F_REQUEST | F_DUMP))
        if end.error:
            raise self.refusal(end, operation, data)
        return [self.spec.decode(reply.body, operation.reply) for reply in replies]

    def subscribe(self, group: str) -> None:
        """From now on this socket receives the events of a group: use no other method than events()."""
        self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, self.groups[group])
        self.socket.settimeout(None)

    def events(self):
        """(name, attributes) of each event, without end. OSError with ENOBUFS when some were lost."""
        while True:
            for answer in answers(self.socket.recv(1 << 16)):
                event = self.spec.events[answer.command]
                yield event.name, self.spec.decode(answer.body, event.attributes)

    def exchange(self, request: bytes) -> tuple[list[Answer], Answer]:
        """Sends one request and takes the answers to it: replies, and what ended them."""
        self.sequence += 1
        self.socket.send(request[:8] + struct.pack("=I", self.sequence) + request[12:])
        replies = []
        while True:
            for answer in answers(self.socket.recv(1 << 16)):
                if answer.sequence != self.sequence:
                    raise Malformed(f"answer {answer.sequence} to request {self.sequence}")
                if answer.error is not None:
                    return replies, answer
                replies.append(answer)

    def refusal(self, answer: Answer, operation: Operation, data: bytes) -> Refused:
        """What an error says, with the attributes that it points at called by their names."""
        number = {key: struct.unpack("=I", payload)[0] for key, payload in answer.notes.items()
                  if key in (ERR_OFFS, ERR_MISS_TYPE, ERR_MISS_NEST)}
        attribute = missing = None
        if ERR_OFFS in number:
            attribute, _ = self._find(data, number[ERR_OFFS] - HEADERS, operation.attributes)
        if ERR_MISS_TYPE in number:
            inside = operation.attributes
            if ERR_MISS_NEST in number:
                inside = self._find(data, number[ERR_MISS_NEST] - HEADERS, inside)[1]
            missing = name_of(number[ERR_MISS_TYPE], inside)
        text = answer.notes.get(ERR_MSG, b"").rstrip(b"\0").decode()
        return Refused(answer.error, text, attribute, missing)

    def _find(self, data: bytes, offset: int, attributes: list[Attribute]):
        """The attribute at an offset: its name, and what may be nested in it."""
        for at, kind, payload in walk(data):
            it = next((it for it in attributes if it.id == kind & 0x3fff), None)
            if at == offset:
                return name_of(kind & 0x3fff, attributes), self.sets_of(it)
            if it is not None and it.type == "nest" and at < offset < at + 4 + len(payload):
                name, inside = self._find(payload, offset - at - 4, self.sets_of(it))
                return f"{it.name}.{name}", inside
        raise Malformed(f"the error points at {offset}, where no attribute begins")

    def sets_of(self, it: Attribute | None) -> list[Attribute]:
        return self.spec.sets[it.nested] if it is not None and it.nested else []


def error_name(number: int) -> str:
    """errno.errorcode calls 95 ENOTSUP."""
    names = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}
    return names.get(number, str(number))


def name_of(number: int, attributes: list[Attribute]) -> str:
    return next((it.name for it in attributes if it.id == number), str(number))


def parse_word(word: str, spec: Spec, attributes: list[Attribute]) -> bytes:
    name, _, value = word.partition("=")
    by_name = {attribute.name: attribute for attribute in attributes}
    if value.startswith("hex:"):
        return put(int(name) if name.isdigit() else by_name[name].id, bytes.fromhex(value[4:]))
    number = by_name[name].type in INTEGERS
    return spec.encode({name: int(value, 0) if number else value}, attributes)


def answer_to(client: Client, words: list[str]) -> dict[str, object]:
    operation = client.spec.operations[words[0]]
    data = b"".join(parse_word(word, client.spec, operation.attributes) for word in words[1:])
    try:
        return client.request(operation.name, data)
    except Refused as refused:
        return refused.answer()


def main() -> int:
    requests = [[]]
    for word in sys.argv[2:]:
        if word == "--":
            requests.append([])
        else:
            requests[-1].append(word)
    try:
        client = Client(Spec(sys.argv[1]))
        found = [answer_to(client, words) for words in requests]
    except Refused as refused:
        found = [refused.answer()]
    for answer in found:
        print(json.dumps(answer, default=bytes.hex))
    return int(any("error" in answer for answer in found))


if __name__ == "__main__":
    sys.exit(main())
