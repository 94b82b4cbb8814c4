# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU machines with Debian's own kernels: several CPUs, real power cuts, devices plugged from outside.

A machine is booted once per kernel up to the point where it waits for its name, and its state saved; later
ones are restored from that in about a second. Network cards and disks are plugged in afterwards, so one
saved state serves every shape of cluster.
"""
import ctypes
import hashlib
import mmap
import os
import shlex
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from . import kernels
from .channel import Channel
from .errors import Hang, LabError
from .machine import GUEST, Machine, Variant
from .qmp import Qmp, QmpError

CACHE = Path(os.environ.get("BRAID_CACHE", Path.home() / ".cache/braid"))
BOOT_MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "virtio_console", "9pnet_virtio", "9p",
                "overlay"]


@cache
def has_kvm() -> bool:
    """Whether guests can use KVM. BRAID_ACCEL=tcg or kvm decides; else the processor must say so too:
    a /dev/kvm without hardware virtualisation (PVM) runs only kernels made for it."""
    if forced := os.environ.get("BRAID_ACCEL"):
        return forced == "kvm"
    return (os.access("/dev/kvm", os.R_OK | os.W_OK)
            and bool(set(Path("/proc/cpuinfo").read_text().split()) & {"vmx", "svm"}))


@cache
def tsc_khz() -> int:
    """How fast this machine's time stamp counter runs, and so that of an emulated one.

    Told to a kernel that boots under emulation: one that finds out by itself while this machine is busy was seen
    to be wrong by a factor of eight, and all that was restored from its saved state had clocks that ran so fast.
    """
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f3148c1e2204809d0c3"))  # rdtsc; shl $32, %rdx; or %rdx, %rax; ret
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def sample() -> tuple[int, int]:
        """Both clocks at one moment: of many tries that in which least came in between."""
        tries = [(time.monotonic_ns(), rdtsc(), time.monotonic_ns()) for _ in range(100)]
        before, ticks, after = min(tries, key=lambda it: it[2] - it[0])
        return (before + after) // 2, ticks

    first = sample()
    time.sleep(0.1)
    last = sample()
    # Rounded, so that the saved states of all runs are the same.
    return round((last[1] - first[1]) * 1e6 / (last[0] - first[0]) / 1e4) * 10000


def variant(kernel: kernels.Kernel) -> Variant:
    return Variant(f"qemu-{kernel.name}", speed=1 if has_kvm() else 10,
                   hung_task_s=30 if has_kvm() else 60)


@cache
def initramfs(release: str) -> Path:
    """The initramfs for a kernel release: busybox, the modules needed to reach the host's files."""
    order = []
    for module in BOOT_MODULES:
        found = subprocess.run(["modprobe", "-S", release, "--show-depends", module], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if found.returncode != 0:
            raise LabError(f"module {module} of {release}: {found.stderr.strip()}: "
                           f"is linux-image-{release} installed?")
        for line in found.stdout.splitlines():
            if line.startswith("insmod ") and (path := line.split()[1]) not in order:
                order.append(path)
    init = (GUEST / "initramfs-init").read_bytes()
    digest = hashlib.sha256(init + "\n".join(order).encode())
    for path in [*order, "/bin/busybox"]:
        stat = os.stat(path)
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}".encode())
    image = CACHE / "initramfs" / f"{release}-{digest.hexdigest()[:16]}.cpio"
    if image.exists():
        return image
    image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in ("bin", "dev", "proc", "sys", "root", "modules"):
            (tree / name).mkdir()
        (tree / "init").write_bytes(init)
        (tree / "init").chmod(0o755)
        subprocess.run(["cp", "/bin/busybox", tree / "bin/busybox"], check=True)
        for path in order:  # unpacked: busybox's insmod leaves a complaint in the log for each .xz
            with open(tree / "modules" / Path(path).name.removesuffix(".xz"), "wb") as module:
                subprocess.run(["xzcat" if path.endswith(".xz") else "cat", path], stdout=module,
                               check=True)
        names = [Path(path).name.removesuffix(".xz") for path in order]
        (tree / "modules/order").write_text("\n".join(names) + "\n")
        temporary = image.with_suffix(f".{os.getpid()}")
        subprocess.run("find . | cpio --quiet -o -H newc >" + shlex.quote(str(temporary)),
                       shell=True, cwd=tree, check=True)
        temporary.rename(image)
    return image


