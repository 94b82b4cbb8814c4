# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured, as fio jobs."""
from dataclasses import dataclass

BATCH = "--iodepth_batch=16 --iodepth_batch_complete_min=8"


@dataclass(frozen=True)
class Workload:
    """A fio job. unit says how its result is read: us (mean latency), kIOPS or MB/s."""

    name: str
    fio: str
    unit: str

    @property
    def better(self) -> str:
        return "lower" if self.unit.startswith("us") else "higher"


WRITES = [
    Workload("4k random write, depth 1", "--rw=randwrite --bs=4k --iodepth=1", "us"),
    Workload("4k random write, depth 4", "--rw=randwrite --bs=4k --iodepth=4", "kIOPS"),
    Workload("4k random write, depth 32", f"--rw=randwrite --bs=4k --iodepth=32 {BATCH}", "kIOPS"),
    Workload("4k random write, depth 128", f"--rw=randwrite --bs=4k --iodepth=128 {BATCH}", "kIOPS"),
    Workload("64k sequential write, depth 16", "--rw=write --bs=64k --iodepth=16", "MB/s"),
    Workload("1M sequential write, depth 8", "--rw=write --bs=1M --iodepth=8", "MB/s"),
]
