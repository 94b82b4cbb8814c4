# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws latency against depth and throughput against size, as one SVG."""
import math
import re
import statistics
from collections.abc import Iterable

from .phases import Figures

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 320, 70, 40, 50
COLOURS = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#555555", "#16a085", "#7f6000"]
Series = dict[str, list[tuple[float, float]]]  # by contestant: x, y


def series(figures: Figures, pattern: str, value: str) -> Series:
    """Medians of the workloads whose name matches; x is the pattern's group, a number or a size."""
    found: Series = {}
    for workload, by_name in figures.items():
        if match := re.fullmatch(pattern, workload):
            number, unit = re.fullmatch(r"(\d+)([kM]?)", match[1]).groups()
            x = int(number) * {"": 1, "k": 1 << 10, "M": 1 << 20}[unit]
            for name, values in by_name.items():
                found.setdefault(name, []).append((x, statistics.median(getattr(it, value) for it in values)))
    return found


def draw(figures: Figures) -> str:
    latency = series(figures, r"4k random write, depth (\d+)", "mean_us")
    speed = {name: [(x, value * x / 1e6) for x, value in points]
             for name, points in series(figures, r"(\d+[kM]) sequential write, depth \d+", "iops").items()}
    names = list(dict.fromkeys([*latency, *speed]))
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" '
             f'width="{2 * WIDTH}" height="{HEIGHT + 20 * len(names)}" '
             'font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>']
    parts += panel(0, "4k random write: mean latency in us", "depth", latency, names)
    parts += panel(WIDTH, "sequential write: MB/s", "bytes a request", speed, names)
    for number, name in enumerate(names):
        y = HEIGHT + 12 + 20 * number
        parts.append(f'<rect x="{LEFT}" y="{y - 6}" width="24" height="3" fill="{colour(names, name)}"/>'
                     f'<text x="{LEFT + 32}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def colour(names: list[str], name: str) -> str:
    return COLOURS[names.index(name) % len(COLOURS)]


def panel(left: int, title: str, below: str, data: Series, names: list[str]) -> Iterable[str]:
    """Both axes are logarithmic."""
    points = [point for line in data.values() for point in line if min(point) > 0]
    yield f'<text x="{left + LEFT}" y="22" font-size="13">{title}</text>'
    if not points:
        return
    xs, ys = sorted({x for x, _ in points}), [y for _, y in points]
    low, high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys) * 1.001))
    across, up = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        share = math.log(x / xs[0]) / math.log(xs[-1] / xs[0]) if xs[-1] > xs[0] else 0.5
        return left + LEFT + across * share, TOP + up * (1 - math.log(y / low) / math.log(high / low))

    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        _, y = place(xs[0], 10.0 ** power)
        yield (f'<path d="M{left + LEFT} {y:.1f}h{across}" stroke="#ddd"/>'
               f'<text x="{left + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10 ** power}</text>')
    for value in xs:
        x, _ = place(value, low)
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>'
    middle = left + LEFT + across / 2
    yield f'<text x="{middle}" y="{HEIGHT - BOTTOM + 36}" text-anchor="middle">{below}</text>'
    for name, line in data.items():
        path = " L".join("{:.1f} {:.1f}".format(*place(*point)) for point in sorted(line))
        yield f'<path d="M{path}" fill="none" stroke="{colour(names, name)}" stroke-width="2"/>'
        for point in line:
            x, y = place(*point)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour(names, name)}"/>'
