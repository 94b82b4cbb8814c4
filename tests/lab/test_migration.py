# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration (M1): the writer moves while both nodes have the device open, as a hypervisor has it.

What is on the source until the token leaves is on the target when it goes on; never do both get writes
acknowledged (P4); at each end that a migration may have, a newer configuration goes on. Each test ends
with a comparison of the replicas below Braid (P3).
"""
import itertools
import time

import pytest
from braidlab.braid import MESSAGES, mirror

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
LONG = [UML[0], pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]
FAR = 1 << 20  # sequence numbers of the target's writer begin so far behind the source's
BLOCK = 4096


class Move:
    """A migration, from what both daemons are told first."""

    grants = itertools.count(1)

    def __init__(self, r, source, target, *, seconds=60.0):
        self.r, self.source, self.target = r, source, target
        self.grant = next(self.grants)
        self.words = {"epoch": r.config.epoch, "target": target.id, "grant": self.grant,
                      "deadline_ms": int(seconds * 1000)}
        for node in (target, source):
            node.do("resource-migrate", **self.words)

    def wait(self, node, *stages):
        node.wait(lambda: stage(node) in stages, f"migration {stages}")

    def handed_over(self):
        for node in (self.source, self.target):
            self.wait(node, "handed-over")
        assert self.source.state()["done"]
        self.source.wait_service("outgoing")

    def swap(self):
        """What the daemons do when the token was handed over, or the source has died."""
        self.r.configure(writer=self.target, in_sync=self.r.in_sync)
        self.r.serve(self.target)
        for node in self.r.reached:
            assert stage(node) == "none"


def stage(node):
    return node.state().get("migration", "none")


def stages(node):
    """The stages that a node announced."""
    return [event["new"] for event in node.events() if event.get("kind") == "migration"]


def acknowledged(r, *, far):
    return sum((sequence > FAR) == far for sequence in r.history().acknowledged)


def stays(r, condition, what):
    """Something is so, and stays so for longer than a lease."""
    end = time.monotonic() + 2 * r.lease_ms / 1000
    while time.monotonic() < end:
        assert condition(), what
        time.sleep(0.02)


@pytest.mark.parametrize("debug, names, diskless", [
    pytest.param(False, "abc", "", id="uml", marks=pytest.mark.uml),
    pytest.param(True, "ab", "", id="uml-debug", marks=pytest.mark.uml_debug),
    pytest.param(False, "abx", "x", id="diskless-target", marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(False, "xab", "x", id="diskless-source", marks=[pytest.mark.uml, pytest.mark.long])])
def test_the_writer_moves_while_it_writes(lab, debug, names, diskless):
    """P1, P4, P5: the source's last acknowledged write is before the hand-over, the target's first after."""
    with mirror(lab, names, debug=debug, diskless=diskless) as r:
        a, b = r.nodes[0], r.nodes[-1]
        job = r.writer_job(a)
        job.wait(50)
        assert b.open() == "EROFS"
        move = Move(r, a, b)
        assert (stage(a), stage(b)) == ("granted", "prepared")
        state = b.state()
        assert (state["source"], state["target"], state["grant"]) == (a.id, b.id, move.grant)
        assert 0 < state["deadline-ms"] <= move.words["deadline_ms"]
        fd = b.open()
        # Through the source: what it wrote last, while it goes on writing.
        other = a.open()
        at = r.data_bytes() - 2 * BLOCK
        load = a.host.start(["fio", "--name=load", f"--filename={a.device()}", "--ioengine=libaio",
                             "--direct=1", "--rw=randwrite", "--iodepth=16", "--bsrange=4k-64k",
                             "--offset=8m", "--size=4m", "--time_based", "--runtime=600"])
        a.wait(lambda: a.volume()["in-flight"] > 4, "a load on the source")
        for seed in (1, 2):
            assert a.request(pwrite=other, at=at, count=BLOCK, seed=seed) == {}
            assert b.request(pread=fd, at=at, count=BLOCK) == b.request(expect=seed, count=BLOCK)
        assert b.request(fsync=fd) == {}
        job.wait(20)
        assert stage(a) == "granted", "reads and flushes of the target took the token"

        taker = r.writer_job(b, skip=FAR)
        move.handed_over()
        before = acknowledged(r, far=False)
        assert a.volume()["in-flight"] == 0 and a.volume()["stable"] >= a.volume()["generation"] - 1
        late = a.send_request(pread=other, at=at, count=BLOCK)
        stays(r, lambda: acknowledged(r, far=False) == before and not acknowledged(r, far=True),
              "a write was acknowledged while nobody was the writer")
        assert not late.done() and not job.process.done()
        move.swap()
        assert late() == {"error": "EIO"}
        assert job.process.wait(30, check=False).rc != 0 and load.wait(60, check=False).rc != 0
        taker.wait(50)
        taker.stop()
        assert acknowledged(r, far=False) == before
        assert b.request(pread=fd, at=at, count=BLOCK) == b.request(expect=2, count=BLOCK)
        b.close(fd)
        a.close(other)
        r.check_data(b)
        r.compare()
        assert stages(a) == ["granted", "draining", "handed-over", "none"]
        assert stages(b) == ["prepared", "asked", "handed-over", "swapped", "none"]


@pytest.mark.uml
@pytest.mark.parametrize("end", ["withdrawn", pytest.param("deadline", marks=pytest.mark.long)])
def test_a_grant_ends_while_the_source_drains(lab, end):
    """P4, P1: until the token was handed over the source serves on, and a grant is used once."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(20)
        move = Move(r, a, b, seconds=2 if end == "deadline" else 60)
        fd = b.open()
        r.cut(a, c)  # the source cannot end its writes
        held = b.send_request(pwrite=fd, at=0, count=BLOCK, seed=7)
        move.wait(b, "asked")
        move.wait(a, "draining")
        assert a.refusal("resource-migrate", **{**move.words, "grant": 1 << 40}).error == "EBUSY"
        assert a.refusal("resource-demote").error == "EBUSY"
        a.wait_service("draining")
        assert not held.done()
        if end == "withdrawn":
            a.do("migrate-end", grant=move.grant)
            assert stage(a) == "none"
        for node in (a, b):
            move.wait(node, "none")
        assert held() == {"error": "EIO"}
        assert b.request(pread=fd, at=0, count=BLOCK) == {"error": "EIO"}
        assert b.open() == "EROFS"
        for node in (a, b):
            assert node.refusal("resource-migrate", **move.words).error == "EKEYREVOKED"
        r.heal(a, c)
        job.wait(30)
        assert "done" not in a.state() and stages(a)[-1] == "none"

        # What was prepared once is prepared again, under another number.
        move = Move(r, a, b)
        b.do("migrate-ask", grant=move.grant)
        move.handed_over()
        assert a.refusal("migrate-end", grant=move.grant).error == "EPERM"
        assert a.refusal("resource-migrate", **move.words).error == "EKEYREVOKED"
        move.swap()
        assert b.request(pwrite=fd, at=0, count=BLOCK, seed=8) == {}
        assert b.request(pread=fd, at=0, count=BLOCK) == b.request(expect=8, count=BLOCK)
        b.close(fd)
        job.stop()
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("names, handed_over", [
    pytest.param("ab", False, id="before"), pytest.param("ab", True, id="after", marks=pytest.mark.long),
    pytest.param("xab", False, id="diskless", marks=pytest.mark.long)])
