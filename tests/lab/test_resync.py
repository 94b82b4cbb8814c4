# SPDX-License-Identifier: GPL-2.0-or-later
"""A replica that was away is made equal again: only what changed, while writes go on, whatever comes
between. Each test ends with a comparison of the replicas below Braid (P3).
"""
import pytest
from braidlab.braid import REGION, mirror

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
LONG = [UML[0], pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]
MIB = 1 << 20


def moved(found, what="sync-total"):
    return sum(it[what] for it in found)


def lose(r, writer, node):
    """The link to a node goes, and the writer gets a configuration without it."""
    r.cut(writer, node)
    writer.wait_link(node, "disconnected")
    r.drop(node)
    writer.wait_service("serving")


@pytest.mark.parametrize("debug", [pytest.param(False, id="uml", marks=[pytest.mark.uml, pytest.mark.long]),
                                   UML[1]])
def test_a_cut_link(lab, debug):
    """P1, P3: writes hang from the cut until the peer is dropped; afterwards only they are copied."""
    with mirror(lab, "ab", debug=debug, size=32 * MIB) as r:
        a, b = r.nodes
        r.fio(a, bs="64k", size="1m" if debug else "20m", offset="8m", iodepth=4)
        job = r.writer_job(a, blocks=64)
        job.wait(20)
        r.cut(a, b)
        job.must_hang()
        a.wait_link(b, "disconnected")
        job.must_hang()
        r.drop(b)
        job.wait(50)
        job.stop()
        changed = {block for block, _ in r.history().issued.items()}
        r.heal(a, b)
        assert moved(a.replicas(b), "dirty") <= 4096 * 64
        found = r.sync(b)
        assert 0 < moved(found) <= 4096 * len(changed), "a resync copies what changed, in blocks of 4 KiB"
        r.check_data(a)
        assert moved(a.replicas(b), "dirty") == 0
        r.compare()
        r.write(a, count=50)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_writes_during_a_resync(lab, debug):
    """P3: a range that is copied is not overtaken by a write, nor a write by the copy (S1)."""
    size = 8 if debug else 32
    with mirror(lab, "ab", debug=debug, size=(size + 8) * MIB, volumes=2) as r:
        a, b = r.nodes
        lose(r, a, b)
        for volume in range(2):
            r.fio(a, volume=volume, rw="write", bs="1m", size=f"{size}m", iodepth=4)
        r.heal(a, b)
        jobs = [r.writer_job(a, volume=volume, blocks=size * 256) for volume in range(2)]
        r.start_sync(b, max_rate=size * MIB // 4)
        r.fio(a, bsrange="512-64k", size=f"{size}m", norandommap=1, random_distribution="zipf:1.1",
              io_size="2m" if debug else "16m")
        assert "running" in [it["sync-state"] for it in a.replicas(b)], "it was over too soon"
        a.do("sync-set", node_id=b.id, max_rate=0)
        assert moved(r.finish_sync(b)) >= 2 * size * MIB
        for job in jobs:
            job.stop()
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("how", [pytest.param("link", marks=pytest.mark.long), "target", "source"])
def test_an_interrupted_resync(lab, how):
    """P6, P3: whatever is lost on the way, the target is not in sync until it is made so later."""
    with mirror(lab, "ab", size=40 * MIB) as r:
        a, b = r.nodes
        lose(r, a, b)
        r.write(a, count=200, blocks=8192)
        r.fio(a, rw="write", bs="1m", size="32m", iodepth=4)
        r.heal(a, b)
        r.start_sync(b, max_rate=8 * MIB)
        a.wait(lambda: 0 < moved(a.replicas(b), "sync-left") < moved(a.replicas(b)), "a part to be copied")
        if how == "link":
            r.cut(a, b)
            a.wait_link(b, "disconnected")
            assert moved(a.replicas(b), "dirty") < 32 * MIB, "what was copied needs no second copy"
            r.heal(a, b)
        elif how == "target":
            b.host.power_cut()
            a.wait_link(b, "disconnected")
            r.away.add(b)
            r.power_on(b)
        else:
            a.host.power_cut()
            b.wait_link(a, "disconnected")
            assert b.volume()["replica-flags"] & 8, "a target is inconsistent until the end"
            r.power_on(a)
            r.configure(writer=a, in_sync=[a])
            r.serve(a)
        assert r.in_sync == [a]
        assert 0 < moved(r.sync(b)) <= 40 * MIB
        r.compare()
        assert not b.volume()["replica-flags"] & 8
        r.move(b)
        r.compare()


@pytest.mark.uml
def test_a_blank_disk(lab):
    """P3: a new replica gets everything, also what no map speaks of; equal blocks are not sent."""
    with mirror(lab, "ab", size=24 * MIB) as r:
        a, b = r.nodes
        r.fio(a, rw="write", bs="1m", size="8m", offset="4m", iodepth=4)
        r.write(a, count=100)
        b.host.power_cut()
        a.wait_link(b, "disconnected")
        r.drop(b)
        b.host.power_on()
        replace(b)
        r.bring_up(b)
        r.connect(a, b)
        r.tell_config([b], new_lineage=True)  # it knows of none yet
        found = r.sync(b)
        assert moved(found) == r.data_bytes()
        r.compare()
        r.check_data(a)


@pytest.mark.parametrize("debug", LONG)
@pytest.mark.parametrize("fresh", [False, True])
def test_the_writers_own_replica(lab, fresh, debug):
    """P1, P3: a writer whose disk failed is resynced itself while it writes: from what its peer marked,
    a replaced disk in full. Its disk fails once more on the way, and nothing hangs."""
    with mirror(lab, "ab", debug=debug, size=24 * MIB) as r:
        a, b = r.nodes
        r.fio(a, rw="write", bs="1m", size="8m", offset="4m", iodepth=4)
        job = r.writer_job(a)
        job.wait(20)
        a.disks[0].fail()
        a.wait_disk("diskless")
        r.configure(writer=a, in_sync=[b])
        job.wait(20)
        r.fio(a, rw="write", bs="1m", size="6m", offset="2m", iodepth=4)
        if fresh:
            replace(a)
        else:
            a.disks[0].heal()
        assert a.refusal("sync-start", node_id=a.id).error == "ENOTCONN"
        r.attach(a)
        assert a.refusal("resource-configure", config={
            **r.config.attributes(r.nodes), "epoch": r.config.epoch + 1, "id": 1, "node": [
                {"node-id": it.id, "diskful": True, "in-sync": True, "instance": it.state()["instance"]}
                for it in r.nodes]}).error == "EAGAIN", "it joins only after a resync"
        r.start_sync(a, max_rate=4 * MIB)
        a.wait(lambda: 0 < moved(a.replicas(a), "sync-left") < moved(a.replicas(a)), "a part to be copied")
        assert a.volume()["replica-flags"] & 8, "a target is inconsistent until the end"
        a.disks[0].fail()
        a.wait_sync(a, "none")
        a.wait_disk("diskless")
        job.wait(20)
        a.disks[0].heal()
        r.attach(a)
        r.start_sync(a, max_rate=4 * MIB, compare=True)
        a.wait_sync(a, "running")
        job.wait(20)
        assert "running" in [it["sync-state"] for it in a.replicas(a)], "it was over too soon"
        a.do("sync-set", node_id=a.id, max_rate=0)
        found = r.finish_sync(a)
        job.wait(20)
        job.stop()
        if fresh:
            assert moved(found) == r.data_bytes()
        else:  # what was written elsewhere, and what was active when the disk failed
            assert 6 * MIB <= moved(found) <= 16 * MIB
        assert moved(found, "sync-same") > 0, "what was copied before is not copied again"
        before = a.volume()["stats"]["remote-reads"]
        r.check_data(a)
        assert a.volume()["stats"]["remote-reads"] == before, "it reads its own disk again"
        assert not a.volume()["replica-flags"] & 8
        r.compare()
        a.host.power_cut()
        r.fail_over(b, lost=[a])
        r.check_data(b)


@pytest.mark.parametrize("cycles", [10, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.uml
def test_the_writers_disk_comes_and_goes(lab, cycles):
    """P9: whatever a write meets of an own disk that is attached, linked and failed under it, it goes on. Without
    the order in which a write looks at what it requires and at the disk, one in some 300 cycles hung."""
    with mirror(lab, "ab", size=24 * MIB) as r:
        a, b = r.nodes
        r.fio(a, rw="write", bs="1m", size="8m", offset="4m", iodepth=4)
        job = r.writer_job(a)
        a.disks[0].fail()
        a.wait_disk("diskless")
        r.configure(writer=a, in_sync=[b])
        for compare in [True, False] * (cycles // 2):
            a.disks[0].heal()
            r.attach(a)
            r.start_sync(a, max_rate=4 * MIB, compare=compare)
            a.wait_sync(a, "running")
            job.wait(20)
            a.disks[0].fail()
            a.wait_sync(a, "none")
            a.wait_disk("diskless")
            job.wait(20)
        a.disks[0].heal()
        r.attach(a)
        r.sync(a)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_replaced_disk_of_a_peer(lab):
    """P3: a disk that is replaced while its node stays up gets everything, not what the old one lacked."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.fio(a, rw="write", bs="1m", size="4m", iodepth=4)
        before = r.config.epoch
        r.drop(b)
        assert (a.state()["last-epoch"], b.state()["last-epoch"]) == (r.config.epoch, before)
        b.do("volume-detach", volume=0)
        b.wait_disk("diskless")
        replace(b)
        r.attach(b)
        assert b.state()["last-epoch"] == 0
        r.tell_config([b])
        assert moved(r.sync(b)) == r.data_bytes()
        assert b.state()["last-epoch"] == r.config.epoch
        r.compare()


@pytest.mark.uml
def test_a_replaced_disk_that_its_source_has_not_heard_of(lab):
    """P3, R6a: what the source knows of the old disk, on a connection that fell silent, is not about the new one."""
    with mirror(lab, "xab", diskless="x", timeout_ms=20000) as r:
        _, a, b = r.nodes
        r.fio(r.writer, rw="write", bs="1m", size="4m", iodepth=4)
        r.drop(b)
        r.cluster.link("a", "b").cut()
        b.do("volume-detach", volume=0)
        b.wait_disk("diskless")
        replace(b)
        r.attach(b)
        r.tell_config([b])
        r.start_sync(b)
        assert a.peer(b)["link-state"] == "connected", "a has given b up before the sources' maps were asked for"
        assert moved(r.finish_sync(b)) == r.data_bytes()
        r.heal(a, b)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_maps_of_a_replica_that_was_away(lab):
    """P3: what a returning replica is given counts as missing on members that are away still; and while
    the writer's own replica is out of sync, its maps are not asked."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        r.cut(b, c)
        lose(r, a, c)
        r.write(a, count=30)
        r.configure(writer=a, in_sync=[b], to=[a, b])
        a.do("volume-detach", volume=0)
        a.wait_disk("diskless")
        r.fio(a, rw="write", bs="64k", size="1m", offset="6m", iodepth=4)
        r.attach(a)
        r.heal(b, c)
        r.heal(a, c)
        r.sync(c)
        r.compare()
        lose(r, a, c)
        r.fio(a, rw="write", bs="64k", size="1m", offset="8m", iodepth=4)
        r.sync(a)
        r.heal(a, c)
        r.sync(c)
        assert len(r.in_sync) == 3
        r.compare()
        r.check_data(a)


@pytest.mark.long
@pytest.mark.uml
@pytest.mark.parametrize("compare", [False, True])
def test_a_full_resync(lab, compare):
    """P3: on request everything is copied, or everything compared and only differences copied."""
    with mirror(lab, "ab", size=24 * MIB) as r:
        a, b = r.nodes
        r.fio(a, rw="write", bs="1m", size="16m", iodepth=4)
        lose(r, a, b)
        r.write(a, count=50)
        spoil(b, 10 * MIB)
        r.heal(a, b)
        found = r.sync(b, full=True, compare=compare)
        assert moved(found) == r.data_bytes()
        same = moved(found, "sync-same")
        assert (10 * MIB < same < moved(found)) if compare else same == 0, found
        r.compare()


def replace(node):
    """A blank disk in place of the old one."""
    (disk,) = node.disks
    disk.heal()
    node.host.run(f"blkdiscard {disk.path}; dd if=/dev/urandom of={disk.path} bs=1M count=4 "
                  "oflag=direct status=none")
    node.resource.create_md(node)


def spoil(node, at, count=4096):
    """Changes a replica behind Braid's back."""
    node.host.run(f"dd if=/dev/urandom of={node.disks[0].path} bs=4096 seek={at // 4096} "
                  f"count={count // 4096} oflag=direct conv=notrunc status=none")


@pytest.mark.long
@pytest.mark.uml
def test_several_targets(lab):
    """P3: two replicas are resynced at once, with different things to copy, while writes go on."""
    with mirror(lab, "abc", size=24 * MIB) as r:
        a, b, c = r.nodes
        lose(r, a, b)
        r.fio(a, rw="write", bs="1m", size="8m", offset="4m", iodepth=4)
        lose(r, a, c)
        r.fio(a, rw="write", bs="1m", size="4m", offset="14m", iodepth=4)
        job = r.writer_job(a, blocks=1024)
        for node in (b, c):
            r.heal(a, node)
        for node in (b, c):
            r.start_sync(node)
        first = r.finish_sync(b)
        second = r.finish_sync(c)
        assert moved(first) > moved(second) > 0
        job.wait(20)
        job.stop()
        assert len(r.in_sync) == 3
        r.compare()
        r.check_data(a, blocks=1024)


@pytest.mark.uml
def test_a_resync_obeys(lab):
    """P3: pause, resume, stop, a bound on its rate, and what it waits for is told."""
    with mirror(lab, "ab", size=24 * MIB) as r:
        a, b = r.nodes
        lose(r, a, b)
        r.fio(a, rw="write", bs="1m", size="16m", iodepth=4)
        r.heal(a, b)
        assert a.refusal("sync-join", node_id=b.id).error in ("EBUSY", "EINVAL", "EAGAIN")
        r.start_sync(b, max_rate=4 * MIB)
        a.wait(lambda: moved(a.replicas(b), "sync-left") < moved(a.replicas(b)), "a part to be copied")
        assert a.refusal("sync-join", node_id=b.id).error in ("EBUSY", "EINVAL", "EAGAIN")
        a.do("sync-pause", node_id=b.id)
        a.wait_sync(b, "paused")
        left = moved(a.replicas(b), "sync-left")
        job = r.writer_job(a, count=50)
        job.process.wait(30)
        assert moved(a.replicas(b), "sync-left") <= left
        assert all(it.get("waits-for") for it in a.replicas(b))
        a.do("sync-resume", node_id=b.id)
        a.wait_sync(b, "running")
        a.do("sync-stop", node_id=b.id)
        a.wait_sync(b, "none")
        assert 0 < moved(a.replicas(b), "dirty") <= 16 * MIB
        r.sync(b)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_a_resync_over_a_region_border(lab):
    """P3: blocks at the first and last place of regions and of the volume are copied."""
    with mirror(lab, "ab", size=24 * MIB, block_size=4096) as r:
        a, b = r.nodes
        lose(r, a, b)
        fd = a.open()
        places = [0, REGION - 4096, REGION, 3 * REGION - 4096, r.data_bytes() - 4096]
        for at in places:
            assert a.request(pwrite=fd, at=at, count=4096, seed=at + 1) == {}
        a.close(fd)
        r.heal(a, b)
        assert moved(r.sync(b)) == 4096 * len(places)
        r.compare()


@pytest.mark.uml
def test_a_join_that_was_not_chosen(lab):
    """R6b: a member whose join was announced is needed until the writer's next round is without it."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        lose(r, a, c)
        r.write(a, count=50)
        r.heal(a, c)
        r.start_sync(c)
        a.wait_sync(c, "done")
        a.do("sync-join", node_id=c.id)
        assert a.refusal("sync-stop", node_id=c.id).error == "EBUSY"
        job = r.writer_job(a)
        job.wait(30)
        c.host.power_cut()
        a.wait_link(c, "disconnected")
        job.must_hang()
        r.drop(c)
        job.wait(30)
        job.stop()
        assert "joining" not in [it.get("sync-state") for it in a.replicas(c)]
        r.power_on(c)
        r.sync(c)
        r.check_data(a)
        r.compare()
