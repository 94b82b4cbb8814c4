# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine: one kernel, an agent in it, its console, and the verdict on both at the end.

Three kinds share this: the machine that runs the tests itself (Local), User-Mode Linux (uml.py) and
QEMU (qemu.py). Timeouts are given in seconds of real hardware and multiplied by the machine's speed
factor: an emulated machine gets more time, never more tries.
"""
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path

from . import splats
from .channel import Channel, ChannelClosed
from .errors import CommandFailed, Hang, KernelFailure, LabError, MachineGone, WaitTimeout

GUEST = Path(__file__).resolve().parent / "guest"
# How long a machine may stay silent beyond a command's own timeout before it counts as hung.
SILENCE = 10.0
# insmod with what modprobe would have loaded before: needed modules, where they aren't there yet.
INSMOD = """
for need in $(modinfo -F depends "$1" | tr ,- ' _'); do
    [ -d "/sys/module/$need" ] || modprobe "$need" || exit
done
exec insmod "$@"
"""


@dataclass
class Result:
    """A finished command."""

    rc: int
    out: str
    err: str


class Process:
    """A command that runs on in a machine."""

    def __init__(self, machine: "Machine", argv: list[str], pid: int, answer: Future):
        self.machine, self.argv, self.pid, self._answer = machine, argv, pid, answer

    def done(self) -> bool:
        return self._answer.done()

    def wait(self, timeout: float = 30, check: bool = True) -> Result:
        return self.machine.collect(self.argv, self._answer, timeout, check)

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.machine.ask("kill", pid=self.pid, signal=number)


class Dialogue:
    """A program in a machine that answers each line with a line, such as guest/braidctl.py."""

    def __init__(self, machine: "Machine", argv: list[str], pid: int):
        self.machine, self.argv, self.pid = machine, argv, pid

    def say(self, line: str, timeout: float = 30) -> str:
        """Sends a line and returns the answer to it. LabError when the program has ended."""
        return self.hear(self.send(line), timeout)

    def send(self, line: str) -> Future:
        """Sends a line whose answer may take long: hear() takes it."""
        return self.machine.request("talk", pid=self.pid, line=line)

    def hear(self, answer: Future, timeout: float = 30) -> str:
        reply = self.machine.take(answer, shlex.join(self.argv), timeout)
        if "line" not in reply:
            raise LabError(f"{self.machine.name}: {shlex.join(self.argv)}: ended: {reply}")
        return reply["line"]

    def kill(self) -> None:
        """Ends the program at once."""
        self.machine.ask("kill", pid=self.pid, signal=signal.SIGKILL)


@dataclass
class Variant:
    """What a kind of kernel can do, as far as the harness must know."""

    name: str
    speed: float = 1.0
    kmemleak: bool = False
    lockdep: bool = False
    hung_task_s: int = 30
    own_kernel: bool = True


class Machine:
    """Base of all machines. Subclasses start the kernel and fill in channel, process and console."""

    def __init__(self, name: str, variant: Variant, folder: Path):
        self.name, self.variant, self.folder = name, variant, folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.console = self.folder / f"{name}.console"
        self.console.touch()
        self.channel: Channel | None = None
        self.process: subprocess.Popen | None = None
        self.modules: list[str] = []
        self.loaded: set[str] = set()
        self.failed = False
        self._checked = 0

    # Commands

    def run(self, argv: list[str] | str, *, check: bool = True, timeout: float = 30,
            stdin: str | None = None) -> Result:
        """Runs a command (a string is given to sh) and waits. Raises CommandFailed when check."""
        argv = as_argv(argv)
        _, answer = self._request("run", argv=argv, stdin=stdin,
                                  timeout=timeout * self.variant.speed)
        return self.collect(argv, answer, timeout, check)

    def start(self, argv: list[str] | str, *, stdin: str | None = None) -> Process:
        """Starts a command that goes on by itself."""
        argv = as_argv(argv)
        started, answer = self._request("start", argv=argv, stdin=stdin, timeout=None)
        first = self._await(started, f"start {shlex.join(argv)}", 10)
        if "error" in first:
            raise LabError(f"{self.name}: {shlex.join(argv)}: {first['error']}")
        return Process(self, argv, first["pid"], answer)

    def converse(self, argv: list[str]) -> Dialogue:
        """Starts a program to talk to."""
        return Dialogue(self, argv, self.ask("open", argv=argv)["pid"])

    def request(self, op: str, **fields: object) -> Future:
        """One of the agent's own operations, whose answer take() waits for."""
        return self._request(op, **fields)[1]

    def take(self, answer: Future, what: str, timeout: float) -> dict:
        return self._await(answer, what, timeout)

    def collect(self, argv: list[str], answer: Future, timeout: float, check: bool) -> Result:
        """Takes a command's answer, and makes of it a result or the error that explains it."""
        what = shlex.join(argv)
        reply = self._await(answer, what, timeout)
        if "error" in reply:
            raise LabError(f"{self.name}: {what}: {reply['error']}")
        if reply.get("timed_out"):
            self._hang(f"'{what}' did not end within {timeout * self.variant.speed:g} s", alive=True)
        result = Result(reply["rc"], reply["out"], reply["err"])
        if check and result.rc != 0:
            self.check()
            raise CommandFailed(self.name, argv, result.rc, result.out, result.err)
        return result

    def ask(self, op: str, **fields: object) -> dict:
        """One of the agent's own operations."""
        _, answer = self._request(op, **fields)
        reply = self._await(answer, op, 10)
        if "error" in reply:
            raise LabError(f"{self.name}: {op}: {reply['error']}")
        return reply

    def read(self, path: str) -> str:
        return self.run(["cat", path]).out

    def write(self, path: str, text: str) -> None:
        self.run(["sh", "-c", 'cat >"$1"', "sh", path], stdin=text)

    def wait_for(self, condition: Callable[[], object], timeout: float, what: str) -> object:
        """Polls until condition() is true; returns its value. timeout in seconds of real hardware."""
        return wait_for(condition, timeout * self.variant.speed, what, self.check)

    def inside(self, path: Path | str) -> str:
        """Where a file of the harness's machine is found in this one, whatever is mounted over it."""
        return f"/old{path}" if self.variant.own_kernel else str(path)

    # Modules

    def load(self, module: Path | str, *parameters: str) -> None:
        """Loads a module, by Path or by name, with its debug messages on; finish() unloads it."""
        if isinstance(module, Path):
            self.run(["sh", "-c", INSMOD, "sh", self.inside(module), "dyndbg=+p", *parameters])
        else:
            self.run(["modprobe", module, *parameters])
        self.modules.append(Path(module).stem.replace("-", "_"))
        self.loaded.add(self.modules[-1])

    def unload(self, module: str) -> None:
        self.modules.remove(module)
        # A thread of the module may still be on its way out when all that it worked for is gone.
        users = f"/sys/module/{module}/refcnt"
        self.run(f"for i in $(seq 50); do [ \"$(cat {users})\" = 0 ] && break; sleep 0.1; done",
                 check=False)
        result = self.run(["rmmod", module], check=False)
        if result.rc != 0:
            raise KernelFailure(self.name, "unload", f"rmmod {module}: {result.err.strip()}")

    # Verdict

    def check(self) -> None:
        """Raises when the console shows what a kernel must not print. Cheap: reads what is new."""
        with open(self.console, "rb") as console:
            console.seek(self._checked)
            data = console.read()
            if splats.find(data.decode(errors="replace")):
                time.sleep(0.5)  # let it print how it came to that
                splat = splats.find((data + console.read()).decode(errors="replace"))
                self.failed = True
                raise KernelFailure(self.name, splat.kind, splat.headline, splat.excerpt)
        self._checked += data.rfind(b"\n") + 1

    def finish(self) -> None:
        """The verdict, asked over the channel: unload, leaks, locks, taint, log, object pairs."""
        if self.failed or self.channel is None or not self.variant.own_kernel:
            return
        symbols = []
        if self.variant.kmemleak and self.modules:  # a leak is reported after its module has gone
            symbols = splats.module_symbols(self.read("/proc/kallsyms"))
        for module in reversed(list(self.modules)):
            self.unload(module)
        if self.variant.kmemleak:
            self._kmemleak(symbols)
        self.check()
        log = self.run(["dmesg"]).out
        if splat := splats.find(log):
            raise KernelFailure(self.name, splat.kind, splat.headline, splat.excerpt)
        if wrong := splats.unpaired(log):
            raise KernelFailure(self.name, "objects", "; ".join(wrong))
        if "braid" in self.loaded and not splats.objects_created(log):
            raise KernelFailure(self.name, "objects", "braid was loaded but logged no object at all")
        if self.variant.lockdep and "debug_locks:                             1" not in self.read(
                "/proc/lockdep_stats"):
            raise KernelFailure(self.name, "lockdep", "lock debugging turned itself off")
        if bad := splats.taints(int(self.read("/proc/sys/kernel/tainted"))):
            raise KernelFailure(self.name, "taint", ", ".join(bad))

    def _kmemleak(self, symbols: list[tuple[int, str]]) -> None:
        """kmemleak reports nothing younger than 5 s, and a first scan can err: two must agree."""
        path = "/sys/kernel/debug/kmemleak"
        time.sleep(5.5)
        for _ in range(2):
            self.run(["sh", "-c", f"echo scan >{path}"], timeout=60)
        if report := self.read(path):
            first = re.sub(r"\s+", " ", report.split("backtrace", 1)[0]).strip()
            report = splats.name_addresses(report[:4000], symbols)
            raise KernelFailure(self.name, "kmemleak", first, report)

    def kill(self) -> None:
        """Cuts the power: what the kernel had not written is gone."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        if self.channel is not None:
            self.channel.close()
        self.channel = None
        self.modules = []
        self.loaded = set()

    def must_be_up(self) -> None:
        """Raises when the machine went down by itself: a power cut must not cover that up."""
        self.check()
        if self.process.poll() is not None:
            raise self._gone("stopped by itself before its power was cut")

    def describe_blocked(self) -> None:
        """Has the kernel print its blocked tasks on the console. Subclasses know how."""

    # Inside

    def _request(self, op: str, **fields: object) -> tuple[Future, Future]:
        if self.channel is None:
            raise LabError(f"{self.name}: the machine is off")
        try:
            return self.channel.request(op, **fields)
        except ChannelClosed:
            raise self._gone("stopped by itself") from None

    def _await(self, future: Future, what: str, timeout: float) -> dict:
        try:
            return future.result((timeout + SILENCE) * self.variant.speed)
        except ChannelClosed:
            raise self._gone(f"stopped by itself during '{what}'") from None
        except FutureTimeout:
            return self._hang(f"no answer during '{what}'", alive=False)

    def _hang(self, headline: str, alive: bool) -> dict:
        self.check()
        if alive:
            self.ask("run", argv=["sh", "-c", "echo w >/proc/sysrq-trigger"], timeout=5)
        else:
            self.describe_blocked()
        time.sleep(2)
        self.failed = True
        raise Hang(self.name, headline, self.tail(80))

    def _gone(self, headline: str) -> KernelFailure:
        """Why a machine went down: what its console says, or else the headline."""
        self.failed = True
        try:
            self.process.wait(10 * self.variant.speed)
        except subprocess.TimeoutExpired:
            pass
        if splat := splats.find(self.console.read_text(errors="replace")):
            return KernelFailure(self.name, splat.kind, splat.headline, splat.excerpt)
        return MachineGone(self.name, headline, self.tail(20))

    def tail(self, lines: int) -> str:
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-lines:])

    def _await_ready(self, timeout: float) -> None:
        try:
            self.channel.ready.result(timeout * self.variant.speed)
        except ChannelClosed:
            raise self._gone("stopped while it booted") from None
        except FutureTimeout:
            self.failed = True
            raise Hang(self.name, "did not boot", self.tail(30)) from None


class Local(Machine):
    """The machine that runs the tests: no kernel of its own, for userland in network namespaces."""

    def __init__(self, name: str, folder: Path):
        super().__init__(name, Variant("local", own_kernel=False), folder)
        self.console.touch()

    def boot(self) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, str(GUEST / "agent.py")], stdin=theirs, stdout=theirs,
            stderr=open(self.console, "wb"), start_new_session=True)
        theirs.close()
        fd = ours.detach()
        self.channel = Channel(os.dup(fd), fd)
        self._await_ready(10)


def as_argv(argv: list[str] | str) -> list[str]:
    return ["sh", "-ec", argv] if isinstance(argv, str) else [str(word) for word in argv]


def wait_for(condition: Callable[[], object], timeout: float, what: str,
             check: Callable[[], None] = lambda: None) -> object:
    """Polls condition() until it is true and returns its value; WaitTimeout after timeout seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.01
    while True:
        value = condition()
        if value:
            return value
        check()
        if time.monotonic() > deadline:
            raise WaitTimeout(f"not within {timeout:g} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
