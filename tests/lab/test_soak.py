# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes that go on for long while peers are cut off, come back, die and are resynced (P1, P3, P6, P9).

At the end all replicas are in sync, byte-equal, and have each acknowledged write.
"""
import itertools
import time

import pytest
from braidlab.braid import mirror

MIB = 1 << 20
DISK = 16 * MIB


class Fio:
    """fio on a device, again and again."""

    def __init__(self, node, **options):
        self.node, self.runs = node, itertools.count()
        self.words = {"name": "load", "filename": node.device(), "direct": 1, "ioengine": "libaio",
                      "rw": "randwrite", "norandommap": 1, "iodepth": 8, "thread": 1,
                      "random_distribution": "zipf:1.2", "output-format": "terse", **options}
        self.process = self.start()

    def start(self):
        seed = next(self.runs) + 1
        return self.node.host.start(["fio", f"--randseed={seed}",
                                     *(f"--{key}={value}" for key, value in self.words.items())])

    def go_on(self) -> None:
        """Starts it again when it has ended, well."""
        if self.process.done():
            self.process.wait(1)
            self.process = self.start()

    def finish(self) -> int:
        """How often it ran."""
        self.process.wait(300)
        return next(self.runs) - 1


class Churn:
    """What happens to a peer of the writer, drawn at random."""

    def __init__(self, r, rng, go_on):
        self.r, self.rng, self.go_on, self.done = r, rng, go_on, {}
        self.writer = r.writer

    def one(self) -> None:
        peer = self.rng.choice([node for node in self.r.nodes if node is not self.writer])
        what = self.rng.choice([self.blink, self.leave, self.die, self.leave_again])
        what(peer)
        self.done[what.__name__] = self.done.get(what.__name__, 0) + 1

    def blink(self, peer) -> None:
        """Away for a moment, and never out of sync: what is under way is sent once more."""
        self.r.cut(self.writer, peer)
        if self.rng.random() < 0.5:
            self.writer.wait_link(peer, "disconnected")
        self.r.heal(self.writer, peer)
        self.writer.wait_service("serving", timeout=60)
        self.go_on()

    def lose(self, peer) -> None:
        self.r.cut(self.writer, peer)
        self.writer.wait_link(peer, "disconnected")
        self.r.drop(peer)
        self.go_on()

    def leave(self, peer) -> None:
        """Dropped, and resynced while writes go on."""
        self.lose(peer)
        self.r.heal(self.writer, peer)
        self.sync(peer)

    def leave_again(self, peer) -> None:
        """Cut off during its resync, if that lasts."""
        self.lose(peer)
        self.r.heal(self.writer, peer)
        self.r.start_sync(peer)
        self.blink(peer)
        self.sync(peer)

    def die(self, peer) -> None:
        peer.host.power_cut()
        self.writer.wait_link(peer, "disconnected")
        self.r.drop(peer)
        self.go_on()
        self.r.power_on(peer)
        self.sync(peer)

    def sync(self, peer) -> None:
        if any(it.get("sync-state", "none") == "none" for it in self.writer.replicas(peer)):
            self.r.start_sync(peer, compare=self.rng.random() < 0.5)
        self.r.finish_sync(peer)
        self.go_on()


@pytest.mark.parametrize("debug, names, seconds", [
    pytest.param(False, "abc", 10, id="uml", marks=pytest.mark.uml),
    pytest.param(False, "ab", 120, id="uml-two", marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(True, "abc", 600, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])])
def test_writes_while_peers_come_and_go(lab, debug, names, seconds):
    """P1, P3, P6, P9."""
    with mirror(lab, names, debug=debug, size=DISK, disk={"cache": True}) as r:
        a = r.nodes[0]
        job = r.writer_job(a, flush_every=20)
        loads = [Fio(a, offset="4m", size="4m", io_size="4m", bsrange="512-1m", verify="crc32c",
                     verify_fatal=1, do_verify=1, serialize_overlap=1),
                 Fio(a, offset="9m", size="1m", io_size="2m", bsrange="512-64k", numjobs=2)]

        def go_on():
            for load in loads:
                load.go_on()
            job.wait(10, timeout=60)

        churn, end = Churn(r, lab.rng("churn"), go_on), time.monotonic() + seconds
        while time.monotonic() < end:
            churn.one()
        runs = [load.finish() for load in loads]
        job.stop()
        print(f"{churn.done}; fio ran {runs} times; {job.acknowledged()} writes of stamps")
        assert r.in_sync == r.nodes
        r.check_data(a, at_least=50)
        r.compare()
