# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts, power and disks that fail: what was acknowledged stays, there is one writer, nothing is rewound.

Each test ends with a comparison of the replicas below Braid (P3).
"""
import time
from dataclasses import replace

import pytest
from braidlab.braid import NO_WRITER, Refused, mirror
from braidlab.oracle import read_blocks, stamp

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
LONG = [UML[0], pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]
MIB = 1 << 20


@pytest.mark.parametrize("debug, names", [
    pytest.param(False, "ab", id="two", marks=pytest.mark.uml),
    pytest.param(False, "abc", id="three", marks=pytest.mark.uml),
    pytest.param(True, "abc", id="three-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])])
def test_the_writer_dies(lab, debug, names):
    """P1, P5, P3: another replica has every acknowledged write; so has the old one when it is back."""
    with mirror(lab, names, debug=debug) as r:
        a, b = r.nodes[:2]
        job = r.writer_job(a)
        job.wait(50 if debug else 300)
        a.host.power_cut()
        r.fail_over(b, lost=[a])
        r.check_data(b, at_least=50)
        if len(r.in_sync) > 1:
            r.compare()  # R5: what was under way is the same on all that are left
        first = read_blocks(b.host, b.device(), 512)
        r.write(b, count=50)
        assert len(first) == 512
        r.power_on(a)
        r.sync(a)
        r.check_data(b)
        r.compare()
        r.move(a)
        r.check_data(a)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_writers_die_one_after_the_other(lab):
    """P1, P5: each failover starts from the last one."""
    with mirror(lab, "abc") as r:
        for turn in range(4):
            node, after = r.nodes[turn % 3], r.nodes[(turn + 1) % 3]
            job = r.writer_job(node)
            job.wait(60)
            node.host.power_cut()
            r.fail_over(after, lost=[node])
            r.check_data(after)
            r.write(after, count=20)
            r.power_on(node)
            r.sync(node)
        r.compare()


@pytest.mark.uml
def test_a_replica_dies(lab):
    """P1, P3, P9: the writer waits for a lost replica until it is dropped, and goes on with the others; also
    while the replica, which may have lost what no flush covered (R4a), is resynced."""
    with mirror(lab, "abc", disk={"cache": True}) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(30)
        c.host.power_cut()
        a.wait_link(c, "disconnected")
        job.must_hang()
        r.drop(c)
        job.wait(30)
        r.power_on(c)
        assert c.state()["suspect"]
        r.sync(c)
        assert "suspect" not in c.state()
        job.wait(30)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_a_deposed_writer_gets_nothing_acknowledged(lab, debug):
    """P4: cut off, it neither writes nor, once its lease has run out, reads, while another one serves."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        job = r.writer_job(a)
        job.wait(30)
        fd = a.open(write=False)
        assert "digest" in a.request(pread=fd, at=0, count=4096)
        r.cut(a, b)
        job.must_hang()
        r.fail_over(b, lost=[a])
        r.check_data(b)
        r.write(b, count=50)
        before = job.acknowledged()
        answer = a.io.started().send(f'{{"pread": {fd}, "at": 0, "count": 4096}}')
        time.sleep(2 * r.lease_ms / 1000)
        assert not answer.done(), "a deposed writer served a read"
        assert job.acknowledged() == before + 0 and not job.process.done()
        # The old writer hears of the new epoch; its I/O fails, and then it is a replica like any other.
        r.cluster.link("a", "b").heal()
        a.do("resource-demote", force=True)
        assert '"EIO"' in a.io.started().hear(answer)
        job.process.wait(30, check=False)
        a.io.kill()
        a.wait_service("secondary")
        r.heal(a, b)
        r.sync(a)
        r.check_data(b)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("names", ["ab", pytest.param("abc", marks=pytest.mark.long)])
