# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the time of a request goes: samples of the emulated kernel's process, taken on the host with perf
and named by the guest's own symbols (modules included), and the counters of kernel and module around it.

There is no cycle counter to count instructions with in a virtual machine without one; samples of the
processor time stand in for them.
"""
import bisect
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from braidlab import uml
from braidlab.braid import BraidResource
from braidlab.errors import LabError
from braidlab.machine import Machine

from .contestants import Braid, Drbd, Rig
from .measure import Meter
from .phases import Plan
from .workloads import COLD, DEPTHS, OTHERS, SIZES, Workload

HERTZ = 2500
STAGES = ("submit", "local", "network", "remote", "complete")


class Symbols:
    """The guest kernel's text, with its modules: /proc/kallsyms."""

    def __init__(self, machine: Machine):
        entries = []
        for line in machine.run("cat /proc/kallsyms").out.splitlines():
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                entries.append((int(address, 16), name, module[0].strip("[]") if module else "kernel"))
        self.entries = sorted(entries)
        self.addresses = [entry[0] for entry in self.entries]
        if not self.addresses or not self.addresses[-1]:
            raise LabError(f"{machine.name}: /proc/kallsyms shows no addresses")

    def find(self, address: int) -> tuple[str, str]:
        """(module, function). What runs on the host for the guest is there too."""
        if address >= 1 << 63:
            return "host", "system calls of the emulated machine"
        at = bisect.bisect_right(self.addresses, address) - 1
        if at < 0 or address - self.addresses[at] > 1 << 16:
            return "host", "libc of the emulated machine"
        return self.entries[at][2], self.entries[at][1]


@dataclass
class Profile:
    """Of one workload on one contestant. Times in us of processor, all else in counts; per request."""

    contestant: str
    workload: str
    requests: int
    cpu_us: float
    functions: Counter = field(default_factory=Counter)  # (module, function): share of samples
    counts: dict[str, float] = field(default_factory=dict)
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)  # median, 99th percentile, in us
    switches: Counter = field(default_factory=Counter)  # (thread, its state, the next thread): per request


def counters(machine: Machine, resource: BraidResource | None) -> dict[str, int]:
    """Running totals of kernel and, with a resource, of the module."""
    found = {"context switches": int(machine.run("grep ctxt /proc/stat").out.split()[1])}
    spaces = [node.host for node in resource.nodes] if resource else [machine]
    interfaces = "lo" if resource is None else "n*"
    for space in spaces:
        for name in ("packets", "bytes"):
            lines = space.run(f"cat /sys/class/net/{interfaces}/statistics/tx_{name}").out.split()
            key = f"{name} sent"
            found[key] = found.get(key, 0) + sum(map(int, lines))
    for node in resource.nodes if resource else []:
        stats = node.volume()["stats"]
        for key in ("metadata-writes", "log-writes", "conflicts"):
            found[key] = found.get(key, 0) + stats.get(key, 0)
    return found


def latencies(resource: BraidResource) -> dict[str, list[int]]:
    """The stage histograms of the writer: powers of two of nanoseconds."""
    latency = resource.nodes[0].volume()["stats"]["latency"]
    if isinstance(latency, str):
        raw = bytes.fromhex(latency)
        latency = [int.from_bytes(raw[at:at + 8], "little") for at in range(0, len(raw), 8)]
    width = len(latency) // len(STAGES)
    return {stage: latency[at * width:(at + 1) * width] for at, stage in enumerate(STAGES)}


def quantile(buckets: list[int], share: float) -> float:
    """In us, from within its bucket in proportion."""
    left = share * sum(buckets)
    for power, count in enumerate(buckets):
        if count and left <= count:
            return (1 << power) * (1 + left / count) / 1000
        left -= count
    return 0.0


def take(meter: Meter, name: str, device: str, workload: Workload, resource: BraidResource | None,
         folder: Path) -> Profile:
    machine, data = meter.machine, folder / "perf.data"
    symbols = Symbols(machine)
    meter.measure(device, workload)  # warm
    before, stages = counters(machine, resource), latencies(resource) if resource else {}
    recorder = subprocess.Popen(["perf", "record", "-q", "-F", str(HERTZ), "-e", "cpu-clock", "-p",
                                 str(machine.process.pid), "-o", str(data)], stderr=subprocess.PIPE)
    figure = meter.measure(device, workload)
    recorder.terminate()
    recorder.wait()
    after = counters(machine, resource)
    script = subprocess.run(["perf", "script", "-i", str(data), "-F", "ip"], text=True, capture_output=True,
                            check=False)
    functions = Counter(symbols.find(int(line, 16)) for line in script.stdout.split())
    if functions.total() < 100:
        raise LabError(f"perf took {functions.total()} samples: {script.stderr[-500:]}")
    requests = figure.requests
    profile = Profile(name, workload.name, requests, figure.cpu_us, functions,
                      {key: (after[key] - before[key]) / requests for key in after})
    for stage, old in stages.items():
        new = [b - a for a, b in zip(old, latencies(resource)[stage])]
        profile.stages[stage] = quantile(new, .5), quantile(new, .99)
    profile.switches = switches(meter, device, workload)
    return profile


