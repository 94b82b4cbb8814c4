# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks of the lab's hosts, and what goes wrong with them."""
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from . import logwrites
from .errors import LabError

if TYPE_CHECKING:
    from .cluster import NamespaceHost, QemuHost

SECTOR = 512


class Disk(ABC):
    """One disk of one host. path is its block device on that host."""

    path: str
    size: int

    @abstractmethod
    def power(self, on: bool) -> None:
        """Follows its host's power: off, every access fails and nothing is written any more."""

    @abstractmethod
    def fail(self, first: int = 0, count: int = 0) -> None:
        """From now on fails accesses to count sectors of 512 bytes from first; all of them for 0."""

    @abstractmethod
    def slow(self, delay_ms: int) -> None:
        """From now on every access takes delay_ms longer (QEMU: takes that long, one at a time)."""

    @abstractmethod
    def heal(self) -> None:
        """Ends fail() and slow()."""

    @abstractmethod
    def remove(self) -> None: ...


class DmDisk(Disk):
    """A device-mapper table over a RAM disk of the host's machine.

    cache=True makes it a disk with a volatile write cache, to those who ask; it loses nothing.
    record=True makes it one that does: a log of all writes and flushes is kept in another RAM disk, and
    lose_unflushed() takes back what no flush had covered when the power went.
    hollow=True makes it one of any size that keeps nothing and reads as zeroes.
    """

    RAM_DISKS, RAM_DISK_BYTES = 16, 6 << 30
    LOG_BYTES = 512 << 20

    def __init__(self, host: "NamespaceHost", name: str, size: int, *, block_size: int = 512,
                 cache: bool = False, record: bool = False, hollow: bool = False):
        self.host, self.machine, self.size = host, host.machine, size
        self.name = f"{host.name}-{name}"
        self.path = f"/dev/mapper/{self.name}"
        self.hollow, self.log_number = hollow, None
        if hollow:
            self.machine.run(["modprobe", "dm-zero"])
            self._load(self._linear(), new=True)
            return
        if size > self.RAM_DISK_BYTES or size % 4096:
            raise LabError(f"{self.name}: {size} bytes: at most {self.RAM_DISK_BYTES}, "
                           "in multiples of 4096")
        if getattr(self.machine, "ram_disks", None) is None:
            self.machine.ram_disks = set()
            self.machine.run(["modprobe", "brd", f"rd_nr={self.RAM_DISKS}",
                              f"rd_size={self.RAM_DISK_BYTES >> 10}"])
        self.number = self._take()
        self.backing = f"/dev/ram{self.number}"
        self.log_number = self._take() if record else None
        if block_size != 512 or cache or record:  # a loop device flushes its file, a RAM disk need not
            self.backing = self.machine.run(["losetup", "--find", "--show", "--direct-io=on",
                                             f"--sector-size={block_size}", self.backing]).out.strip()
        self._load(self._start(), new=True)

    def power(self, on: bool) -> None:
        self._load(self._start() if on else self._dead())

    def fail(self, first: int = 0, count: int = 0) -> None:
        if not first and not count:
            self._load(self._dead())
            return
        count = count or self._sectors() - first
        table = self._piece(0, first) + self._error(first, count)
        self._load(table + self._piece(first + count, self._sectors() - first - count))

    def unreadable(self, sectors: Iterable[int]) -> None:
        """From now on these sectors of 512 bytes cannot be read, each until it is written again."""
        self.machine.run(["modprobe", "dm_dust"])
        self._load(f"0 {self._sectors()} dust {self.backing} 0 {SECTOR}\n")
        for message in (*(f"addbadblock {sector}" for sector in sectors), "enable"):
            self.machine.run(["dmsetup", "message", self.name, "0", *message.split()])

    def slow(self, delay_ms: int, *, reads: bool = True) -> None:
        self.machine.run(["modprobe", "dm_delay"])
        self._load(f"0 {self._sectors()} delay {self.backing} 0 {delay_ms if reads else 0} "
                   f"{self.backing} 0 {delay_ms}\n")

    def heal(self) -> None:
        self._load(self._linear())

    def grow(self, size: int) -> None:
        """More space at its end, full of what others left there. A recorded one begins a new log."""
        self.machine.run(["dd", "if=/dev/urandom", f"of={self.backing}", "bs=1M", f"seek={self.size >> 20}",
                          f"count={size - self.size >> 20}", "oflag=direct", "status=none"])
        self.size = size
        self._load(self._linear())
        if self.log_number is not None:
            self._load(self._start())

    def record(self) -> tuple[logwrites.Log, Path]:
        """What was written since the log began, and what the disk held then. Recorded disks only."""
        log, base = self._files("log", "base")
        self.machine.run(["dd", f"if=/dev/ram{self.log_number}", f"of=/lab/{log}", "bs=1M",
                          f"count={self.LOG_BYTES >> 20}", "conv=sparse", "status=none"])
        return logwrites.read(self.machine.share / log), self.machine.share / base

    def lose_unflushed(self, rng: Random) -> int:
        """As QemuDisk.lose_unflushed()."""
        if self.log_number is None or self.host.on:
            raise LabError(f"{self.name}: needs a recorded disk of a host that is off")
        log, base = self.record()
        (image,) = self._files("image")
        lost = logwrites.replay_crash(log, base, self.machine.share / image, self.size, rng)
        self.machine.run(["dd", f"if=/lab/{image}", f"of={self.backing}", "bs=1M", "oflag=direct",
                          "status=none"])
        return lost

    def remove(self) -> None:
        self.machine.run(["dmsetup", "remove", "--retry", self.name])
        if self.hollow:
            return
        if self.backing.startswith("/dev/loop"):
            self.machine.run(["losetup", "--detach", self.backing])
        self.machine.run(["blockdev", "--flushbufs", f"/dev/ram{self.number}"])
        self.machine.ram_disks -= {self.number, self.log_number}

    def _take(self) -> int:
        free = [n for n in range(self.RAM_DISKS) if n not in self.machine.ram_disks]
        if not free:
            raise LabError(f"{self.name}: all {self.RAM_DISKS} RAM disks are in use")
        self.machine.ram_disks.add(free[0])
        return free[0]

    def _files(self, *kinds: str) -> list[str]:
        return [f"{self.name}.{kind}" for kind in kinds]

    def _start(self) -> str:
        """The table of a sound disk. A log speaks of one power cycle; what was there before is kept."""
        if self.log_number is None:
            return self._linear()
        (base,) = self._files("base")
        log = f"/dev/ram{self.log_number}"
        self.machine.run(f"modprobe dm-log-writes; blkdiscard {log}; rm -f /lab/{base}; "
                         f"dd if={self.backing} of=/lab/{base} bs=1M count={self.size >> 20} "
                         "iflag=direct conv=sparse status=none; truncate --size="
                         f"{self.size} /lab/{base}")
        return f"0 {self._sectors()} log-writes {self.backing} {log}\n"

    def _sectors(self) -> int:
        return self.size // SECTOR

    def _linear(self) -> str:
        return self._piece(0, self._sectors())

    def _piece(self, first: int, count: int) -> str:
        if count <= 0:
            return ""
        return f"{first} {count} zero\n" if self.hollow else f"{first} {count} linear {self.backing} {first}\n"

    def _dead(self) -> str:
        """All requests fail. A table of nothing but errors would say yes to flushes, unasked."""
        if self.hollow:
            return self._error(0, self._sectors())
        self.machine.run(["modprobe", "dm_flakey"])
        return f"0 {self._sectors()} flakey {self.backing} 0 0 1\n"

    @staticmethod
    def _error(first: int, count: int) -> str:
        return f"{first} {count} error\n"

    def _load(self, table: str, new: bool = False) -> None:
        """Without --nolockfs a frozen file system would wait for the very disk that is to fail."""
        if new:
            self.machine.run(["dmsetup", "create", self.name, "--noudevsync"], stdin=table)
            self.machine.run(["dmsetup", "mknodes", self.name])
            return
        self.machine.run(["dmsetup", "load", self.name], stdin=table)
        self.machine.run(["dmsetup", "suspend", "--nolockfs", "--noflush", self.name])
        self.machine.run(["dmsetup", "resume", "--noudevsync", self.name])


