#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads a module again and again; in each load another allocation of its init function fails.

    fail_nth.py FILE [PARAMETER ...]

Goes from the last allocation of a load to the first one in init. Those before are of the module
loader, not of the module, and a failure of dynamic debug among them is a WARN of the kernel's own.
What was loaded in spite of a failure is unloaded. Prints as JSON the errors of the loads that were
refused, how many survived a failure, and how many were loaded, with or without one. Needs
CONFIG_FAILSLAB and the trace events of modules.
"""
import ctypes
import errno
import json
import os
import sys
from collections import Counter
from pathlib import Path

MANY = 1 << 20  # more than any load asks for
FINIT_MODULE, DELETE_MODULE = 313, 176  # x86_64
DEBUG = Path("/sys/kernel/debug")
SETTINGS = [
    # By default allocations that may sleep do not fail: those of a load all may.
    ("failslab/ignore-gfp-wait", "0"), ("failslab/verbose", "0"),
    # Pages are asked for when the slabs run short, differently in each load.
    ("fail_page_alloc/min-order", "20"),
    # This event comes just before init.
    ("tracing/events/module/module_load/enable", "1"),
]
# Loads differ by a few of the loader's allocations.
SLACK = 8
# Family ids count up and lie 64 to a node of a tree. After so many loads the module's is in a node
# of its own, which each load has to allocate: before, registering a family allocates nothing.
LOADS_FOR_A_NODE = 64


class Loader:
    def __init__(self, file: str, parameters: list[str]):
        self.module, self.parameters = Path(file).stem.encode(), " ".join(parameters).encode()
        self.image = os.open(file, os.O_RDONLY)
        self.nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.loaded = 0

    def load(self, number: int) -> tuple[int, int]:
        """Loads while allocation number fails: errno, and how many more it would have taken.

        By a call of this process: an insmod would meet the failure before it gets to its load.
        """
        os.pwrite(self.nth, b"%d" % number, 0)
        failed = self.libc.syscall(FINIT_MODULE, self.image, self.parameters, 0)
        error = ctypes.get_errno() if failed else 0
        left = int(os.pread(self.nth, 16, 0).strip(b"\0\n"))
        os.pwrite(self.nth, b"0", 0)
        if not failed:
            self.loaded += 1
            if self.libc.syscall(DELETE_MODULE, self.module, 0):
                sys.exit(f"rmmod: {os.strerror(ctypes.get_errno())}")
        return error, left


def sweep(loader: Loader):
    """What became of each load that met a failure in init."""
    trace = DEBUG / "tracing/trace"
    number, before_init = MANY - loader.load(MANY)[1] + SLACK, 0
    while before_init < SLACK:
        trace.write_text("")
        error, left = loader.load(number)
        number -= 1
        if "module_load:" not in trace.read_text():
            before_init += 1
        elif not left:
            yield error


def main() -> None:
    for name, value in SETTINGS:
        (DEBUG / name).write_text(value)
    loader = Loader(sys.argv[1], sys.argv[2:])
    for _ in range(LOADS_FOR_A_NODE):
        loader.load(MANY)
    errors, survived = Counter(), 0
    for error in sweep(loader):
        if error:
            errors[errno.errorcode[error]] += 1
        else:
            survived += 1
    print(json.dumps({"refused": errors, "survived": survived, "loaded": loader.loaded}))


if __name__ == "__main__":
    main()
