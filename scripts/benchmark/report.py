# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a table and JSON of figures."""
import statistics
from collections.abc import Iterable

from .measure import Figure
from .phases import Figures, Phase

HEADING = (f"{'':44} {'':16} {'median':>10} {'':6} {'x base':>7} {'min..max':>12}   "
           f"{'cpu us':>8} {'x base':>7} {'min..max':>12}")

def stalled(values: list[Figure]) -> bool:
    """Whether requests waited for a timer, far beyond what they need: ratios would say nothing then."""
    high = statistics.median(it.p99_us for it in values)
    if statistics.median(it.requests for it in values) < 10:
        return True
    return high > 150e3 and high > 500 * statistics.median(it.min_us for it in values)


def ratio(values: Iterable[float], base: Iterable[float]) -> tuple[float, float, float]:
    """Median, least and greatest of the rounds' ratios."""
    ratios = [value / below for value, below in zip(values, base, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def table(phase: Phase, figures: Figures) -> list[str]:
    lines = [f"{phase.name}, compared with {phase.base}"]
    units = {workload.name: workload.unit for workload in phase.workloads}
    for workload, by_name in figures.items():
        base = by_name.get(phase.base) or next(iter(by_name.values()))
        for number, (name, values) in enumerate(by_name.items()):
            speed = ratio((it.value for it in values), (it.value for it in base))
            cost = ratio((it.cpu_us for it in values), (it.cpu_us for it in base))
            if stalled(values) or stalled(base):
                lines.append(f"{'  ' + workload if number == 0 else '':44} {name:16} "
                             f"{statistics.median(it.value for it in values):10.1f} {units[workload]:6} "
                             + ("  stalls of over 150 ms" if stalled(values) else ""))
                continue
            lines.append(
                f"{'  ' + workload if number == 0 else '':44} {name:16} "
                f"{statistics.median(it.value for it in values):10.1f} {units[workload]:6} "
                f"{speed[0]:7.2f} {speed[1]:5.2f}..{speed[2]:5.2f}   "
                f"{statistics.median(it.cpu_us for it in values):8.1f} "
                f"{cost[0]:7.2f} {cost[1]:5.2f}..{cost[2]:5.2f}")
    return lines


def as_json(phase: Phase, figures: Figures) -> dict:
    units = {workload.name: workload.unit for workload in phase.workloads}
    return {"phase": phase.name, "base": phase.base, "workloads": [
        {"name": workload, "unit": units[workload],
         "figures": {name: [it.as_json() for it in values] for name, values in by_name.items()}}
        for workload, by_name in figures.items()]}
