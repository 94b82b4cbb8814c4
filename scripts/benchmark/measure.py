# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures one device: what fio saw, and the processor time that the whole machine took for a request.

The latter counts the emulated kernel and all its processes on the host, less what fio takes to start.
It does not grow when others use the host's processors, so it is the steadier figure.
"""
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from braidlab.machine import Machine

from .workloads import Workload

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    """One turn of one contestant."""

    value: float  # in the workload's unit
    iops: float
    mean_us: float
    min_us: float
    p50_us: float
    p99_us: float
    cpu_us: float  # per request
    requests: int

    def as_json(self) -> dict:
        return {key: round(value, 3) for key, value in asdict(self).items()}


def cpu_seconds(machine: Machine) -> float:
    """User and system time of the machine's process and of all in its session, the dead included."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        if int(fields[3]) == machine.process.pid:
            total += sum(int(field) for field in fields[11:13])
            if int(stat.parent.name) == machine.process.pid:
                total += sum(int(field) for field in fields[13:15])
    return total / TICKS


def fio(machine: Machine, device: str, words: str, beside: str = "", timeout: float = 60) -> dict:
    shared = f"--filename={device} --ioengine=io_uring --direct=1 --randrepeat=0 --norandommap "
    second = f" --name=beside {shared}{beside}" if beside else ""
    out = machine.run(f"fio --output-format=json --name=x {shared}{words}{second}", timeout=timeout).out
    return json.loads(out[out.index("{"):])["jobs"][0]


class Meter:
    """Measures on one machine."""

    def __init__(self, machine: Machine, size_mib: int, seconds: float):
        self.machine, self.size_mib, self.seconds = machine, size_mib, seconds
        self.start_cost: float | None = None

    def measure(self, device: str, workload: Workload) -> Figure:
        if self.start_cost is None:
            costs = sorted(self._run(device, "--rw=randwrite --bs=4k --number_ios=1")[1] for _ in range(3))
            self.start_cost = costs[1]
        long = f"--time_based --runtime={self.seconds * 1000:.0f}ms"
        if workload.ios:
            long = f"--number_ios={workload.ios}"
        beside = workload.beside and f"{long} --size={self.size_mib}M {workload.beside}"
        job, cpu = self._run(device, f"{long} {workload.fio}", beside)
        return figure(job, workload.unit, cpu - self.start_cost)

    def _run(self, device: str, words: str, beside: str = "") -> tuple[dict, float]:
        size = "" if "--size=" in words else f"--size={self.size_mib}M "
        before = cpu_seconds(self.machine)
        job = fio(self.machine, device, size + words, beside, timeout=self.seconds + 60)
        return job, cpu_seconds(self.machine) - before


def figure(job: dict, unit: str, cpu: float) -> Figure:
    sides = [job[side] for side in ("read", "write") if job[side]["total_ios"]]
    main = job["write"] if job["write"]["total_ios"] else job["read"]
    ios = sum(side["total_ios"] for side in sides)
    iops, bandwidth = sum(side["iops"] for side in sides), sum(side["bw_bytes"] for side in sides)
    percentile = main["clat_ns"].get("percentile", {})
    mean, p99 = main["lat_ns"]["mean"] / 1000, percentile.get("99.000000", 0) / 1000
    value = {"us": mean, "us p99": p99, "kIOPS": iops / 1000, "MB/s": bandwidth / 1e6}[unit]
    return Figure(value, iops, mean, main["lat_ns"]["min"] / 1000, percentile.get("50.000000", 0) / 1000, p99,
                  cpu * 1e6 / ios, ios)
