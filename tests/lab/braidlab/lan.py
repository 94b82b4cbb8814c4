# SPDX-License-Identifier: GPL-2.0-or-later
"""The network that virtual machines are on, and the client there that is outside of all hosts.

Each host has a port (a network card on its bridge "lan"). This process is the switch between them and the client
at once, so one clock stamps whatever a machine says on whichever host: two that ran at once would be seen. What the client
sends goes to all hosts, so a machine is found wherever it runs; a host whose link to the others is cut stays here.
"""
import contextlib
import itertools
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .errors import LabError
from .machine import wait_for

CLIENT, CLIENT_MAC = "10.99.0.1", bytes.fromhex("525400990001")
GUEST = "10.99.0.2"
PORT = 7000
ARP, IPV4, UDP = 0x0806, 0x0800, 17


@dataclass(frozen=True)
class Said:
    """A datagram of a machine: when it was heard, from which host, its words."""

    at: float
    host: str
    words: tuple[str, ...]


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Lan:
    """Ports by the name of their host. Listeners are called in the switch's thread and must not wait."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.listeners: list[Callable[[Said], None]] = []
        self._ports: dict[str, tuple[socket.socket, Path]] = {}
        self._guest_mac: bytes | None = None
        self._cut: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._stopping, self._wake = socket.socketpair()
        self._selector.register(self._stopping, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def port(self, host: str) -> tuple[str, str]:
        """Opens a host's port: the paths of the card's socket and of the switch's, for QEMU."""
        card, here = (self.folder / f"lan-{host}-{end}" for end in ("card", "port"))
        with self._lock:
            if host not in self._ports:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                sock.bind(str(here))
                sock.setblocking(False)
                self._ports[host] = sock, card
                self._selector.register(sock, selectors.EVENT_READ, host)
        return str(card), str(here)

    def cut(self, host: str) -> None:
        """Pulls a host's cable to this network."""
        self._cut.add(host)

    def heal(self, host: str) -> None:
        self._cut.discard(host)

    def send(self, text: str) -> None:
        """A datagram to the machine, wherever it is."""
        if self._guest_mac is None:
            return  # it has said nothing yet
        data = text.encode()
        udp = struct.pack(">HHHH", PORT, PORT, 8 + len(data), 0) + data
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0,
                           socket.inet_aton(CLIENT), socket.inet_aton(GUEST))
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        self._flood(self._guest_mac + CLIENT_MAC + struct.pack(">H", IPV4) + head + udp)

    def close(self) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for sock, _ in self._ports.values():
            sock.close()
        self._stopping.close()
        self._wake.close()

    # Inside

    def _flood(self, frame: bytes) -> None:
        with self._lock:
            ports = [(host, *port) for host, port in self._ports.items() if host not in self._cut]
        for _, sock, card in ports:
            # A host that is off, or slower than its queue: as a cable would have it.
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                sock.sendto(frame, str(card))

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stopping:
                    return
                with contextlib.suppress(BlockingIOError):
                    frame = key.fileobj.recv(65536)
                    if key.data not in self._cut:
                        self._take(key.data, frame)

    def _take(self, host: str, frame: bytes) -> None:
        kind = int.from_bytes(frame[12:14])
        body = frame[14:]
        if kind == ARP and body[6:8] == b"\0\1" and body[24:28] == socket.inet_aton(CLIENT):
            asker = body[8:18]
            self._flood(frame[6:12] + CLIENT_MAC + struct.pack(">H", ARP) + body[:6] + b"\0\2" + CLIENT_MAC
                        + socket.inet_aton(CLIENT) + asker)
        elif kind == IPV4 and body[9] == UDP and body[12:20] == socket.inet_aton(GUEST) + socket.inet_aton(CLIENT):
            udp = body[(body[0] & 15) * 4:]
            length = int.from_bytes(udp[4:6])
            self._guest_mac = frame[6:12]
            said = Said(time.monotonic(), host, tuple(udp[8:length].decode(errors="replace").split()))
            for listener in self.listeners:
                listener(said)


@dataclass(frozen=True)
class Commit:
    """A transaction that was reported to the client."""

    number: int
    text: str
    at: float
    host: str
    boot: str


@dataclass
class Life:
    """What was heard of one start of the machine on one host."""

    boot: str
    host: str
    first: float
    last: float
    beats: int = 0


