#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands for the harness inside a machine of the lab.

One JSON object a line, both ways, on a channel that carries nothing else: what a guest prints on its
console can never be taken for an answer. Each request has an "id", each answer repeats it. A command
that outlives its timeout is answered as timed out even when it cannot be killed (a task that sleeps
uninterruptibly), so a hung driver is told apart from a dead machine.

    {"op": "run", "argv": [...], "stdin": "...", "timeout": 10}  -> {"rc", "out", "err", "timed_out"}
    {"op": "start", "argv": [...]}                               -> {"pid"}, at its end {"rc", ...}
    {"op": "kill", "pid": 1, "signal": 9}                        -> {}
    {"op": "open", "argv": [...]}                                -> {"pid"}
    {"op": "talk", "pid": 1, "line": "..."}                      -> {"line"}, or at its end {"rc", "err"}
    {"op": "entropy", "hex": "..."}                              -> {}
    {"op": "ping"}                                               -> {}
"""
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
import tty

RNDADDENTROPY = 0x40085203
RNDRESEEDCRNG = 0x5207
MAX_OUTPUT = 4 << 20


class Agent:
    def __init__(self, read_fd: int, write_fd: int):
        self.reader = os.fdopen(read_fd, "rb", buffering=65536)
        self.write_fd = write_fd
        self.write_lock = threading.Lock()
        self.open: dict[int, tuple[subprocess.Popen, threading.Lock]] = {}

    def send(self, answer: dict) -> None:
        data = json.dumps(answer).encode() + b"\n"
        with self.write_lock:
            while data:
                data = data[os.write(self.write_fd, data):]

    def serve(self) -> None:
        self.send({"id": 0, "event": "ready"})
        for line in self.reader:
            if not line.strip():
                continue
            request = json.loads(line)
            threading.Thread(target=self.answer, args=(request,), daemon=True).start()

    def answer(self, request: dict) -> None:
        try:
            result = getattr(self, "op_" + request["op"])(request)
        except Exception as error:  # the harness must hear of it, whatever it is
            result = {"error": f"{type(error).__name__}: {error}"}
        self.send({"id": request["id"], **result})

    def op_ping(self, _request: dict) -> dict:
        return {}

    def op_run(self, request: dict) -> dict:
        try:
            process = self.spawn(request)
        except OSError as error:
            return {"rc": 127, "out": "", "err": f"{request['argv'][0]}: {error.strerror}\n"}
        return self.finish(process, request)

    def op_start(self, request: dict) -> dict:
        process = self.spawn(request)
        self.send({"id": request["id"], "event": "started", "pid": process.pid})
        return self.finish(process, request)

    def op_open(self, request: dict) -> dict:
        """Starts a program that is talked to: a line in, a line out, one at a time."""
        process = subprocess.Popen(request["argv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        self.open[process.pid] = process, threading.Lock()
        return {"pid": process.pid}

    def op_talk(self, request: dict) -> dict:
        process, lock = self.open[request["pid"]]
        with lock:
            try:
                process.stdin.write(request["line"].encode() + b"\n")
                process.stdin.flush()
            except OSError:
                pass  # it ended: seen below
            if line := process.stdout.readline():
                return {"line": line.decode()}
            err = process.stderr.read()[-MAX_OUTPUT:].decode(errors="replace")
            return {"rc": process.wait(), "err": err}

    def op_kill(self, request: dict) -> dict:
        os.killpg(request["pid"], request["signal"])
        return {}

    def op_entropy(self, request: dict) -> dict:
        """Machines restored from one saved state would otherwise draw the same random numbers."""
        seed = bytes.fromhex(request["hex"])
        with open("/dev/urandom", "wb") as device:
            fcntl.ioctl(device, RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
            fcntl.ioctl(device, RNDRESEEDCRNG)
        return {}

    @staticmethod
    def spawn(request: dict) -> subprocess.Popen:
        return subprocess.Popen(
            request["argv"],
            stdin=subprocess.PIPE if request.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    @staticmethod
    def finish(process: subprocess.Popen, request: dict) -> dict:
        stdin = request.get("stdin")
        timed_out = False
        try:
            out, err = process.communicate(stdin.encode() if stdin else None,
                                           timeout=request.get("timeout"))
        except subprocess.TimeoutExpired as expired:
            timed_out = True
            os.killpg(process.pid, signal.SIGKILL)
            try:
                out, err = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                out, err = expired.stdout or b"", expired.stderr or b""
        return {
            "rc": process.returncode if process.returncode is not None else -signal.SIGKILL,
            "out": out[-MAX_OUTPUT:].decode(errors="replace"),
            "err": err[-MAX_OUTPUT:].decode(errors="replace"),
            "timed_out": timed_out,
        }


def main() -> None:
    if len(sys.argv) > 1:
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
        if os.isatty(fd):
            tty.setraw(fd, termios.TCSANOW)
        Agent(fd, os.dup(fd)).serve()
    else:
        Agent(0, os.dup(1)).serve()


if __name__ == "__main__":
    main()