TRACE = "/sys/kernel/tracing"
# Of each machine: MiB of its disks, and of these that are written beforehand; what is measured.
GROUPS = [(256, 128, [DEPTHS[0], DEPTHS[2], SIZES[1], SIZES[3], OTHERS[2], OTHERS[3], OTHERS[4]]),
          (32768, 1, [COLD])]


def short(comm: str) -> str:
    """A thread's name without what tells it from others of its kind."""
    return comm if comm.startswith("braid/") else re.sub(r"[/:-]?\d.*$", "", comm)


def switches(meter: Meter, device: str, workload: Workload) -> Counter:
    """Switches per request to each thread, and what the one before it did: R+ was preempted, S and D wait."""
    machine, found = meter.machine, Counter()
    machine.run(f"mountpoint -q {TRACE} || mount -t tracefs tracefs {TRACE}; cd {TRACE};"
                "echo 32768 >buffer_size_kb; echo >trace; echo 1 >events/sched/sched_switch/enable;"
                "echo 1 >tracing_on")
    figure = meter.measure(device, replace(workload, ios=5000))
    machine.run(f"cd {TRACE}; echo 0 >tracing_on; echo 0 >events/sched/sched_switch/enable;"
                "cat trace >/lab/switches; echo >trace", timeout=60)
    pattern = re.compile(
        r"prev_comm=(.*) prev_pid=\d+ prev_prio=\d+ prev_state=(\S+) ==> next_comm=(.*) next_pid=")
    for line in (machine.share / "switches").open(errors="replace"):
        if match := pattern.search(line):
            found[short(match[1]), match[2], short(match[3])] += 1
    return Counter({key: count / figure.requests for key, count in found.items()})


def run(plan: Plan, folder: Path) -> Iterator[list[str]]:
    """Reports on Braid, and on DRBD for comparison, of the workloads that matter most."""
    for name, module in plan.modules.items():
        for number, (disk_mib, warm_mib, workloads) in enumerate(GROUPS):
            wanted = [it for it in workloads if plan.only in it.name]
            machine = uml.Uml(f"profile-{number}", uml.PLAIN, folder / name.replace("/", "-"), memory=3072)
            try:
                if wanted:
                    machine.boot()
                    rig = Rig(machine, 8, disk_mib, warm_mib)
                    yield from _run(name, module, rig, Meter(machine, 128, max(plan.seconds, 2)), wanted)
            finally:
                machine.kill()


def _run(name: str, module: Path, rig: Rig, meter: Meter, workloads: list[Workload]) -> Iterator[list[str]]:
    folder = meter.machine.folder
    with Braid(name, module).resource(rig) as resource, Drbd("drbd 8.4").start(rig) as drbd:
        for workload in workloads:
            yield report(take(meter, name, resource.nodes[0].device(), workload, resource, folder))
            yield report(take(meter, "drbd 8.4", drbd, workload, None, folder), top=10)


def report(profile: Profile, top: int = 20) -> list[str]:
    """Lines of Markdown."""
    total = profile.functions.total()
    modules = Counter()
    for (module, _), count in profile.functions.items():
        modules[module] += count
    lines = [f"### {profile.contestant}: {profile.workload}", "",
             f"{profile.cpu_us:.1f} us of processor a request, {profile.requests} requests, {total} samples.",
             "",
             "| per request | |", "|---|---|"]
    lines += [f"| {key} | {value:.3f} |" for key, value in profile.counts.items()]
    lines += [f"| stage {stage}, us: median, p99 | {median:.1f}, {high:.1f} |"
              for stage, (median, high) in profile.stages.items() if high]
    lines += ["", "| switch of threads | per request |", "|---|---|"]
    lines += [f"| {before} ({state}) to {after} | {count:.2f} |"
              for (before, state, after), count in profile.switches.most_common(10) if count >= 0.05]
    lines += ["", "| where | us | share |", "|---|---|---|"]
    lines += [f"| **{module}** | {profile.cpu_us * count / total:.2f} | {100 * count / total:.1f} % |"
              for module, count in modules.most_common(8)]
    lines += [f"| {module}: {name} | {profile.cpu_us * count / total:.2f} | {100 * count / total:.1f} % |"
              for (module, name), count in profile.functions.most_common(top)]
    return [*lines, ""]
