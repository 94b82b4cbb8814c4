# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds kernel modules for the lab's kernels, once per kernel and run; and the userland for its guests."""
import fcntl
import os
import subprocess
from functools import cache
from pathlib import Path

from .errors import LabError
from .kernels import TOP, Kernel

BUILD = Path(os.environ.get("BRAID_BUILD", TOP / "build"))
# Set by scripts/coverage.
COVERAGE = "BRAID_COVERAGE" in os.environ


@cache
def braid(kernel: Kernel) -> Path:
    """Builds braid.ko (and braid_test.ko where the kernel has KUnit); returns their folder.

    That for User-Mode Linux is a debug build, in which faults can be injected.
    """
    out = BUILD / ("coverage" if COVERAGE else "module") / kernel.name
    _run([TOP / "scripts/build-module", "--kdir", kernel.build, "--out", out,
          *(["--coverage"] if COVERAGE else []),
          *(["--arch", "um", "--debug"] if kernel.arch == "um" else [])], out)
    return out


@cache
def braidadm() -> Path:
    """Builds braidadm as it is packaged; returns its file."""
    return _userland("braidadm", "userland")


@cache
def satellite() -> Path:
    """Builds the node daemon as it is packaged; returns its file."""
    return _userland("braid-satellite", "userland")


@cache
def link_agent() -> Path:
    """Builds the program that makes a node's connections for tests; returns its file."""
    return _userland("link_agent", "tests/lab/agent")


def _userland(target: str, folder: str) -> Path:
    out = TOP / "build/release"
    _run(["cmake", "-S", TOP, "--preset", "release", "--log-level=WARNING"], out)
    _run(["cmake", "--build", out, "--target", target], out)
    return out / folder / target


@cache
def broken(kernel: Kernel) -> Path:
    """Builds the module that is wrong on purpose (tests/lab/broken); returns its file."""
    out = BUILD / "broken" / kernel.name
    out.mkdir(parents=True, exist_ok=True)
    for file in (TOP / "tests/lab/broken").iterdir():
        target = out / file.name
        if not target.exists() or target.read_bytes() != file.read_bytes():
            target.write_bytes(file.read_bytes())
    arch = ["ARCH=um"] if kernel.arch == "um" else []
    _run(["make", "-s", "-C", kernel.build, f"M={out}", *arch, "modules"], out)
    return out / "broken.ko"


def _run(command: list, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    # Runs of tests side by side use the same folder.
    with open(out / ".run.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        raise LabError(f"{out}: build failed:\n{result.stdout[-4000:]}")
