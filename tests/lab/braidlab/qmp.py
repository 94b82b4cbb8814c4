# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's machine protocol, as far as the lab needs it."""
import json
import socket

from .errors import LabError


class QmpError(LabError):
    """QEMU refused a command."""


class Qmp:
    """One QMP connection. Not thread-safe; events are passed over."""

    def __init__(self, path: str, timeout: float):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._file = self._socket.makefile("rb")
        self._read()
        self.command("qmp_capabilities")

    def command(self, execute: str, arguments: dict | None = None, **more: object) -> object:
        """Runs a command; arguments takes those whose names are no Python names. Raises QmpError."""
        named = {**(arguments or {}), **more}
        self._socket.sendall(json.dumps({"execute": execute, "arguments": named}).encode())
        while True:
            reply = self._read()
            if "error" in reply:
                raise QmpError(f"{execute} {named}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]

    def human(self, line: str) -> str:
        return str(self.command("human-monitor-command", {"command-line": line}))

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> dict:
        line = self._file.readline()
        if not line:
            raise QmpError("QEMU closed its monitor")
        return json.loads(line)