def test_all_power_is_lost(lab, names):
    """P2, P3: what a flush covered is there on each replica, though every disk lost its cache."""
    with mirror(lab, names, disk={"record": True}, size=8 * MIB) as r:
        job = r.writer_job(r.nodes[0], flush_every=25)
        job.wait(240)
        for node in r.nodes:
            node.host.power_cut()
        rng = lab.rng("cache")
        lost = [node.disks[0].lose_unflushed(rng) for node in r.nodes]
        print("lost writes:", lost)
        for node in r.nodes:
            r.power_on(node)
        assert all(node.state().get("suspect") for node in r.nodes)
        a, b = r.nodes[:2]
        r.configure(writer=b, in_sync=r.nodes)
        r.serve(b, reference=a)
        r.compare()  # R5: made equal over all that may differ
        r.check_data(b, flushed_only=True, at_least=200)
        for node in r.nodes[:2]:
            history, found = r.history(), read_blocks(node.host, node.disks[0].path, 512)
            assert history.flushed >= 200
            assert history.violations(found, flushed_only=True) == [], f"P2 on {node}"
        r.fio(b, verify="crc32c", bs="4k", size="2m")
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_all_power_is_lost_without_volatile_caches(lab):
    """P1, P3: on disks that keep what they acknowledged nothing at all is lost."""
    with mirror(lab, "abc") as r:
        a, b, _ = r.nodes
        job = r.writer_job(a, flush_every=0)
        job.wait(200)
        for node in r.nodes:
            node.host.power_cut()
        for node in r.nodes:
            r.power_on(node)
        assert not any(node.state().get("suspect") for node in r.nodes)
        r.configure(writer=b, in_sync=r.nodes)
        r.serve(b)
        r.compare()
        r.check_data(b, at_least=200)


@pytest.mark.uml
def test_a_replica_dies_after_it_has_answered(lab):
    """P1, R3a: what a dropped replica held up completes once those that stay have adopted, and no sooner: the
    one that had answered may have been started anew since, and have lost it."""
    with mirror(lab, "xab", diskless="x", disk={"cache": True}) as r:
        x, a, b = r.nodes
        r.write(x, count=30)
        fd = x.open()
        r.cut(x, b)
        answer = x.io.started().send(f'{{"pwrite": {fd}, "at": {8 * MIB}, "count": 4096, "seed": 7}}')
        x.wait_link(b, "disconnected")
        a.host.power_cut()
        x.wait_link(a, "disconnected")
        r.away |= {a, b}
        r.configure(writer=x, in_sync=[a])
        r.power_on(a)
        r.tell_config([a])
        x.wait(lambda: x.peer(a).get("epoch") == r.config.epoch, "a to adopt, as another instance")
        time.sleep(2 * r.lease_ms / 1000)
        assert not answer.done(), "acknowledged, though a may have lost it"
        x.do("resource-demote", force=True)
        assert '"EIO"' in x.io.started().hear(answer)
        x.close(fd)
        x.wait_service("secondary")
        r.configure(writer=x, in_sync=[a])
        r.serve(x)
        r.check_data(x)
        r.heal(x, b)
        r.sync(b)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("names, returns", [("abc", False), ("abc", True), ("xabc", False)])
def test_all_that_stay_adopt_first(lab, names, returns):
    """P1, R3a: what a dropped member held up does not complete while a member that stays knows nothing of the
    configuration without it; also where the dropped one is back, and about to be resynced."""
    with mirror(lab, names, diskless="x") as r:
        writer, b, c = r.nodes[0], r["b"], r["c"]
        fd = writer.open()
        r.cut(writer, c)
        answer = writer.io.started().send(f'{{"pwrite": {fd}, "at": {8 * MIB}, "count": 4096, "seed": 7}}')
        writer.wait_link(c, "disconnected")
        r.away |= {b, c}
        r.configure(writer=writer, in_sync=[it for it in r.in_sync if it is not c])
        if returns:
            r.heal(writer, c)
            r.away.remove(c)
            r.tell_config([c])
            writer.wait(lambda: writer.peer(c).get("epoch") == r.config.epoch, "c to announce it")
            with pytest.raises(Refused, match="dropped just now"):
                r.start_sync(c)
        time.sleep(2 * r.lease_ms / 1000)
        assert not answer.done(), "acknowledged, though b knows of no configuration without c"
        r.away.remove(b)
        r.tell_config([b])
        assert '"EIO"' not in writer.io.started().hear(answer)
        writer.close(fd)
        if not returns:
            r.heal(writer, c)
        r.sync(c)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("writer", [pytest.param("a", marks=pytest.mark.long), "b"])
