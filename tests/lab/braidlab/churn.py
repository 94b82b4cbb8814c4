# SPDX-License-Identifier: GPL-2.0-or-later
"""Load that goes on, and peers that come and go under it."""
import itertools

# fio reads back what it wrote, of writes that overlap.
VERIFIED = {"verify": "crc32c", "verify_fatal": 1, "do_verify": 1, "serialize_overlap": 1}


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
