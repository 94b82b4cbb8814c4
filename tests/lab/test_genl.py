# SPDX-License-Identifier: GPL-2.0-or-later
"""The second decoder of the netlink spec (guest/genl.py) against bytes worked out by hand.

It has to be right about all that a spec may say before the module's own spec says it.
"""
import random
import struct
import sys

import pytest
from braidlab.machine import GUEST

sys.path.insert(0, str(GUEST))
import genl  # noqa: E402
import netlink_fuzz  # noqa: E402

SPEC = """
name: thing
definitions:
  - {name: most, type: const, value: 3}
  - {name: colour, type: enum, value-start: 2, entries: [red, green]}
  - {name: mood, type: flags, entries: [glad, {name: mad}]}
attribute-sets:
  - name: leaf
    attributes:
      - {name: size, type: u8, checks: {min: 1, max: most}}
      - {name: label, type: string, checks: {max-len: 4}}
  - name: tree
    attributes:
      - {name: id, type: u64}
      - {name: colour, type: u32, enum: colour}
      - {name: moods, type: u16, checks: {flags-mask: mood}}
      - {name: leaf, type: nest, nested-attributes: leaf, multi-attr: true}
      - {name: key, type: binary, checks: {exact-len: 3}}
      - {name: quick, type: flag}
      - {name: cold, type: s32, checks: {min: -2}}
operations:
  list:
    - {name: grown, event: {attributes: [id]}}
    - name: grow
      attribute-set: tree
      do: {request: {attributes: [id, colour, moods, leaf, key, quick, cold]}}
    - name: show
      attribute-set: tree
      dump: {reply: {attributes: [id]}}
"""
MESSAGE = {"id": 5, "colour": 3, "moods": 2, "leaf": [{"size": 1, "label": "ab"}, {"size": 3}],
           "key": b"\1\2\3", "quick": True, "cold": -2}
BYTES = bytes.fromhex(
    "0c000100 0500000000000000"
    "08000200 03000000"
    "06000300 0200 0000"
    "14000480 05000100 01 000000 07000200 616200 00"
    "0c000480 05000100 03 000000"
    "07000500 010203 00"
    "04000600"
    "08000700 feffffff")


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "thing.yaml").write_text(SPEC)
    return genl.Spec(tmp_path / "thing.yaml")


def test_bytes_of_every_type(spec):
    grow = spec.operations["grow"]
    assert (grow.id, grow.kinds) == (2, {"do"})
    assert (spec.operations["show"].id, spec.operations["show"].kinds) == (3, {"dump"})
    assert spec.encode(MESSAGE, grow.attributes) == BYTES
    assert spec.decode(BYTES, grow.request) == MESSAGE


@pytest.mark.parametrize("text", [
    "0b000100 05000000000000 00", "08000200 01000000", "08000200 04000000", "06000300 0400 0000",
    "0c000400 05000100 01 000000", "08000480 04000100", "0c000480 05000100 00 000000",
    "0c000480 05000100 04 000000", "08000480 04000300", "08000480 04000200",
    "0c000480 07000200 616263 00", "10000480 0a000200 616263646500 0000",
    "06000500 0102 0000", "08000500 01020304", "05000600 01 000000", "08000700 fdffffff",
    "08000600", "040006", "03000600", "04000800", "04000000", "04000680",
])
def test_what_the_spec_forbids(spec, text):
    with pytest.raises(genl.Malformed):
        spec.decode(bytes.fromhex(text), spec.operations["grow"].request)


def test_a_reply_is_no_request(spec):
    one = spec.encode({"id": 1}, spec.operations["show"].attributes)
    assert spec.decode(one, spec.operations["show"].reply) == {"id": 1}
    with pytest.raises(genl.Malformed, match="does not belong here"):
        spec.decode(one, spec.operations["show"].request)


def error(number, *notes):
    body = struct.pack("=i", -number) + bytes(16) + b"".join(genl.put(*note) for note in notes)
    data = genl.HEADER.pack(16 + len(body), 2, genl.F_CAPPED | genl.F_ACK_TLVS, 7, 0) + body
    (answer,) = genl.answers(data)
    return answer


def test_an_error_names_attributes_also_in_nests(spec):
    client = genl.Client.__new__(genl.Client)
    client.spec = spec
    offset = genl.HEADERS + BYTES.index(bytes.fromhex("05000100 03"))
    nest = genl.HEADERS + BYTES.index(bytes.fromhex("0c000480"))

    def refusal(*notes):
        return client.refusal(error(22, *notes), spec.operations["grow"], BYTES)

    it = refusal((1, b"no\0"), (2, struct.pack("=I", offset)))
    assert (it.errno, it.message, it.attribute, it.missing) == (22, "no", "leaf.size", None)
    it = refusal((5, struct.pack("=I", 2)), (6, struct.pack("=I", nest)))
    assert (it.attribute, it.missing) == (None, "label")
    assert refusal((5, struct.pack("=I", 2))).missing == "colour"
    with pytest.raises(genl.Malformed, match="no attribute begins"):
        refusal((2, struct.pack("=I", offset + 1)))


def test_samples_are_right_and_mutants_repeat(spec):
    """Else the fuzzer would send nothing that is accepted, or could not repeat what it found."""
    mutator = netlink_fuzz.Mutator(spec, 30, random.Random("x"))
    seen = set()
    for _ in range(300):
        data = mutator.request(times=0)
        assert netlink_fuzz.judge(data, spec, 30)[0] == netlink_fuzz.EITHER, data.hex()
        operation = next(it for it in spec.operations.values() if it.id == data[16])
        seen |= {operation.name, *spec.decode(data[20:], operation.request)}
    assert seen == {"grow", "show", *MESSAGE}

    runs = [[it.message() for _ in range(500)] for it in
            (netlink_fuzz.Mutator(spec, 30, random.Random("y")) for _ in range(2))]
    assert runs[0] == runs[1]
    verdicts = [netlink_fuzz.judge(part, spec, 30)[0]
                for data in runs[0] for part in netlink_fuzz.requests(data)]
    assert min(verdicts.count(verdict) for verdict in ("refuse", "ignore", "either")) > 10


def test_json_names_what_bytes_number(spec):
    attributes = spec.operations["grow"].attributes
    text = {**MESSAGE, "colour": "green", "key": "010203"}
    assert genl.to_json(spec, MESSAGE, attributes) == text
    assert genl.from_json(spec, {**text, "quick": True, "cold": None, "leaf": MESSAGE["leaf"]},
                          attributes) == {k: v for k, v in MESSAGE.items() if k != "cold"}
    assert "quick" not in genl.from_json(spec, {"quick": False}, attributes)


def test_events_have_numbers_among_the_operations(spec):
    assert spec.events == {}  # "grown" has no attributes of its own
    assert [it.id for it in spec.operations.values()] == [2, 3]
