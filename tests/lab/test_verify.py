# SPDX-License-Identifier: GPL-2.0-or-later
"""Replicas in sync are compared while writes go on: what differs is found, nothing else is, and a
resync repairs it. Each test ends with a comparison of the replicas below Braid (P3).
"""
import pytest
from braidlab.braid import REGION, mirror
from test_resync import moved, spoil

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
MIB = 1 << 20


def start(r, peer, **options):
    r.writer.do("verify-start", node_id=peer.id, **options)


def finish(r, peer):
    """The ranges that differ, by volume, start and end."""
    r.writer.wait_sync(peer, "none")
    found = [(it["volume"], it["start"], it["stop"]) for it in r.writer.dump("verify-get")
             if it["node-id"] == peer.id]
    assert sum(end - begin for _, begin, end in found) == r.writer.peer(peer)["differing"]
    return found


def verify(r, peer, **options):
    start(r, peer, **options)
    return finish(r, peer)


def outcome(node):
    return [it["cause"] for it in node.events() if it["kind"] == "sync" and it["old"] == "verifying"]


@pytest.mark.parametrize("debug", UML)
def test_planted_differences(lab, debug):
    """P3: exactly what was changed behind Braid's back is found, while other blocks are written, and the
    resync that follows copies it."""
    with mirror(lab, "ab", size=(12 if debug else 24) * MIB, volumes=2) as r:
        a, b = r.nodes
        r.fio(a, rw="write", bs="1m", size="6m", iodepth=4)
        a.host.run(f"blkdiscard --offset {5 * MIB} --length {2 * MIB} {a.device()}")
        assert verify(r, b) == []
        total = sum(r.data_bytes(volume) for volume in range(2))
        assert [a.peer(b)[what] for what in ("sync-total", "sync-left", "sync-same")][::2] == [total, total]
        assert outcome(a) == ["verified, 0 bytes differ"]
        size = r.data_bytes()
        places = [(2 * MIB, 4096), (3 * MIB - 4096, 3 * 4096), (REGION - 8192, 16384), (6 * MIB, 4096),
                  (6 * MIB + 8192, 4096), (7 * MIB, 300 * 1024), (size - 4096, 4096)]
        for at, count in places:
            spoil(b, at, count)
        jobs = [r.writer_job(a, volume=volume, blocks=256) for volume in range(2)]
        start(r, b, max_rate=4 * MIB)
        assert a.refusal("verify-start", node_id=b.id).error == "EBUSY"
        r.fio(a, bsrange="512-64k", size="1m", offset="1m", norandommap=1, io_size="1m" if debug else "8m")
        found = a.peer(b)
        assert found["sync-state"] == "verifying" and found["waits-for"], "it was over too soon"
        a.do("sync-set", node_id=b.id, max_rate=0)
        assert finish(r, b) == [(0, at, at + count) for at, count in places]
        (first,) = [it for it in a.events() if it["kind"] == "verify"]
        assert (first["node-id"], first["volume"]) == (b.id, 0)
        assert any(at <= first["offset"] < at + count for at, count in places)
        wrong = sum(count for _, count in places)
        assert outcome(a)[1:] == [f"verified, {wrong} bytes differ"]
        assert moved(a.replicas(b), "dirty") == wrong
        for job in jobs:
            job.wait(5)
        r.configure(writer=a, in_sync=[a], to=r.nodes)
        found = r.sync(b)[-1]["sync-total"]
        assert wrong <= found <= wrong + 2 * 256 * 4096
        assert verify(r, b) == []
        for job in jobs:
            job.stop()
        r.check_data(a, blocks=256)
        r.compare()


