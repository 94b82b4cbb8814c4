# SPDX-License-Identifier: GPL-2.0-or-later
"""Shells on QEMU hosts that stay up for a person."""
import os
import select
import shlex
import socket
import sys
import termios
import tty

from .cluster import QemuCluster, QemuHost
from .guestvm import virtio_port

LEAVE = b"\x1d"  # Ctrl-]
# A port is no terminal: python3 makes one for the shell.
SHELL = "exec setsid /usr/bin/python3 -c 'import pty; pty.spawn([\"bash\", \"-i\"])' <>{port} >&0 2>&1"


def open_shell(host: QemuHost) -> socket.socket:
    """Starts a shell on a host; a socket that is its terminal."""
    path = f"{host.machine.sockets}/shell"
    qmp = host.machine.qmp
    if not os.path.exists(path):
        qmp.command("chardev-add", id="shell", backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": path}}, "server": True, "wait": False}})
        qmp.command("device_add", driver="virtserialport", bus="serial.0", chardev="shell", name="shell", id="shell")
    shell = socket.socket(socket.AF_UNIX)
    shell.connect(path)
    host.start(SHELL.format(port=shlex.quote(virtio_port(host, "shell"))))
    return shell


def attend(shell: socket.socket) -> None:
    """The terminal of this process is that of the shell, until it ends or Ctrl-] is typed."""
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        while True:
            readable, _, _ = select.select([0, shell], [], [])
            if 0 in readable:
                typed = os.read(0, 4096)
                if not typed or LEAVE in typed:
                    return
                shell.sendall(typed)
            if shell in readable:
                if not (shown := shell.recv(65536)):
                    return
                os.write(1, shown)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        print()


def take_commands(cluster: QemuCluster) -> None:
    """A host's name gives a shell there, with a command after it that is run; until the input ends."""
    names = ", ".join(host.name for host in cluster.hosts)
    print(f"The hosts stay up. Type a host ({names}) for a shell on it, which Ctrl-] leaves; or a host and a command, "
          "as in 'a braidadm status'. End with Ctrl-D.", flush=True)
    shells: dict[str, socket.socket] = {}
    for line in sys.stdin:
        name, _, command = line.strip().partition(" ")
        if name not in [host.name for host in cluster.hosts]:
            print(f"'{line.strip()}': expected a host ({names}), and a command or nothing", flush=True)
        elif command:
            result = cluster[name].run(command, check=False)
            print(result.out + result.err + (f"exit code {result.rc}" if result.rc else ""), flush=True)
        elif sys.stdin.isatty():
            if name not in shells:
                shells[name] = open_shell(cluster[name])
            attend(shells[name])
        else:
            print("a shell needs a terminal", flush=True)
