# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads logs of disk writes and rebuilds disks from them as a crash might have left them.

The format is that of the kernel's dm-log-writes target (Documentation/admin-guide/device-mapper/
log-writes.rst), which QEMU's blklogwrites filter writes too: a superblock, then per request one sector
with its entry and, for a write, the data behind it.

The superblock's count lags behind, so entries are read to the end of the file. QEMU reserves an entry's
place before it writes it, in one call with its data; killed in between it leaves a hole of zero sectors.
"""
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random
from struct import Struct

from .errors import LabError

MAGIC = 0x6A736677736872
VERSION = 1
FLUSH, FUA, DISCARD, MARK, METADATA = 1, 2, 4, 8, 16
_SUPER = Struct("<QQQI")
_ENTRY = Struct("<QQQQ")


@dataclass(frozen=True)
class Entry:
    """One request: offset and length in bytes on the disk, flags, and where its data is in the log."""

    offset: int
    length: int
    flags: int
    data_at: int

    @property
    def is_write(self) -> bool:
        return self.length > 0 and not self.flags & (DISCARD | MARK)


@dataclass(frozen=True)
class Log:
    """A log of writes, in the order in which they reached the disk."""

    path: Path
    sector: int
    entries: list[Entry]

    def data(self, entry: Entry) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(entry.data_at)
            return file.read(entry.length).ljust(entry.length, b"\0")

    def last_flush(self) -> int:
        """How many entries, from the start, a completed flush covers."""
        return max((n for n, entry in enumerate(self.entries, 1) if entry.flags & FLUSH), default=0)


def read(path: Path) -> Log:
    """Reads a log. Raises LabError for one that is none."""
    size = path.stat().st_size
    entries = []
    with open(path, "rb") as file:
        head = file.read(_SUPER.size)
        if len(head) < _SUPER.size:
            raise LabError(f"{path}: too short for a log of writes")
        magic, version, _, sector = _SUPER.unpack(head)
        if magic != MAGIC or version != VERSION or sector < 512 or sector & (sector - 1):
            raise LabError(f"{path}: not a log of writes (magic {magic:#x}, version {version})")
        at = sector
        while at + _ENTRY.size <= size:
            file.seek(at)
            first, count, flags, data_length = _ENTRY.unpack(file.read(_ENTRY.size))
            at += sector
            if not (count or flags):
                continue  # a hole: the request was not logged in full, so nobody heard it complete
            if flags >> 5:
                raise LabError(f"{path}: entry at byte {at - sector} has unknown flags {flags:#x}")
            if flags & MARK:
                entries.append(Entry(0, data_length, flags, at - sector + _ENTRY.size))
                continue
            entry = Entry(first * sector, count * sector, flags, at)
            entries.append(entry)
            if entry.is_write:
                at += entry.length
    return Log(path, sector, entries)


def replay(log: Log, count: int, disk: Path) -> None:
    """Applies the first count entries to the file disk."""
    with open(disk, "r+b") as file:
        for entry in log.entries[:count]:
            _apply(log, entry, file, keep_zero_sectors=False)


def replay_crash(log: Log, base: Path, disk: Path, size: int, rng: Random) -> int:
    """Rebuilds disk from base and a log that ended in a power cut: all entries up to the last flush and
    all with FUA, of each other one whether rng says so. Returns how many were left out.
    """
    covered = log.last_flush()
    copy_sparse(base, disk)
    replay(log, covered, disk)
    lost = 0
    with open(disk, "r+b") as file:
        for entry in log.entries[covered:]:
            if not entry.flags & FUA and rng.random() < 0.5:
                lost += 1
                continue
            # A request cut short in the log has zeros at its end; leaving sectors out is always allowed.
            _apply(log, entry, file, keep_zero_sectors=True)
        file.truncate(size)
    return lost


def copy_sparse(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)


def _apply(log: Log, entry: Entry, file, keep_zero_sectors: bool) -> None:
    if entry.flags & DISCARD:
        file.seek(entry.offset)
        file.write(bytes(entry.length))
        return
    if not entry.is_write:
        return
    data = log.data(entry)
    if not keep_zero_sectors:
        file.seek(entry.offset)
        file.write(data)
        return
    for at in range(0, entry.length, log.sector):
        piece = data[at:at + log.sector]
        if piece.count(0) != len(piece):
            file.seek(entry.offset + at)
            file.write(piece)
