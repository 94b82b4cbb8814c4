# SPDX-License-Identifier: GPL-2.0-or-later
"""Says whether what a disk holds keeps the promises, given what a writer was told (guest/stamp.py).

One writer, unique sequence numbers and a log outside of the crash make it decidable block by block.
"""
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .cluster import Host
from .machine import GUEST

BLOCK = 4096


@dataclass
class History:
    """What a writer did: per block the sequence numbers it issued, and which were promised."""

    issued: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: set[int] = field(default_factory=set)
    flushed: int = 0

    @classmethod
    def read(cls, path: Path) -> "History":
        """Reads a writer's log. Its last line may be cut short by the crash."""
        history = cls()
        for line in path.read_text().splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            what, *numbers = line.split()
            if what == "i":
                history.issued[int(numbers[1])].append(int(numbers[0]))
            elif what == "a":
                history.acknowledged.add(int(numbers[0]))
            elif what == "f":
                history.flushed = int(numbers[0])
        return history

    def violations(self, found: list[str], *, flushed_only: bool = False) -> list[str]:
        """What found (one word per block, from "stamp.py read") breaks.

        P1: a block holds its last acknowledged write or a later issued one. With flushed_only, P2: its
        last one that an acknowledged flush covered, or a later one. Never an unknown or a torn one.
        """
        wrong = []
        for block, word in enumerate(found):
            issued = self.issued.get(block, [])
            if word == "torn":
                wrong.append(f"block {block}: torn")
                continue
            promised = [seq for seq in issued if (seq <= self.flushed if flushed_only
                                                  else seq in self.acknowledged)]
            least, value = max(promised, default=0), int(word)
            if value and value not in issued:
                wrong.append(f"block {block}: holds {value}, never written there")
            elif value < least:
                wrong.append(f"block {block}: holds {value}, lost write {least}")
        return wrong


def stamp(host: Host, *words: object) -> list[str]:
    """The command line of the stamp tool on a host."""
    return ["/usr/bin/python3", host.machine.inside(GUEST / "stamp.py"), *map(str, words)]


def read_blocks(host: Host, device: str, blocks: int) -> list[str]:
    return host.run(stamp(host, "read", device, "--blocks", blocks), timeout=60).out.split()


def differing_blocks(hosts: list[Host], devices: list[str], size: int = 0) -> list[int]:
    """Blocks of 4 KiB in which replicas differ (P3); compares size bytes, or all of the shortest one."""
    sums = [host.run(stamp(host, "sum", device, "--bytes", size), timeout=60).out.split()
            for host, device in zip(hosts, devices, strict=True)]
    return [n for n, values in enumerate(zip(*sums)) if len(set(values)) > 1]
