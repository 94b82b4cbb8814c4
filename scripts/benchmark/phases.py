# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is compared at what: phases, each on a freshly booted machine."""
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from braidlab import uml

from .contestants import Braid, Contestant, Drbd, Md, Nvme, Raw, Rig
from .measure import Figure, Meter
from .workloads import COLD, DEPTHS, OTHERS, SIZES, WRITES, Workload

LINK_MS = 0.1  # each way

Figures = dict[str, dict[str, list[Figure]]]  # by workload and contestant, one a round


@dataclass(frozen=True)
class Phase:
    """contestants gives those beside Braid; braid gives Braid's, for a name and a module's folder."""

    name: str
    base: str  # what the others are compared with
    contestants: Callable[[], list[Contestant]]
    braid: Callable[[str, Path], list[Contestant]]
    workloads: list[Workload]
    disk_mib: int = 256
    warm_mib: int = 128
    lo_delay_ms: float = 0


def one(**options: object) -> Callable[[str, Path], list[Contestant]]:
    return lambda name, module: [Braid(name, module, **options)]


def everyone() -> list[Contestant]:
    return [Raw("raw"), Drbd("drbd 8.4"), Md("md+nvme/tcp"), Nvme("nvme/tcp")]


PHASES = [
    Phase("two replicas", "drbd 8.4", everyone, one(), [*WRITES, *OTHERS]),
    Phase("cold", "drbd 8.4", everyone, one(), [COLD], disk_mib=32768, warm_mib=1),
    Phase("one replica missing", "drbd 8.4",
          lambda: [Drbd("drbd 8.4", missing=True), Md("md+nvme/tcp", missing=True)],
          one(missing=True), [DEPTHS[2]]),
    Phase("no peers", "raw", lambda: [Raw("raw")], one(nodes=1), [DEPTHS[2]]),
    Phase("three replicas", "md+nvme/tcp", lambda: [Md("md+nvme/tcp", nodes=3)], one(nodes=3),
          [DEPTHS[0], DEPTHS[2], SIZES[1]]),
    Phase("connections", "braid", lambda: [],
          lambda name, module: [Braid(name, module), Braid(f"{name} crc32c", module, checksums=True),
                                Braid(f"{name} tls", module, tls=True)],
          [DEPTHS[0], DEPTHS[2], SIZES[1], SIZES[3]]),
    Phase("link of 200 us", "drbd 8.4", lambda: [Drbd("drbd 8.4"), Md("md+nvme/tcp"), Nvme("nvme/tcp")],
          one(delay_ms=LINK_MS), [DEPTHS[0], DEPTHS[2]], lo_delay_ms=LINK_MS),
]


@dataclass(frozen=True)
class Plan:
    """What a run is asked for."""

    modules: dict[str, Path]
    rounds: int
    seconds: float
    only: str = ""


def run_phase(phase: Phase, plan: Plan, folder: Path) -> Figures:
    """All contestants of a phase at all its workloads, in turns whose order changes from round to round."""
    workloads = [it for it in phase.workloads if plan.only in it.name]
    figures: Figures = {}
    if not workloads:
        return figures
    with ExitStack() as stack:
        turns = _start(stack, phase, plan, folder)
        for number in range(plan.rounds):
            first = number % len(turns)
            for workload in workloads:
                for name, device, meter in turns[first:] + turns[:first]:
                    figure = meter.measure(device, workload)
                    figures.setdefault(workload.name, {}).setdefault(name, []).append(figure)
            print(f"{phase.name}: round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True)
    return figures


def _start(stack: ExitStack, phase: Phase, plan: Plan, folder: Path) -> list[tuple[str, str, Meter]]:
    """(name, device, meter) of each. Modules of the same name need a machine each."""
    turns = []
    for number, (name, module) in enumerate(plan.modules.items()):
        machine = uml.Uml(f"{phase.name.replace(' ', '-')}-{number}", uml.PLAIN, folder, memory=4096)
        stack.callback(machine.kill)
        machine.boot()
        rig = Rig(machine, 16, phase.disk_mib, phase.warm_mib)
        meter = Meter(machine, phase.warm_mib, plan.seconds)
        for contestant in [*(phase.contestants() if number == 0 else []), *phase.braid(name, module)]:
            turns.append((contestant.name, stack.enter_context(contestant.start(rig)), meter))
        if phase.lo_delay_ms:
            machine.run(f"tc qdisc replace dev lo root netem limit 100000 delay {phase.lo_delay_ms}ms")
            stack.callback(machine.run, "tc qdisc del dev lo root")
    return turns
