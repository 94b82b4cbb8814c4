# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the lab's kernels are. scripts/lab-kernels makes them; this only looks them up."""
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Kernel:
    """A kernel that the lab can boot, and what modules are built against."""

    name: str
    release: str
    image: Path
    modules: Path
    build: Path
    arch: str


@cache
def uml(variant: str) -> Kernel:
    """The User-Mode Linux kernel, variant "plain" or "debug", built when it is not there yet."""
    out = subprocess.run([TOP / "scripts/uml-kernel", variant], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    folder = Path(out.strip())
    release = (folder / "build/include/config/kernel.release").read_text().strip()
    return Kernel(f"uml-{variant}", release, folder / "build/linux",
                  folder / "modules/lib/modules" / release, folder / "build", "um")


@cache
def debian(series: str) -> Kernel:
    """Debian's own kernel of a series ("6.1", "6.12"), as installed by scripts/packages."""
    meta = {"6.1": "linux-headers-amd64", "6.12": "linux-headers-6.12-amd64"}[series]
    depends = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}", meta], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    release = depends.split()[0].removeprefix("linux-headers-")
    return Kernel(series, release, Path("/boot/vmlinuz-" + release), Path("/lib/modules", release),
                  Path("/lib/modules", release, "build"), "x86_64")