def test_the_source_dies(lab, names, handed_over):
    """P1, P4: before it has handed the token over, or after that; the target goes on."""
    with mirror(lab, names, diskless="x") as r:
        a, b = r.nodes[0], r["b"]
        job = r.writer_job(a)
        job.wait(50)
        move = Move(r, a, b)
        if handed_over:
            b.do("migrate-ask", grant=move.grant)
            move.handed_over()
        a.host.power_cut()
        b.wait_link(a, "disconnected")
        taker = r.writer_job(b, skip=FAR)
        fd = b.open(write=False)
        read = b.send_request(pread=fd, at=0, count=BLOCK)
        if not handed_over:
            move.wait(b, "asked")
        stays(r, lambda: not acknowledged(r, far=True) and not read.done(),
              "something ended that nobody can know of")
        r.fail_over(b, lost=[a])
        assert stage(b) == "none" and "digest" in read()
        taker.wait(50)
        taker.stop()
        b.close(fd)
        r.check_data(b, at_least=100)
        if a.diskful:
            r.power_on(a)
            r.sync(a)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("handed_over", [
    pytest.param(False, id="before", marks=pytest.mark.long), pytest.param(True, id="after")])
def test_the_target_dies(lab, handed_over):
    """P1, P4: the source goes on in a newer epoch, with what it held back meanwhile."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        move = Move(r, a, b)
        if handed_over:
            b.do("migrate-ask", grant=move.grant)
            move.handed_over()
        b.host.power_cut()
        a.wait_link(b, "disconnected")
        before = job.acknowledged()
        stays(r, lambda: job.acknowledged() == before, "a write was acknowledged by one replica")
        if handed_over:
            r.away.add(b)
            r.configure(writer=a, in_sync=[a])
            a.wait_service("preparing")
            r.serve(a)
        else:
            r.drop(b)
        job.wait(50)
        assert stage(a) == "none" and not job.process.done()
        r.power_on(b)
        r.sync(b)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_the_token_returns_by_a_newer_epoch_only(lab):
    """P4: once handed over it does not come back by a write, a deadline, or a lost connection."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        job = r.writer_job(a)
        job.wait(20)
        move = Move(r, a, b, seconds=2)
        fd = b.open()
        r.disconnect(a, b)  # the question is lost, and asked again
        held = b.send_request(pwrite=fd, at=0, count=BLOCK, seed=7)
        move.wait(b, "asked")
        r.connect(a, b)
        move.handed_over()
        before = job.acknowledged()
        r.disconnect(a, b)
        a.wait(lambda: "deadline-ms" not in a.state(), "the deadline to pass")
        r.connect(a, b)
        stays(r, lambda: job.acknowledged() == before, "a write was acknowledged without a writer")
        assert stage(a) == stage(b) == "handed-over" and not held.done() and not job.process.done()
        assert a.refusal("resource-serve", epoch=r.config.epoch, reference=a.id).error == "EPERM"
        r.configure(writer=a, in_sync=[a, b])
        assert held() == {"error": "EIO"}
        b.wait_service("secondary")
        assert job.acknowledged() == before
        r.serve(a)
        job.wait(50)
        job.stop()
        b.close(fd)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_message_of_the_token_is_lost(lab):
    """P4, P9: it is said again: the question by the target, a withdrawal in answer to the next question."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        job = r.writer_job(a)
        job.wait(10)
        move = Move(r, a, b)
        b.fault("drop", what=MESSAGES["TOKEN"], count=2)
        b.do("migrate-ask", grant=move.grant)
        b.wait(lambda: b.faults_left("drop") == 0, "the question to be lost")
        move.handed_over()
        r.configure(writer=a, in_sync=[a, b])
        r.serve(a)
        job.wait(10)
        move = Move(r, a, b)
        a.fault("drop", what=MESSAGES["TOKEN"])
        fd = b.open()
        a.do("migrate-end", grant=move.grant)
        a.wait(lambda: a.faults_left("drop") == 0, "the withdrawal to be lost")
        held = b.send_request(pwrite=fd, at=0, count=BLOCK, seed=7)
        assert held() == {"error": "EIO"} and stage(a) == stage(b) == "none"
        job.wait(20)
        job.stop()
        b.close(fd)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_the_target_forgets_what_it_read_before(lab):
    """P5: its page cache is of before the hand-over; the source has written since."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        there = a.open()
        assert a.request(pwrite=there, at=0, count=BLOCK, seed=1) == {}
        move = Move(r, a, b)
        fd = b.open(write=False, cached=True)
        assert b.request(pread=fd, at=0, count=BLOCK) == b.request(expect=1, count=BLOCK)
        assert a.request(pwrite=there, at=0, count=BLOCK, seed=2) == {}
        b.do("migrate-ask", grant=move.grant)
        move.handed_over()
        move.swap()
        assert b.request(pread=fd, at=0, count=BLOCK) == b.request(expect=2, count=BLOCK)
        b.close(fd)
        a.close(there)
        r.compare()


