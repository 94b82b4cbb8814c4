# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness's end of the line to an agent (guest/agent.py): requests out, answers in, in any order."""
import json
import os
import threading
from concurrent.futures import Future
from typing import Any


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """Speaks to one agent over a pair of descriptors, which it owns. Thread-safe."""

    def __init__(self, read_fd: int, write_fd: int):
        self._reader = os.fdopen(read_fd, "rb", buffering=65536)
        self._write_fd = write_fd
        self._lock = threading.Lock()
        self._pending: dict[int, Future] = {}
        self._started: dict[int, Future] = {}
        self._next_id = 1
        self._closed = False
        self.ready: Future = Future()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def request(self, op: str, **fields: Any) -> tuple[Future, Future]:
        """Sends a request. The futures: it was started (op start only), and its answer."""
        started: Future = Future()
        answer: Future = Future()
        with self._lock:
            if self._closed:
                raise ChannelClosed
            request_id = self._next_id
            self._next_id += 1
            self._pending[request_id] = answer
            self._started[request_id] = started
            data = json.dumps({"id": request_id, "op": op, **fields}).encode() + b"\n"
            try:
                while data:
                    data = data[os.write(self._write_fd, data):]
            except OSError as error:
                raise ChannelClosed from error
        return started, answer

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._write_fd)

    def _receive(self) -> None:
        try:
            for line in self._reader:
                self._dispatch(line)
        except (OSError, ValueError):
            pass
        with self._lock:
            self._closed = True
            waiting = [self.ready, *self._pending.values(), *self._started.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(ChannelClosed())

    def _dispatch(self, line: bytes) -> None:
        line = line.strip(b"\r\n\0 ")
        if not line:
            return
        try:
            answer = json.loads(line)
        except ValueError:
            return  # a tty echoes what it was sent until the agent has made it raw
        if answer.get("event") == "ready":
            if not self.ready.done():
                self.ready.set_result(True)
        elif answer.get("event") == "started":
            self._started[answer["id"]].set_result(answer)
        elif (future := self._pending.pop(answer.get("id"), None)) is not None:
            started = self._started.pop(answer["id"])
            future.set_result(answer)
            if not started.done():
                started.set_result(answer)
