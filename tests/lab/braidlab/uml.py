# SPDX-License-Identifier: GPL-2.0-or-later
"""User-Mode Linux machines: a kernel as a process, at native speed, on one CPU."""
import os
import shutil
import socket
import subprocess
from pathlib import Path

from . import kernels
from .channel import Channel
from .machine import GUEST, Machine, Variant

PLAIN = Variant("uml", speed=1, hung_task_s=30)
DEBUG = Variant("uml-debug", speed=6, kmemleak=True, lockdep=True, hung_task_s=60)


class Uml(Machine):
    """One UML kernel. memory in MiB, of which only what is touched is taken from the host."""

    def __init__(self, name: str, variant: Variant, folder: Path, memory: int = 1024,
                 options: tuple[str, ...] = ()):
        super().__init__(name, variant, folder)
        self.kernel = kernels.uml("debug" if variant.lockdep else "plain")
        self.memory = memory
        self.options = options
        self.share = folder / name
        self.share.mkdir(exist_ok=True)

    def boot(self) -> None:
        ours, theirs = socket.socketpair()
        command = [
            str(self.kernel.image), f"mem={self.memory}M", f"umid={self.name}",
            f"uml_dir={self.share}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
            f"init={GUEST}/init", "con=null", "con0=null,fd:1", "ssl=null",
            f"ssl0=fd:{theirs.fileno()}", "quiet", "panic=-1", "panic_on_warn=1",
            "oops=panic", "log_buf_len=16M", "softlockup_panic=1",
            f"sysctl.kernel.hung_task_timeout_secs={self.variant.hung_task_s}",
            "sysctl.kernel.hung_task_panic=1",
            *self.options,
            f"LAB_AGENT={GUEST}/agent.py", "LAB_CHANNEL=/dev/ttyS0",
            f"LAB_MODULES={self.kernel.modules}", f"LAB_SHARE=hostfs:none:{self.share}",
            f"LAB_HOSTNAME={self.name}",
        ]
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                pass_fds=[theirs.fileno()], start_new_session=True)
        theirs.close()
        fd = ours.detach()
        self.channel = Channel(os.dup(fd), fd)
        self._await_ready(20)

    def describe_blocked(self) -> None:
        if shutil.which("uml_mconsole"):
            subprocess.run(["uml_mconsole", str(self.share / self.name / "mconsole"), "sysrq", "w"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10,
                           check=False)