@pytest.mark.uml
def test_what_a_migration_needs(lab):
    """P7: refusals name what is wrong; forced demotion fails what waits for the next epoch."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        good = {"epoch": r.config.epoch, "target": b.id, "grant": 1 << 40, "deadline_ms": 60000}
        for node, words, error, attribute in [
                (a, {"epoch": 2}, "ESTALE", "epoch"), (a, {"target": a.id}, "ENXIO", "target"),
                (a, {"target": 9}, "ENXIO", "target"), (c, {}, "EPERM", "target"),
                (a, {"deadline_ms": None}, "EINVAL", None), (a, {"deadline_ms": 0}, "ERANGE", "deadline-ms")]:
            refused = node.refusal("resource-migrate", **{**good, **words})
            assert (refused.error, refused.attribute) == (error, attribute), refused
        for operation in ("migrate-ask", "migrate-end"):
            assert b.refusal(operation, grant=1).error == "ENOENT"
        move = Move(r, a, b)
        b.do("resource-migrate", **move.words)  # as often as one likes
        assert a.refusal("migrate-ask", grant=move.grant).error == "ENOENT"
        fd = b.open()
        r.disconnect(a, b)
        read = b.send_request(pread=fd, at=0, count=BLOCK)
        stays(r, lambda: not read.done(), "a read was answered that only the source can answer")
        b.do("migrate-end", grant=move.grant)
        assert read() == {"error": "EIO"}
        b.wait_service("secondary")
        b.close(fd)
        r.connect(a, b)
        assert stage(a) == "granted", "it was only ended on the target"
        a.do("migrate-end", grant=move.grant)
        move = Move(r, a, b)
        b.do("migrate-ask", grant=move.grant)
        move.handed_over()
        assert a.open() == "EROFS"
        a.do("resource-demote", force=True)
        assert stage(a) == "none"
        a.wait_service("secondary")
        move.swap()
        r.compare()
