# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads Braid's metadata from a disk. Written from the prose of kernel/core/ondisk.h alone, and shares
nothing with the module's code: what both read alike is what the document says.
"""
import os
from dataclasses import dataclass
from pathlib import Path
from struct import unpack_from

BLOCK = 4096
REGION = 4 << 20
VOTE = 16384
FREE = 0xFFFFFFFF
NONE = 0xFF
EXTERNAL = 16
FLAGS = {1: "in-use", 2: "volatile", 4: "suspect", 8: "inconsistent", EXTERNAL: "external"}
CLEAN, LEAF, ALL = range(3)


class Invalid(Exception):
    """The bytes are not what the document says; the text tells what."""


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def need(condition: object, what: str) -> None:
    if not condition:
        raise Invalid(what)


def _check_crc(data: bytes, at: int) -> None:
    need(unpack_from("<I", data, at)[0] == crc32c(data[:at] + bytes(4) + data[at + 4:]), "crc")


def _check_header(data: bytes, magic: bytes, index: int = 0) -> int:
    """Checks the beginning that superblock, votes and log blocks share; returns the sequence."""
    need(data[:8] == magic, f"no magic number {magic.decode()}")
    _check_crc(data, 8)
    version, found, sequence = unpack_from("<HHQ", data, 12)
    need(version == 1, f"version {version}")
    need(found == index, f"index {found} instead of {index}")
    need(sequence > 0, "sequence 0")
    return sequence


def _zero(data: bytes, start: int, end: int) -> None:
    need(not any(data[start:end]), f"reserved bytes {start} to {end} are not zero")


@dataclass(frozen=True)
class Stamp:
    epoch: int
    id: int
    instance: int


@dataclass(frozen=True)
class Config:
    lineage: bytes
    epoch: int
    id: int
    writer: int | None
    in_sync: frozenset
    diskful: frozenset
    members: frozenset
    instance: dict


@dataclass(frozen=True)
class Superblock:
    sequence: int
    uuid: bytes
    volume: int
    node: int
    flags: frozenset
    block_size: int
    data_bytes: int
    votes_offset: int
    log_offset: int
    log_blocks: int
    max_slots: int
    slots_offset: int
    slot_bytes: int
    voter: int
    instance: int
    last: Stamp
    volume_bytes: int
    config: Config
    slots: dict  # number of the slot: (node, Stamp)

    @property
    def regions(self) -> int:
        return -(-self.data_bytes // REGION)

    @property
    def summary_sectors(self) -> int:
        return -(-self.regions // 2016)

    @property
    def leaves_offset(self) -> int:
        """From the start of a slot."""
        return -(-self.summary_sectors * 512 // BLOCK) * BLOCK


def _nodes(mask: int) -> frozenset:
    return frozenset(node for node in range(32) if mask >> node & 1)


def _config(block: bytes) -> Config:
    epoch, number, writer, *masks = unpack_from("<QQIIII", block, 272)
    in_sync, diskful, members = map(_nodes, masks)
    need(in_sync <= diskful <= members, "in_sync, diskful and members")
    need(writer == NONE or writer in members, f"writer {writer}")
    instances = unpack_from("<32Q", block, 304)
    need(all(node in in_sync for node in range(32) if instances[node]), "instance of a node not in sync")
    return Config(block[256:272], epoch, number, None if writer == NONE else writer, in_sync, diskful,
                  members, {node: instances[node] for node in in_sync})


def _slots(block: bytes, max_slots: int) -> dict:
    slots = {}
    for number in range(31):
        at = 1024 + 32 * number
        node, reserved, *stamp = unpack_from("<IIQQQ", block, at)
        need(reserved == 0, f"reserved bytes of slot {number}")
        if node == NONE:
            _zero(block, at + 8, at + 32)
            continue
        need(node < 32 and number < max_slots, f"slot {number} of node {node}")
        need(node not in [other for other, _ in slots.values()], f"node {node} has two slots")
        slots[number] = (node, Stamp(*stamp))
    return slots


def decode_superblock(block: bytes) -> Superblock:
    sequence = _check_header(block, b"BRAID-SB")
    volume, node, flags, block_size = unpack_from("<IIII", block, 40)
    data_bytes, votes, log = unpack_from("<QQQ", block, 56)
    log_blocks, max_slots, slots, slot_bytes = unpack_from("<IIQQ", block, 80)
    voter, instance, *last = unpack_from("<QQQQQ", block, 104)
    (size,) = unpack_from("<Q", block, 144)
    for start, end in (152, 256), (560, 1024), (2016, 4096):
        _zero(block, start, end)
    need(node < 32 and flags < 32 and block_size in (512, 4096), "node, flags or block_size")
    need(0 < data_bytes <= 1 << 50 and data_bytes % BLOCK == 0, f"data_bytes {data_bytes}")
    need(size <= data_bytes and size % BLOCK == 0, f"volume_bytes {size}")
    need(1 <= log_blocks <= 16 and max_slots <= 31, "log_blocks or max_slots")
    names = frozenset(name for bit, name in FLAGS.items() if flags & bit)
    sb = Superblock(sequence, block[24:40], volume, node, names, block_size, data_bytes, votes, log,
                    log_blocks, max_slots, slots, slot_bytes, voter, instance, Stamp(*last), size,
                    _config(block), _slots(block, max_slots))
    least = sb.leaves_offset + -(-sb.regions // 30) * BLOCK
    need(least <= slot_bytes <= 1 << 50 and slot_bytes % BLOCK == 0, f"slot_bytes {slot_bytes}")
    _check_areas(sb)
    return sb


def _check_areas(sb: Superblock) -> None:
    at = 2 * BLOCK if "external" in sb.flags else sb.data_bytes
    for start, size in sorted([(sb.votes_offset, 2 * VOTE), (sb.log_offset, 2 * sb.log_blocks * BLOCK),
                               (sb.slots_offset, sb.max_slots * sb.slot_bytes)]):
        need(start % BLOCK == 0 and start <= 1 << 60, f"offset {start}")
        need(start >= at, f"the area at {start} begins in another one")
        at = start + size


def decode_vote(record: bytes) -> tuple[int, bytes]:
    """Sequence and value."""
    sequence = _check_header(record, b"BRAIDVOT")
    length, reserved = unpack_from("<II", record, 24)
    need(length <= VOTE - 32 and reserved == 0, f"length {length}")
    _zero(record, 32 + length, VOTE)
    return sequence, record[32:32 + length]


def decode_log(block: bytes, index: int) -> tuple[int, int, list[int]]:
    """Sequence, instance, regions."""
    sequence = _check_header(block, b"BRAIDLOG", index)
    regions = [region for region in unpack_from("<1016I", block, 32) if region != FREE]
    need(all(region < 1 << 28 for region in regions), "region of the log")
    return sequence, unpack_from("<Q", block, 24)[0], regions


def decode_summary(sector: bytes, index: int) -> list[int]:
    _check_crc(sector, 4)
    need(unpack_from("<I", sector)[0] == index, "number of a summary sector")
    states = [byte >> shift & 3 for byte in sector[8:] for shift in (0, 2, 4, 6)]
    need(3 not in states, "state of a region")
    return states


def decode_leaf(block: bytes, region: int) -> bytes:
    record = block[region % 30 * 136:][:136]
    _check_crc(record, 4)
    need(unpack_from("<I", record)[0] == region, "region of a leaf")
    _zero(block, 4080, 4096)
    return record[8:]


def _newer(copies: list) -> object:
    """Of the decoded copies, each a tuple that begins with the sequence, or an Invalid."""
    valid = [copy for copy in copies if not isinstance(copy, Invalid)]
    if not valid:
        raise Invalid(f"no valid copy: {copies[0]}; {copies[1]}")
    return max(valid, key=lambda copy: copy[0])  # the first one of equals


def _attempt(decode, *arguments) -> object:
    try:
        return decode(*arguments)
    except Invalid as error:
        return error


class Metadata:
    """The metadata of a replica: on the disk itself, or on another device where `meta` is given.

    Everything is read anew at each call. Raises Invalid where no copy is valid.
    """

    def __init__(self, disk: Path | str, meta: Path | str | None = None):
        self.external = meta is not None
        self.path = Path(meta if meta is not None else disk)

    def _read(self, offset: int, length: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(offset)
            data = file.read(length)
        need(len(data) == length, f"{self.path} ends before {offset + length}")
        return data

    def superblock_offset(self, copy: int) -> int:
        if self.external:
            return copy * BLOCK
        with open(self.path, "rb") as file:
            return file.seek(0, os.SEEK_END) // BLOCK * BLOCK - (copy + 1) * BLOCK

    @property
    def superblocks(self) -> list:
        """Both copies, each a Superblock or the Invalid that says why not."""
        return [_attempt(lambda at: decode_superblock(self._read(at, BLOCK)), self.superblock_offset(copy))
                for copy in (0, 1)]

    @property
    def superblock(self) -> Superblock:
        copies = [copy if isinstance(copy, Invalid) else (copy.sequence, copy) for copy in self.superblocks]
        sb = _newer(copies)[1]
        need(("external" in sb.flags) == self.external, "internal and external metadata")
        return sb

    @property
    def vote(self) -> bytes:
        at = self.superblock.votes_offset
        return _newer([_attempt(decode_vote, self._read(at + copy * VOTE, VOTE)) for copy in (0, 1)])[1]

    @property
    def active(self) -> set[int]:
        """Regions in the activity log."""
        sb, regions = self.superblock, set()
        for index in range(sb.log_blocks):
            copies = [_attempt(decode_log, self._read(
                sb.log_offset + (copy * sb.log_blocks + index) * BLOCK, BLOCK), index) for copy in (0, 1)]
            regions.update(_newer(copies)[2])
        need(all(region < sb.regions for region in regions), "region beyond the volume")
        return regions

    def dirty(self, node: int) -> list[tuple[int, int]]:
        """What the replica of a node lacks, as (offset, length) in bytes, merged and ascending.

        What is not valid counts as dirty. Raises KeyError if the node has no slot.
        """
        sb = self.superblock
        numbers = {of: number for number, (of, _) in sb.slots.items()}
        slot = sb.slots_offset + numbers[node] * sb.slot_bytes
        ranges: list[tuple[int, int]] = []
        for index in range(sb.summary_sectors):
            states = _attempt(decode_summary, self._read(slot + index * 512, 512), index)
            for number in range(min(2016, sb.regions - index * 2016)):
                state = ALL if isinstance(states, Invalid) else states[number]
                self._add_region(sb, slot, index * 2016 + number, state, ranges)
        return ranges

    def _add_region(self, sb: Superblock, slot: int, region: int, state: int, ranges: list) -> None:
        if state == CLEAN:
            return
        bits: object = bytes([0xFF]) * 128
        if state == LEAF:
            block = self._read(slot + sb.leaves_offset + region // 30 * BLOCK, BLOCK)
            leaf = _attempt(decode_leaf, block, region)
            bits = bits if isinstance(leaf, Invalid) else leaf
        for number in range(1024):
            at = region * REGION + number * BLOCK
            if not bits[number // 8] >> number % 8 & 1 or at >= sb.data_bytes:
                continue
            if ranges and sum(ranges[-1]) == at:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + BLOCK)
            else:
                ranges.append((at, BLOCK))
