# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured, as fio jobs."""
from dataclasses import dataclass

BATCH = "--iodepth_batch=16 --iodepth_batch_complete_min=8"


@dataclass(frozen=True)
class Workload:
    """A fio job. unit says how its result is read: us (mean latency), us p99, kIOPS or MB/s.

    ios fixes the number of requests instead of the time. beside is the rest of a second job's words.
    """

    name: str
    fio: str
    unit: str
    ios: int = 0
    beside: str = ""


def random_write(depth: int) -> Workload:
    return Workload(f"4k random write, depth {depth}", f"--rw=randwrite --bs=4k --iodepth={depth}"
                    + (f" {BATCH}" if depth > 16 else ""), "us" if depth == 1 else "kIOPS")


def sequential(size: str, depth: int) -> Workload:
    return Workload(f"{size} sequential write, depth {depth}", f"--rw=write --bs={size} --iodepth={depth}",
                    "MB/s")


DEPTHS = [random_write(depth) for depth in (1, 4, 32, 128)]
SIZES = [sequential("16k", 16), sequential("64k", 16), sequential("256k", 8), sequential("1M", 8)]
WRITES = [*DEPTHS, *SIZES]
OTHERS = [
    Workload("4k mix of 70 % reads, depth 32", f"--rw=randrw --rwmixread=70 --bs=4k --iodepth=32 {BATCH}",
             "kIOPS"),
    Workload("4k random read, depth 32", f"--rw=randread --bs=4k --iodepth=32 {BATCH}", "kIOPS"),
    Workload("4k random write, fsync after each", "--rw=randwrite --bs=4k --iodepth=1 --fsync=1", "kIOPS"),
    Workload("4k random write, fsync after each eighth", "--rw=randwrite --bs=4k --iodepth=8 --fsync=8",
             "kIOPS"),
    Workload("4k rewrites of 16 blocks, depth 32", f"--rw=randwrite --bs=4k --size=64k --iodepth=32 {BATCH}",
             "kIOPS"),
    Workload("4k random write beside discards, depth 4", "--rw=randwrite --bs=4k --iodepth=4", "us p99",
             beside="--rw=randtrim --bs=64k --iodepth=1 --rate_iops=200"),
]
COLD = Workload("4k random write over 32 GiB, depth 32",
                f"--rw=randwrite --bs=4k --size=32700M --iodepth=32 {BATCH}", "kIOPS", ios=20000)