class QemuDisk(Disk):
    """A raw file of the harness, plugged into a QEMU host as a virtio disk with a write cache.

    record=True keeps a log of all writes and flushes, made outside of the guest; with it
    lose_unflushed() can take back what no flush had covered when the power went.
    """

    def __init__(self, host: "QemuHost", name: str, size: int, *, record: bool = False,
                 block_size: int = 512):
        self.host, self.name, self.size, self.block_size = host, name, size, block_size
        self.file = host.machine.folder / f"{host.name}-{name}.raw"
        self.log = host.machine.folder / f"{host.name}-{name}.log" if record else None
        self.serial = f"{host.name}-{name}"
        with open(self.file, "wb") as file:
            file.truncate(size)
        self.path = ""
        self._base: Path | None = None
        if host.on:
            self.power(True)

    def power(self, on: bool) -> None:
        if not on:
            self.path = ""
            return
        qmp, name = self.host.machine.qmp, self.name
        below = {"driver": "file", "node-name": f"{name}-file", "filename": str(self.file),
                 "discard": "unmap"}
        if self.log is not None:
            self._start_log()
            below = {"driver": "blklogwrites", "node-name": f"{name}-rec", "file": below,
                     "log-sector-size": self.block_size,
                     "log": {"driver": "file", "filename": str(self.log)}}
        qmp.command("object-add", {"qom-type": "throttle-group", "id": f"{name}-group"})
        qmp.command("blockdev-add", {"driver": "throttle", "node-name": f"{name}-slow", "file": below,
                                     "throttle-group": f"{name}-group", "discard": "unmap"})
        qmp.command("device_add", {
            "driver": "virtio-blk-pci", "id": f"disk-{name}", "drive": f"{name}-slow",
            "serial": self.serial, "write-cache": "on", "werror": "report", "rerror": "report",
            "logical_block_size": self.block_size, "physical_block_size": self.block_size})
        find = f"grep -lx {self.serial} /sys/block/vd*/serial"
        found = self.host.wait_for(lambda: self.host.run(find, check=False).out.strip(), 10,
                                   f"disk {self.serial}")
        self.path = "/dev/" + str(found).split("/")[3]

    def fail(self, first: int = 0, count: int = 0) -> None:
        self._mend()
        rule = {"event": "none", "errno": 5, "once": False}
        if count:
            rules = [{**rule, "iotype": iotype, "sector": sector} for iotype in ("read", "write")
                     for sector in range(first, first + count, self.block_size // SECTOR)]
        else:
            rules = [{**rule, "iotype": iotype}
                     for iotype in ("read", "write", "flush", "discard", "write-zeroes")]
        self.host.machine.qmp.command("blockdev-add", {
            "driver": "blkdebug", "node-name": f"{self.name}-bad", "image": f"{self.name}-slow",
            "inject-error": rules})
        self._switch(f"{self.name}-bad")

    def slow(self, delay_ms: int) -> None:
        self._limit({"iops-total": max(1, 1000 // delay_ms)})

    def heal(self) -> None:
        self._limit({"iops-total": 0})
        self._mend()

    def lose_unflushed(self, rng: Random) -> int:
        """Host off: rebuilds the disk as a drive with a volatile cache might have left it.

        Everything before the last completed flush stays; of what came later a random part, each write
        by itself, as rng decides. Returns how many writes were lost.
        """
        if self.log is None or self.host.on:
            raise LabError(f"{self.serial}: needs a recorded disk of a host that is off")
        log = logwrites.read(self.log)
        lost = logwrites.replay_crash(log, self._base, self.file, self.size, rng)
        return lost

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)
        if self.log is not None:
            self.log.unlink(missing_ok=True)

    def _start_log(self) -> None:
        """A log speaks of one power cycle; what the disk held at its start is kept beside it."""
        self._base = self.file.with_suffix(".base")
        logwrites.copy_sparse(self.file, self._base)
        self.log.write_bytes(b"")

    def _mend(self) -> None:
        nodes = self.host.machine.qmp.command("query-named-block-nodes")
        if any(node["node-name"] == f"{self.name}-bad" for node in nodes):
            self._switch(f"{self.name}-slow")
            self.host.machine.qmp.command("blockdev-del", {"node-name": f"{self.name}-bad"})

    def _switch(self, node: str) -> None:
        self.host.machine.qmp.command("qom-set", path=f"/machine/peripheral/disk-{self.name}",
                                      property="drive", value=node)

    def _limit(self, limits: dict) -> None:
        self.host.machine.qmp.command("qom-set", path=f"/objects/{self.name}-group",
                                      property="limits", value=limits)