def test_a_write_that_one_replica_never_got(lab, writer):
    """P3, R6a: after a loss of all power those that have it know that the one that was dropped meanwhile may not."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        r.write(a, count=30)
        fd = a.open()
        r.cut(a, c)
        answer = a.io.started().send(f'{{"pwrite": {fd}, "at": {8 * MIB}, "count": 65536, "seed": 7}}')
        a.wait_link(c, "disconnected")
        a.wait(lambda: read_blocks(b.host, b.disks[0].path, 2049)[-1] == "torn", "the write on b's disk")
        assert not answer.done()
        for node in r.nodes:
            node.host.power_cut()
        r.cluster.link("a", "c").heal()
        for node in (a, b):
            r.power_on(node)
        r.away.add(c)
        r.configure(writer=r[writer], in_sync=[a, b])
        r.serve(r[writer])
        r.compare()
        r.power_on(c)
        r.sync(c)
        r.compare()


@pytest.mark.uml
def test_the_policy_io_error(lab):
    """P1, P3: told to fail instead of waiting, it fails; what failed is the same everywhere later (R5b)."""
    with mirror(lab, "ab", policy="io-error") as r:
        a, b = r.nodes
        r.write(a, count=50)
        job = r.writer_job(a)
        job.wait(20)
        r.cut(a, b)
        result = job.process.wait(30, check=False)
        assert result.rc == 1 and "Input/output error" in result.err
        a.wait_service("failed")
        r.demote(a, force=True)  # only that ends it: applications must not see errors come and go
        r.away.add(b)
        r.configure(writer=a, in_sync=[a])
        r.serve(a)
        r.write(a, count=50)
        r.heal(a, b)
        r.sync(b)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("which", ["writer", "peer"])
@pytest.mark.parametrize("what", ["all", "sector"])
def test_a_disk_fails(lab, which, what):
    """P1, P3: reads and writes go on through the other replica; a new disk is resynced."""
    with mirror(lab, "ab", size=16 * MIB) as r:
        a, b = r.nodes
        bad = a if which == "writer" else b
        r.write(a, count=200)
        job = r.writer_job(a, blocks=512)
        job.wait(20)
        if what == "all":
            bad.disks[0].fail()
        else:
            bad.disks[0].fail(first=8 * 100, count=8)
        # The module gives the disk up at the first write that failed, and says so.
        bad.wait(lambda: bad.volume()["disk-state"] in ("failed", "diskless", "detaching"),
                 "the disk to be given up")
        r.configure(writer=a, in_sync=[node for node in r.in_sync if node is not bad])
        job.wait(30)
        job.stop()
        r.check_data(a)
        bad.disks[0].heal()
        bad.wait_disk("diskless")
        r.attach(bad)
        r.sync(bad)
        r.check_data(a)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_sectors_that_cannot_be_read(lab, debug):
    """P5, P3: what the writer's disk cannot read comes from the peer, and is written again; a disk with
    too many of them is given up."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        r.write(a, count=300, blocks=128)
        bad = [8 * 20, 8 * 21 + 3, 8 * 90]
        for sector in bad:  # what is rewritten shows
            a.host.run(f"dd if=/dev/urandom of={a.disks[0].backing} bs=512 seek={sector} count=1 "
                       "oflag=direct conv=notrunc status=none")
        a.disks[0].unreadable(bad)
        assert r.history().violations(read_blocks(a.host, a.device(), 128)) == []
        a.wait(lambda: a.host.run(f"dd if={a.disks[0].path} of=/dev/null bs=4096 count=128 iflag=direct",
                                  check=False).rc == 0, "all of it to be readable again")
        a.wait(lambda: a.volume()["stats"]["repaired"], "the repairs to be counted")
        stats = a.volume()["stats"]
        assert 0 < stats["repaired"] <= len(bad) and stats["remote-reads"] >= stats["repaired"]
        told = [it for it in a.events() if it["kind"] == "repair"]
        assert told and all(it["node-id"] == b.id and "error" not in it for it in told), told
        assert a.volume()["disk-state"] == "attached"
        r.check_data(a, blocks=128)
        a.disks[0].heal()
        r.compare()
        # Twenty an hour are too many.
        a.disks[0].unreadable(range(8 * 1024, 8 * 1024 + 64 * 8, 8))
        fd = a.open(write=False)
        for block in range(1024, 1024 + 64):
            assert "digest" in a.request(pread=fd, at=4096 * block, count=4096)
        a.close(fd)
        a.wait_disk("diskless")
        assert any(it.get("error") for it in a.events() if it["kind"] == "repair")
        a.disks[0].heal()
        r.configure(writer=a, in_sync=[b])
        r.attach(a)
        r.sync(a)
        r.check_data(a, blocks=128)
        r.compare()


