# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test gets: machines and clusters, everything random from one seed, logs in one place."""
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from random import Random

from . import kernels, modules, uml
from .cluster import NamespaceCluster, QemuCluster
from .machine import Local, Machine


@dataclass(frozen=True)
class Options:
    """What a run varies. Drawn from its seed and printed before anything starts."""

    mtu: int
    block_size: int

    @classmethod
    def draw(cls, seed: int) -> "Options":
        rng = Random(seed)
        return cls(mtu=rng.choice([1500, 9000]), block_size=rng.choice([512, 4096]))

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in dataclasses.asdict(self).items())


class Lab:
    """The lab as one test sees it. Machines made through it get their verdict when the test ends."""

    def __init__(self, seed: int, options: Options, test: str, folder: Path):
        self.seed, self.options, self.test, self.folder = seed, options, test, folder
        self.machines: list[Machine] = []

    def rng(self, name: str) -> Random:
        """Random numbers that depend on the run's seed, this test and name only."""
        return Random(f"{self.seed}/{self.test}/{name}")

    def local(self) -> Local:
        return self._boot(Local("local", self.folder))

    def uml(self, *, debug: bool = False, **options: object) -> uml.Uml:
        variant = uml.DEBUG if debug else uml.PLAIN
        return self._boot(uml.Uml("uml", variant, self.folder, **options))

    def namespaces(self, machine: Machine, names: list[str], networks: int = 1) -> NamespaceCluster:
        return NamespaceCluster(machine, names, networks, mtu=self.options.mtu)

    def qemu(self, names: list[str], series: str = "6.12", **options: object) -> QemuCluster:
        """A cluster of QEMU machines; it asks for their verdicts itself when it is left."""
        cluster = QemuCluster(self.folder, names, kernels.debian(series), mtu=self.options.mtu,
                              rng=lambda name: self.rng(name).randbytes(32).hex(), **options)
        return cluster

    def load_braid(self, machine: Machine) -> Path:
        """Builds braid.ko for a machine's kernel and loads it; returns the folder of modules."""
        folder = modules.braid(machine.kernel)
        machine.load(folder / "braid.ko", *(["coverage=/lab/coverage"] if modules.COVERAGE else []))
        return folder

    def end(self, verdict: bool) -> None:
        """Ends all machines, first asking for their verdicts. Raises the first bad one."""
        try:
            for machine in self.machines:
                if verdict:
                    machine.finish()
        finally:
            for machine in self.machines:
                machine.kill()

    def _boot(self, machine: Machine) -> Machine:
        self.machines.append(machine)
        machine.boot()
        return machine