class Client:
    """Who uses the machine: has it commit one transaction after the other, and remembers what was reported."""

    def __init__(self, lan: Lan, rng: Random):
        self.lan, self.rng = lan, rng
        self.commits: list[Commit] = []
        self.failures: list[tuple[str, Said]] = []  # with the start of the machine that said so
        self.lives: list[Life] = []
        self.written: dict[int, int] = {}  # mode order: the last number that each writer reported
        self.late: list[str] = []  # answers of a machine after another had begun to commit
        self._boots: list[str] = []  # of those that committed, in their order
        self._text: dict[int, str] = {}
        self._answers: dict[str, Said] = {}
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        lan.listeners.append(self._hear)

    # Using it

    def start(self) -> None:
        """Begins, or goes on, with the first transaction that was not reported."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._commit, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._thread = None

    def wait_commits(self, count: int, timeout: float) -> Commit:
        """Until so many more were reported than now; the last of them."""
        wanted = len(self.commits) + count
        wait_for(lambda: len(self.commits) >= wanted, timeout, f"{count} more transactions after "
                 f"{len(self.commits)}; last heard: {self.lives[-1] if self.lives else 'nothing'}")
        return self.commits[wanted - 1]

    def wait_beat(self, timeout: float, *, host: str | None = None, since: float = 0) -> Life:
        """Until the machine is heard on a host, or any, after a moment."""
        def life() -> Life | None:
            return next((it for it in self.lives if host in (None, it.host) and it.last > since), None)
        return wait_for(life, timeout, f"the machine to be heard on {host or 'a host'}; heard: {self.lives}")

    def ask(self, request: str, answer: str, timeout: float = 60) -> Said:
        """Asks until there is an answer that begins with a word."""
        with self._news:
            self._answers.pop(answer, None)
            end = time.monotonic() + timeout
            while answer not in self._answers:
                self.lan.send(request)
                self._news.wait(0.5)
                if time.monotonic() > end:
                    raise LabError(f"the machine did not answer '{request}'; heard: {self.lives[-3:]}")
            return self._answers[answer]

    # Judging it

    def check(self, timeout: float = 120) -> int:
        """Reads all rows back: each transaction that was reported is there, as it was sent, and none that was
        not sent. The database says of itself that it is whole. Returns how many were reported."""
        if self._thread is not None:
            raise LabError("the client is committing: stop() first")
        failed = [said for boot, said in self.failures if boot == self._boots[-1]]
        assert not failed, f"transactions failed: {failed[:3]}"
        _, boot, word, count, last = self.ask("check", "checked", timeout).words
        assert word == "ok", f"integrity_check of boot {boot} says: {word}"
        found: dict[int, str] = {}
        while len(found) < int(count):
            said = self.ask(f"list {max(found, default=0) + 1}", "listed", timeout)
            rows = [row.split(":") for row in said.words[1:]]
            assert rows, f"{count} rows are said to be there up to {last}, {len(found)} can be read"
            found |= {int(number): text for number, text in rows}
        return self.judge(found)

    def judge(self, found: dict[int, str]) -> int:
        """What was found in the database, against what was reported of it."""
        lost = [commit for commit in self.commits if found.get(commit.number) != commit.text]
        assert not lost, f"{len(lost)} of {len(self.commits)} reported transactions are lost: {lost[:3]}"
        foreign = {number: text for number, text in found.items() if self._text.get(number) != text}
        assert not foreign, f"rows that nobody sent: {foreign}"
        return len(self.commits)

    def must_have_committed_once(self) -> None:
        """P4: once another start of the machine had committed, none before it was heard to have done so."""
        assert not self.late, f"{len(self.late)} answers from two machines, as {self.late[:3]}"

    def must_have_run_once(self) -> None:
        """P4, and more: at no time two starts of the machine were heard, nor one on two hosts."""
        self.must_have_committed_once()
        for one, other in zip(self.lives, self.lives[1:]):
            assert one.last < other.first, f"it ran twice at once: {one} and {other}"
        boots = [boot for boot, _ in itertools.groupby(life.boot for life in self.lives)]
        assert len(boots) == len(set(boots)), f"a machine that had been replaced was heard again: {self.lives}"

    # Inside

    def _commit(self) -> None:
        while not self._stop.is_set():
            number = len(self.commits) + 1
            text = self._text.setdefault(number, self.rng.randbytes(8).hex())
            with self._news:
                if len(self.commits) < number:
                    self.lan.send(f"put {number} {text}")
                    self._news.wait(0.25)

    def _hear(self, said: Said) -> None:
        with self._news:
            handler = getattr(self, f"_hear_{said.words[0]}", None) if said.words else None
            if handler is not None:
                handler(said, *said.words[1:])
            elif said.words:
                self._answers[said.words[0]] = said
                self._news.notify_all()

    def _hear_beat(self, said: Said, boot: str, _count: str) -> None:
        """A life goes on while nothing else was heard in between."""
        current = self.lives[-1] if self.lives else None
        if current is None or (current.boot, current.host) != (boot, said.host):
            current = Life(boot, said.host, said.at, said.at)
            self.lives.append(current)
        current.last = said.at
        current.beats += 1

    def _hear_put(self, said: Said, number: str, word: str, boot: str, *_why: str) -> None:
        if word != "ok":
            self.failures.append((boot, said))
            return
        if boot in self._boots[:-1]:
            self.late.append(f"{said}, while {self._boots[-1]} commits")
        elif boot not in self._boots:
            self._boots.append(boot)
        if int(number) == len(self.commits) + 1:
            self.commits.append(Commit(int(number), self._text[int(number)], said.at, said.host, boot))
            self._news.notify_all()

    def _hear_wrote(self, said: Said, writer: str, number: str, _boot: str) -> None:
        del said
        self.written[int(writer)] = max(int(number), self.written.get(int(writer), 0))