@pytest.mark.uml
def test_a_sector_that_cannot_be_rewritten(lab):
    """P5, P3: where that fails the disk is given up, as at any write that fails."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=300, blocks=128)
        a.disks[0].fail(first=8 * 20, count=8)
        assert r.history().violations(read_blocks(a.host, a.device(), 128)) == []
        assert a.volume()["stats"]["remote-reads"] > 0
        a.wait_disk("diskless")
        assert a.volume()["stats"]["repaired"] == 0
        a.disks[0].heal()
        r.configure(writer=a, in_sync=[b])
        r.attach(a)
        r.sync(a)
        r.check_data(a, blocks=128)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_detach_and_attach(lab, debug):
    """P1, P3: without its disk a writer goes on through the peer; attached again, it is resynced."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        r.write(a, count=50)
        for node in (b, a):
            job = r.writer_job(a)
            job.wait(20)
            r.configure(writer=a, in_sync=[it for it in r.nodes if it is not node])
            before = node.state()["instance"]
            node.do("volume-detach", volume=0)
            node.wait_disk("diskless")
            job.wait(20)
            r.attach(node)
            assert node.state()["instance"] != before, "an instance is one attach"
            r.sync(node)
            job.wait(20)
            job.stop()
            r.check_data(a)
            r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_a_slow_disk_and_a_bad_link(lab):
    """P1, P3: delay and loss cost time, nothing else; no connection is given up for them."""
    with mirror(lab, "abc", timeout_ms=5000) as r:
        a, b, c = r.nodes
        sessions = [a.peer(node)["session"] for node in (b, c)]
        b.disks[0].slow(20)
        r.cluster.link("a", "c").impair(delay_ms=5, jitter_ms=5, loss_percent=1)
        r.fio(a, bsrange="512-64k", iodepth=32, offset="4m", size="2m", verify="crc32c",
              verify_fatal=1)
        r.write(a, count=50)
        b.disks[0].heal()
        r.cluster.link("a", "c").heal()
        assert [a.peer(node)["session"] for node in (b, c)] == sessions
        r.check_data(a)
        r.compare()