@pytest.mark.uml
def test_no_false_differences(lab):
    """P3: writes under way, overlapping and of all sizes, to what is being compared never look different."""
    with mirror(lab, "abc", size=8 * MIB, streams=4) as r:
        a, b, c = r.nodes
        r.write(a, count=20)
        b.disks[0].slow(10, reads=False)  # a write reaches the others first
        fio = a.host.start(["fio", "--name=load", f"--filename={a.device()}", "--direct=1",
                            "--ioengine=libaio", "--rw=randwrite", "--bsrange=512-64k", "--iodepth=32",
                            "--size=1m", "--norandommap=1", "--time_based", "--runtime=300", "--thread=1"])
        a.wait(lambda: a.volume()["stats"]["writes"] > 500, "the load to begin")
        for _ in range(6):
            for peer in (b, c):
                start(r, peer, start=0, stop=1 * MIB)
            for peer in (b, c):
                assert finish(r, peer) == []
        assert not fio.done(), fio.wait(1, check=False)
        fio.kill()
        fio.wait(30, check=False)
        assert outcome(a) == ["verified, 0 bytes differ"] * 12
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("how", ["stop", "link", "drop"])
def test_an_interrupted_verify(lab, how):
    """P3, P9: it ends with what it waits for; what it has found until then stays, and is repaired."""
    with mirror(lab, "ab", size=24 * MIB) as r:
        a, b = r.nodes
        assert a.refusal("verify-start", node_id=a.id).error == "ENODATA"
        assert a.refusal("verify-start", node_id=b.id, start=8192, stop=8192).error == "EINVAL"
        assert a.refusal("verify-stop", node_id=b.id).error == "EALREADY"
        assert b.refusal("verify-start", node_id=a.id).error == "EPERM"
        r.write(a, count=50)
        spoil(b, 2 * MIB)
        spoil(b, 20 * MIB)
        start(r, b, max_rate=8 * MIB)
        a.wait(lambda: a.peer(b).get("differing"), "the first difference")
        job = r.writer_job(a, blocks=256)
        job.wait(5)
        if how == "stop":
            a.do("verify-stop", node_id=b.id)
        elif how == "link":
            r.cut(a, b)
        else:
            r.configure(writer=a, in_sync=[a], to=r.nodes)
        assert finish(r, b) == [(0, 2 * MIB, 2 * MIB + 4096)]
        assert outcome(a) == ["stopped, 4096 bytes differ"]
        if how == "link":
            job.must_hang()
            r.heal(a, b)
        job.wait(5)
        if how != "drop":
            assert verify(r, b, start=16 * MIB) == [(0, 20 * MIB, 20 * MIB + 4096)]
            r.configure(writer=a, in_sync=[a], to=r.nodes)
        else:
            spoil(a, 20 * MIB)  # nobody has found it
            a.host.run(f"dd if={a.disks[0].path} of={b.disks[0].path} bs=4096 skip={20 * 256} "
                       f"seek={20 * 256} count=1 iflag=direct oflag=direct conv=notrunc status=none")
        assert a.refusal("verify-start", node_id=b.id).error == "ENODATA"
        assert moved(r.sync(b)) < 2 * MIB
        job.stop()
        r.check_data(a, blocks=256)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_marks_outlive_the_writer(lab):
    """P3, P6: the writer crashes after a verify; dropped later, the peer still gets what differs."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=50)
        spoil(b, 8 * MIB)
        assert verify(r, b) == [(0, 8 * MIB, 8 * MIB + 4096)]
        a.host.power_cut()
        b.wait_link(a, "disconnected")
        r.power_on(a)
        r.configure(writer=a, in_sync=r.nodes)
        r.serve(a)
        assert moved(a.replicas(b), "dirty") >= 4096
        r.configure(writer=a, in_sync=[a], to=r.nodes)
        assert moved(r.sync(b)) < r.data_bytes()
        assert verify(r, b) == []
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_a_writer_without_disk(lab):
    """P3: two replicas are compared by a writer that has none, and one is repaired from the other."""
    with mirror(lab, "abx", diskless="x", begin=False) as r:
        a, b, x = r.nodes
        r.begin(x)
        r.write(x, count=50)
        spoil(b, 8 * MIB, 8192)
        assert verify(r, b) == [(0, 8 * MIB, 8 * MIB + 8192)]
        r.configure(writer=x, in_sync=[a], to=r.nodes)
        assert 8192 <= moved(r.sync(b)) < 8 * MIB
        assert verify(r, b) == []
        r.compare()