class Qemu(Machine):
    """One emulated host. memory in MiB."""

    def __init__(self, name: str, kernel: kernels.Kernel, folder: Path, *, memory: int = 512,
                 smp: int = 2, options: tuple[str, ...] = (), use_saved_state: bool = True):
        super().__init__(name, variant(kernel), folder)
        self.kernel, self.memory, self.smp = kernel, memory, smp
        self.options, self.use_saved_state = options, use_saved_state
        self.share = folder / name
        self.share.mkdir(exist_ok=True)
        # Unix socket paths are at most 108 characters long, so they get a folder of their own.
        self.sockets = Path(tempfile.mkdtemp(prefix="braid-lab-"))
        self.qmp: Qmp | None = None
        self.boots = 0

    def boot(self) -> None:
        """Starts the machine, from its kernel's saved state when there is one."""
        state = self._state()
        if state.exists():
            state.touch()  # in use: see _save
        self._spawn(restore=state if state.exists() else None)
        self._open()
        if not state.exists():
            self._read_waiting()
            if self.use_saved_state:
                self._save(state)
        words = {
            "LAB_INIT": GUEST / "init", "LAB_AGENT": GUEST / "agent.py", "LAB_HOSTNAME": self.name,
            "LAB_SHARE": "9p:share:trans=virtio,version=9p2000.L,msize=262144", "LAB_CLOCK": time.time(),
        }
        line = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in words.items())
        self._agent.sendall(line.encode() + b"\n")
        fd = self._agent.detach()
        self.channel = Channel(os.dup(fd), fd)
        self._await_ready(15)

    def kill(self) -> None:
        super().kill()
        if self.qmp is not None:
            self.qmp.close()
            self.qmp = None

    def remove(self) -> None:
        """Ends the machine and removes its sockets."""
        self.kill()
        subprocess.run(["rm", "-rf", self.sockets], check=True)

    def describe_blocked(self) -> None:
        try:
            self.qmp.human("sendkey alt-sysrq-w")
        except (QmpError, OSError):
            pass

    # Inside

    def _command(self) -> list[str]:
        append = ("console=ttyS0 quiet panic=-1 panic_on_warn=1 oops=panic mitigations=off "
                  "tsc=reliable log_buf_len=16M softlockup_panic=1 sysrq_always_enabled "
                  "kfence.sample_interval=100 sysctl.kernel.hung_task_panic=1 "
                  f"sysctl.kernel.hung_task_timeout_secs={self.variant.hung_task_s} "
                  + ("" if has_kvm() else f"tsc_early_khz={tsc_khz()} ") + " ".join(self.options))
        accel = ["-accel", "kvm", "-cpu", "host"] if has_kvm() else [
            "-accel", "tcg,thread=multi", "-cpu", "max"]
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-M", "pc", *accel, "-smp", str(self.smp), "-m", str(self.memory),
            "-kernel", str(self.kernel.image), "-initrd", str(initramfs(self.kernel.release)),
            "-append", append, "-device", "virtio-serial-pci,id=serial",
            "-device", "virtserialport,bus=serial.0,chardev=agent,name=agent",
            "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=share",
        ]

    def _spawn(self, restore: Path | None) -> None:
        self.boots += 1
        for stale in ("qmp", "agent"):  # of the life before a power cut
            (self.sockets / stale).unlink(missing_ok=True)
        command = [
            *self._command(),
            "-name", self.name,
            "-serial", "chardev:console",
            "-chardev", f"file,id=console,path={self.console},append=on",
            "-chardev", f"socket,id=agent,path={self.sockets}/agent,server=on,wait=off",
            "-qmp", f"unix:{self.sockets}/qmp,server=on,wait=off",
            "-fsdev", f"local,id=share,path={self.share},security_model=none",
        ]
        if restore:
            command += ["-incoming", f"exec:cat {shlex.quote(str(restore))}"]
        with open(self.folder / f"{self.name}.qemu", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self._restored = restore is not None

    def _connect_monitor(self) -> bool:
        try:
            self.qmp = Qmp(str(self.sockets / "qmp"), 30 * self.variant.speed)
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # for a moment the socket is there but nobody listens
        return True

    def _open(self) -> None:
        deadline = time.monotonic() + 10 * self.variant.speed
        while not self._connect_monitor():
            if self.process.poll() is not None:
                raise LabError(f"{self.name}: QEMU did not start: "
                               + (self.folder / f"{self.name}.qemu").read_text()[-500:])
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: QEMU opened no monitor")
            time.sleep(0.01)
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.connect(str(self.sockets / "agent"))
        while self._restored:
            status = self.qmp.command("query-status")["status"]
            if status == "paused":
                self.qmp.command("cont")
            elif status == "running":
                return
            time.sleep(0.02)

    def _read_waiting(self) -> None:
        self._agent.settimeout(20 * self.variant.speed)
        try:
            if b"waiting" not in self._agent.recv(4096):
                raise Hang(self.name, "did not boot", self.tail(30))
        except TimeoutError:
            raise Hang(self.name, "did not boot", self.tail(30)) from None
        self._agent.settimeout(None)

    def _state(self) -> Path:
        qemu = os.stat("/usr/bin/qemu-system-x86_64")
        key = hashlib.sha256(f"{self._command()} {qemu.st_size} {qemu.st_mtime_ns}".encode())
        return CACHE / "states" / f"{self.kernel.release}-{key.hexdigest()[:16]}.state"

    def _save(self, state: Path) -> None:
        state.parent.mkdir(parents=True, exist_ok=True)
        temporary = state.with_suffix(f".{os.getpid()}")
        self.qmp.command("stop")
        self.qmp.command("migrate", uri=f"exec:cat >{shlex.quote(str(temporary))}")
        while (status := self.qmp.command("query-migrate").get("status")) != "completed":
            if status in ("failed", "cancelled"):
                raise LabError(f"{self.name}: its state could not be saved")
            time.sleep(0.05)
        temporary.rename(state)
        self.qmp.command("cont")
        for old in state.parent.glob("*.state"):  # of kernels and shapes that no run uses any more
            if time.time() - old.stat().st_mtime > 14 * 86400:
                old.unlink(missing_ok=True)