@pytest.mark.parametrize("debug", UML)
def test_down_under_load(lab, debug):
    """P7, P8, P3: force takes a resource down while it is written to; its I/O fails, nothing else."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        job = r.writer_job(a)
        job.wait(20)
        assert a.refusal("resource-del").error == "EBUSY"
        a.do("resource-del", force=True)
        result = job.process.wait(30, check=False)
        assert result.rc == 1 and "rror" in result.err, result
        a.wait(a.is_gone, "the resource to go")
        b.wait_link(a, "disconnected")
        r.bring_up(a)
        r.connect(a, b)
        r.fail_over(b, lost=[a])
        r.check_data(b, at_least=20)
        r.sync(a)
        r.check_data(b)
        r.compare()


@pytest.mark.uml
def test_a_link_that_flaps(lab):
    """P1, P3: connections that come and go under writes, dropped and joined again each time."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        job = r.writer_job(a)
        for _ in range(5):
            job.wait(20)
            r.disconnect(a, b)
            job.must_hang()
            r.drop(b)
            job.wait(20)
            r.connect(a, b)
            r.sync(b)
        # A link that is back before anyone was dropped: the writes that hung are sent again.
        job.wait(20)
        r.disconnect(a, b)
        job.must_hang()
        r.connect(a, b)
        job.wait(20)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_reads_while_the_writer_is_cut_off_from_one(lab):
    """P5: a writer without all its leases serves no read, though its own disk could."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        r.write(a, count=20)
        fd = a.open(write=False)
        r.cut(a, c)
        a.wait_service("held")
        answer = a.io.started().send(f'{{"pread": {fd}, "at": 0, "count": 4096}}')
        time.sleep(r.lease_ms / 1000)
        assert not answer.done()
        r.drop(c)
        assert "digest" in a.io.started().hear(answer)
        a.close(fd)
        r.heal(a, c)
        r.sync(c)
        found = a.host.run(stamp(a.host, "read", a.device(), "--blocks", 512)).out.split()
        assert r.history().violations(found) == []
        r.compare()


@pytest.mark.uml
def test_the_leases_of_a_new_epoch(lab):
    """P9: whoever adopts it last, reads wait for a round trip, not for the next of the regular pings."""
    with mirror(lab, "ab", lease_ms=300_000, timeout_ms=300_000, request_ms=600_000) as r:  # one each minute
        a, b = r.nodes
        for first, last in ((b, a), (a, b), (b, a)):
            r.configure(writer=a, in_sync=[a, b], to=[first])
            r.tell_config([last])
            a.wait_service("serving")
        r.move(b)
        b.wait_service("serving")


@pytest.mark.uml
def test_a_read_that_outlasts_the_lease(lab):
    """P5: a lease that runs out while the disk reads is noticed when it has read."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=20)
        fd = a.open(write=False)
        a.disks[0].slow(60_000)
        answer = a.io.started().send(f'{{"pread": {fd}, "at": 0, "count": 4096}}')
        r.cut(a, b)
        a.wait_service("held")
        a.disks[0].heal()  # what is delayed is done now
        time.sleep(r.lease_ms / 1000)
        assert not answer.done(), "answered without a lease"
        r.drop(b)
        assert "digest" in a.io.started().hear(answer)
        a.close(fd)
        r.heal(a, b)
        r.sync(b)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_new_writer_waits_for_the_last_grant(lab):
    """P5: a replica follows another writer only when the old one, cut off, cannot read any more."""
    with mirror(lab, "ab", lease_ms=5000) as r:
        a, b = r.nodes
        r.write(a, count=20)
        r.cut(a, b)
        r.away.add(a)
        r.configure(writer=b, in_sync=[b], to=[b])
        assert a.state()["service"] == "held", "the old writer still serves"
        r.serve(b)
        r.check_data(b)
        r.write(b, count=20)
        r.cluster.link("a", "b").heal()
        a.do("resource-demote", force=True)
        a.wait_service("secondary")
        r.heal(a, b)
        r.sync(a)
        r.compare()


@pytest.mark.uml
def test_what_is_stable_is_durable(lab):
    """F1: what the writer forgets as stable, without a flush of the application, outlives a power cut."""
    with mirror(lab, "ab", disk={"record": True}) as r:
        a, b = r.nodes
        r.write(a, count=100, flush_every=0)
        before = a.volume()["generation"]
        a.wait(lambda: a.volume()["stable"] >= before, "all that was written to be stable")
        b.host.power_cut()
        # Metadata may have followed. Of data nothing may be lost, although the log would cover it.
        assert b.disks[0].lose_unflushed(lab.rng("cache")) <= 2
        a.wait_link(b, "disconnected")
        r.drop(b)
        r.power_on(b)
        r.sync(b)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_replica_attached_anew_stays_the_one_that_is_listed(lab):
    """R4: configurations without a writer that list it as it was before do not make a stranger of it."""
    with mirror(lab, ["a", "b"]) as r:
        a, b = r.nodes
        r.write(a, count=50)
        r.drop(b)
        r.write(a, count=50)
        r.demote(a)
        a.do("volume-detach", volume=0)
        a.wait_disk("diskless")
        r.attach(a)
        assert a.state()["instance"] != r.config.in_sync[a.id]
        before = a.state()["last-epoch"]
        assert before == r.config.epoch
        for _ in range(2):
            r.config = replace(r.config, epoch=r.config.epoch + 1, id=r.config.id ^ 1, writer=NO_WRITER)
            r.tell_config([a, b])
            assert a.state()["last-epoch"] == before
        r.configure(writer=a, in_sync=[a])
        r.serve(a)
        r.check_data(a, at_least=100)
        r.sync(b)
        r.compare()
