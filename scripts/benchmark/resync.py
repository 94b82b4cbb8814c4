# SPDX-License-Identifier: GPL-2.0-or-later
"""Resyncs: how fast one is alone, and what one does to a workload beside it at default settings."""
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from braidlab import uml

from .contestants import Braid, Drbd, Rig
from .measure import Meter, cpu_seconds, fio
from .phases import Plan
from .workloads import random_write

NAME = "resync"
DISK_MIB, DIRTY_MIB = 640, 576


@dataclass
class Resync:
    """One round. Beside: the workload's 99th percentile with the resync and without."""

    mb_per_s: float
    cpu_ms_per_mb: float
    beside_us: float
    without_us: float
    finished: bool  # before the workload did: then the figure beside it says little

    def as_json(self) -> dict:
        return {key: round(value, 3) for key, value in vars(self).items()}


def dirty(meter: Meter, device: str) -> None:
    """All of it is written while the replica is away."""
    fio(meter.machine, device, f"--rw=write --bs=1M --iodepth=4 --size={DIRTY_MIB}M")


def alone(meter: Meter, pair) -> tuple[float, float]:
    pair.lose()
    dirty(meter, pair.device)
    cpu, begin = cpu_seconds(meter.machine), time.monotonic()
    pair.rejoin()
    while pair.syncing():
        time.sleep(0.02)
    seconds, cpu = time.monotonic() - begin, cpu_seconds(meter.machine) - cpu
    pair.wait_synced()
    return DIRTY_MIB * 1.048576 / seconds, cpu * 1000 / (DIRTY_MIB * 1.048576)


def beside(meter: Meter, pair) -> tuple[float, float, bool]:
    workload = random_write(4)
    without = meter.measure(pair.device, workload).p99_us
    pair.lose()
    dirty(meter, pair.device)
    pair.rejoin()
    figure = meter.measure(pair.device, workload)
    finished = not pair.syncing()
    pair.wait_synced()
    return figure.p99_us, without, finished


def run(plan: Plan, folder: Path) -> dict[str, list[Resync]]:
    figures: dict[str, list[Resync]] = {}
    with ExitStack() as stack:
        pairs = []
        for number, (name, module) in enumerate(plan.modules.items()):
            machine = uml.Uml(f"resync-{number}", uml.PLAIN, folder, memory=6144)
            stack.callback(machine.kill)
            machine.boot()
            rig = Rig(machine, 8, DISK_MIB, DISK_MIB)
            meter = Meter(machine, DIRTY_MIB, min(plan.seconds, 0.5))
            if number == 0:
                for kind in ("drbd 8.4", "drbd 8.4 unbound"):
                    pair = stack.enter_context(Drbd(kind).pair(rig))
                    if "unbound" in kind:
                        pair.unbound()
                    pairs.append((kind, pair, meter))
            resource = stack.enter_context(Braid(name, module).resource(rig))
            resource.device = resource.nodes[0].device()
            pairs.append((name, resource, meter))
        for number in range(plan.rounds):
            for name, pair, meter in pairs:
                speed, cpu = alone(meter, pair)
                figures.setdefault(name, []).append(Resync(speed, cpu, *beside(meter, pair)))
            print(f"{NAME}: round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True)
    return figures


def table(figures: dict[str, list[Resync]]) -> list[str]:
    lines = [f"{NAME} of {DIRTY_MIB} MiB; p99 of 4k random writes of depth 4 beside it",
             f"  {'':18} {'MB/s':>8} {'min..max':>14} {'cpu ms/MB':>10} "
             f"{'p99 us':>9} {'without':>9} {'ratio':>6} {'min..max':>12}"]
    for name, rounds in figures.items():
        speeds = [it.mb_per_s for it in rounds]
        ratios = [it.beside_us / it.without_us for it in rounds]
        lines.append(
            f"  {name:18} {statistics.median(speeds):8.1f} {min(speeds):6.1f}..{max(speeds):6.1f} "
            f"{statistics.median(it.cpu_ms_per_mb for it in rounds):10.2f} "
            f"{statistics.median(it.beside_us for it in rounds):9.1f} "
            f"{statistics.median(it.without_us for it in rounds):9.1f} {statistics.median(ratios):6.2f} "
            f"{min(ratios):5.2f}..{max(ratios):5.2f}"
            + ("   ended before the workload" if any(it.finished for it in rounds) else ""))
    return lines
