# SPDX-License-Identifier: GPL-2.0-or-later
"""A resource whose members are all well: what is written is on each replica, whatever its shape.

Each test ends with a comparison of the replicas below Braid (P3) and with the lab's verdict on the
kernel, which here means P8 as well: the resource goes down without force, and the module without a trace.
"""
import time

import pytest
from braidlab.braid import REGION, BraidResource, mirror
from braidlab.oracle import read_blocks, stamp

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
LONG = [UML[0], pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]
MIB = 1 << 20


@pytest.mark.parametrize("debug, names, options", [
    pytest.param(False, "ab", {}, id="two", marks=pytest.mark.uml),
    pytest.param(False, "ab", {"block_size": 4096, "meta": "external"}, id="two-4096-external",
                 marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(False, "abc", {"volumes": 3, "streams": 3}, id="three-volumes",
                 marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(False, "abc", {"block_size": 4096, "checksums": False, "streams": 1}, id="three-4096",
                 marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(False, "ab", {"meta": "external", "volumes": 3}, id="two-external-volumes",
                 marks=pytest.mark.uml),
    pytest.param(True, "abc", {"volumes": 2, "meta": "external"}, id="three-debug",
                 marks=pytest.mark.uml_debug),
])
def test_what_is_written_is_read_and_on_each_replica(lab, debug, names, options):
    """P3, P5, P8."""
    with mirror(lab, names, debug=debug, **options) as r:
        a = r.nodes[0]
        jobs = [r.writer_job(a, volume=volume, count=200) for volume in range(r.volumes)]
        for job in jobs:
            job.process.wait(60)
        r.check_data(a, at_least=200)
        r.compare()
        for volume in range(r.volumes):
            written = a.volume(volume)["stats"]
            assert written["writes"] == 200 and written["written-bytes"] == 200 * 4096
            assert written["flushes"] >= 20
            for peer in r.nodes[1:]:
                assert peer.volume(volume)["stats"]["peer-writes"] >= 200


@pytest.mark.uml
def test_a_disk_is_readable_without_braid(lab):
    """P8: after down the plain disk holds the data, from its start."""
    machine = lab.uml()
    lab.load_braid(machine)
    with lab.namespaces(machine, ["a", "b"]) as cluster:
        r = BraidResource(cluster, rng=lab.rng("braid"), load=lab.load_braid)
        r.up()
        a, b = r.nodes
        r.begin(a)
        r.write(a, count=200)
        r.compare()
        r.down()
        machine.unload("braid")
        for node in (a, b):
            assert r.history().violations(read_blocks(node.host, node.disks[0].path, 512)) == []


FIO = {
    "4k": {"bs": "4k", "iodepth": 16},
    "zipf-512-1M": {"bsrange": "512-1m", "bs_unaligned": None, "random_distribution": "zipf:1.2",
                    "norandommap": 1, "serialize_overlap": 1, "iodepth": 8, "io_size": "24m"},
    "sequential-1M": {"rw": "write", "bs": "1m", "iodepth": 4},
    "uring-mixed": {"ioengine": "io_uring", "bsrange": "4k-64k", "rw": "randrw", "iodepth": 32},
    "buffered": {"direct": 0, "ioengine": "psync", "iodepth": 1, "bs": "16k", "fsync": 32},
}


@pytest.mark.uml
@pytest.mark.parametrize("shape", [
    "4k", "zipf-512-1M", *(pytest.param(shape, marks=pytest.mark.long) for shape in FIO
                           if shape not in ("4k", "zipf-512-1M"))])
def test_fio_reads_what_it_wrote(lab, shape):
    """P3, P5."""
    with mirror(lab, "ab") as r:
        options = {"size": "8m", "verify": "crc32c", "verify_fatal": 1, "do_verify": 1, **FIO[shape]}
        job = r.fio(r.nodes[0], **options)
        assert job["error"] == 0 and job["write"]["total_ios"] > 0
        r.compare()


@pytest.mark.parametrize("debug", UML)
def test_overlapping_writes_leave_replicas_equal(lab, debug):
    """P3: several writers at once to the same few blocks; which one wins is the same everywhere."""
    with mirror(lab, "abc", debug=debug, streams=3) as r:
        r.fio(r.nodes[0], numjobs=4, group_reporting=1, rw="randrw", rwmixread=20, bsrange="512-64k",
              size="1m", norandommap=1, random_distribution="zipf:1.3", iodepth=16,
              io_size="2m" if debug else "16m")
        r.compare()
        assert r.nodes[0].volume()["stats"]["conflicts"] > 0, "the test made no conflict"


@pytest.mark.parametrize("debug", LONG)
def test_large_and_unaligned_requests(lab, debug):
    """P3: requests of any size that a device may get, at any sector, over the borders of regions."""
    with mirror(lab, "ab", debug=debug, size=24 * MIB) as r:
        a = r.nodes[0]
        fd = a.open()
        pieces = [(512, 512), (4096 - 512, 1024), (MIB - 512, MIB), (REGION - 512, 1024),
                  (REGION + 512, 4 * MIB), (3 * REGION - MIB - 1536, 2 * MIB + 512),
                  (r.data_bytes() - 512, 512), (r.data_bytes() - 8 * MIB, 4 * MIB)]
        for seed, (at, count) in enumerate(pieces, 1):
            assert a.request(pwrite=fd, at=at, count=count, seed=seed, fua=seed % 2 == 0) == {}
            expected = a.request(expect=seed, count=count)
            assert a.request(pread=fd, at=at, count=count) == expected, f"{count} bytes at {at}"
        assert a.request(pwrite=fd, at=r.data_bytes(), count=512, seed=1) == {"error": "ENOSPC"}
        a.close(fd)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("block_size", [512, pytest.param(4096, marks=pytest.mark.long)])
def test_discards_and_zeroes(lab, block_size):
    """P3: zeroed ranges read as zeros, and discarded ones are the same on all replicas."""
    with mirror(lab, "abc", block_size=block_size) as r:
        a = r.nodes[0]
        fd = a.open()
        for at in range(0, 8 * MIB, MIB):
            assert a.request(pwrite=fd, at=at, count=MIB, seed=1 + at // MIB) == {}
        zeroed = (MIB - block_size, 2 * MIB + 3 * block_size)
        assert a.request(zeroout=fd, at=zeroed[0], count=zeroed[1]) == {}
        assert a.request(pread=fd, at=zeroed[0], count=zeroed[1]) == a.request(expect=0, count=zeroed[1])
        for at, count in ((4 * MIB, MIB), (5 * MIB + block_size, block_size), (6 * MIB - 4096, 8192),
                          (r.data_bytes() - 4096, 4096)):
            assert a.request(discard=fd, at=at, count=count) in ({}, {"error": "EOPNOTSUPP"})
        assert a.request(pread=fd, at=7 * MIB, count=MIB) == a.request(expect=8, count=MIB)
        assert a.request(fsync=fd) == {}
        a.close(fd)
        r.compare()
        if int(a.host.machine.read(f"/sys/class/block/braid{a.minors[0]}/queue/discard_max_bytes")) == 0:
            assert block_size == 4096, "disks of 4096 are loop devices here, which take no discards"
            return
        r.fio(a, rw="randtrim", bs="8k", size="4m", iodepth=8)
        r.fio(a, rw="trimwrite", bsrange="4k-64k", size="4m", iodepth=8)
        r.compare()


@pytest.mark.parametrize("debug, names", [
    pytest.param(False, "xa", id="one-replica", marks=pytest.mark.uml),
    pytest.param(False, "xab", id="two-replicas", marks=pytest.mark.uml),
    pytest.param(True, "xab", id="two-replicas-debug",
                 marks=[pytest.mark.uml_debug, pytest.mark.long])])
def test_a_diskless_writer(lab, debug, names):
    """P1, P3: a node without a replica writes and reads over the network."""
    with mirror(lab, names, debug=debug, diskless="x") as r:
        x = r["x"]
        r.write(x, count=100 if debug else 300)
        r.check_data(x)
        r.fio(x, verify="crc32c", bsrange="4k-256k", offset="4m", size="2m" if debug else "8m")
        assert x.volume()["stats"]["remote-reads"] > 0 and x.volume()["disk-state"] == "diskless"
        if len(r.in_sync) > 1:
            r.compare()
        r.move(r["a"])
        assert x.open() == "EROFS"
        r.move(x)
        r.check_data(x)


@pytest.mark.parametrize("debug", LONG)
def test_who_may_open(lab, debug):
    """P4: a node that isn't the writer refuses, and a writer that is in use stays writer."""
    with mirror(lab, "ab", debug=debug, begin=False) as r:
        a, b = r.nodes
        for node in (a, b):
            assert node.open() == "EROFS" and node.open(write=False) == "EMEDIUMTYPE"
        r.begin(a)
        assert b.open() == "EROFS" and b.open(write=False) == "EMEDIUMTYPE"
        fd, other = a.open(), a.open(write=False)
        assert a.volume()["opens"] == 2 and b.volume()["opens"] == 0
        assert a.refusal("resource-demote").error == "EBUSY"
        assert a.refusal("resource-del").error == "EBUSY"
        a.close(fd)
        assert a.refusal("resource-demote").error == "EBUSY"
        a.close(other)
        a.wait(lambda: a.volume()["opens"] == 0, "the device to be closed")
        r.move(b)
        assert a.open() == "EROFS" and b.open(write=False) >= 0
        b.io.kill()
        b.wait(lambda: b.volume()["opens"] == 0, "the device to be closed")
        r.compare()


def flushes(node):
    """Flushes that the disk below a node's replica has completed."""
    name = node.disks[0].backing.removeprefix("/dev/")
    return int(node.host.machine.read(f"/sys/block/{name}/stat").split()[15])


@pytest.mark.uml
def test_a_flush_reaches_each_disk(lab):
    """P2: it completes only when each replica's disk has completed one; so does a write with FUA."""
    with mirror(lab, "abc", disk={"cache": True}) as r:
        a = r.nodes[0]
        fd = a.open()
        for command in ({"fsync": fd}, {"pwrite": fd, "at": 8192, "count": 4096, "seed": 2, "fua": True}):
            a.request(pwrite=fd, at=4096, count=4096, seed=1)
            generation = a.volume()["generation"]
            before = [flushes(node) for node in r.nodes]
            assert a.request(**command) == {}
            after = [flushes(node) for node in r.nodes]
            assert all(x < y for x, y in zip(before, after)), (command, before, after)
            if "fsync" in command:
                assert a.volume()["stable"] >= generation
        a.request(pwrite=fd, at=4096, count=4096, seed=1)
        generation = a.volume()["generation"]
        a.wait(lambda: a.volume()["stable"] >= generation, "an idle volume to become stable by itself", 30)
        a.close(fd)
        r.compare()


@pytest.mark.uml
def test_no_writer(lab):
    """P3, P4: between two writers there can be none, and then no node serves."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=100)
        r.demote(a)
        r.configure(writer=None, in_sync=[a, b])
        for node in (a, b):
            assert node.open() == "EROFS" and node.open(write=False) == "EMEDIUMTYPE"
            assert node.state()["service"] == "secondary"
        r.compare()
        r.configure(writer=b, in_sync=[a, b])
        r.serve(b)
        r.check_data(b)
        r.write(b, count=50)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_nothing_but_the_module_is_needed(lab, debug):
    """P9: with all control programs killed, writes and reads go on well beyond leases and timeouts."""
    with mirror(lab, "abc", debug=debug) as r:
        a = r.nodes[0]
        job = r.writer_job(a)
        job.wait(20)
        for node in r.nodes:
            node.control.kill()
        assert not a.host.run("pgrep -f [b]raidctl", check=False).out
        for _ in range(3):
            before = job.acknowledged()
            time.sleep(max(2 * r.lease_ms, r.timeout_ms) / 1000)
            a.host.run(stamp(a.host, "read", a.device(), "--blocks", 16))
            assert job.acknowledged() > before and not job.process.done()
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_planned_moves(lab):
    """P4, P5: the writer moves many times, and takes the data along."""
    with mirror(lab, "abc") as r:
        fd = r.nodes[0].open()
        r.nodes[0].close(fd)
        for turn in range(8):
            node = r.nodes[turn % 3]
            if turn:
                before = r.writer
                r.move(node)
                assert before.open() == "EROFS"
            r.check_data(node, at_least=turn)
            r.write(node, count=40)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_two_resources_on_one_host(lab):
    """P3: they share nothing but the module; one goes down while the other is written to."""
    with mirror(lab, "ab", size=8 * MIB) as r:
        other = BraidResource(r.cluster, "other", rng=lab.rng("other"), size=8 * MIB)
        other.up()
        other.begin(other.nodes[1])
        job = r.writer_job(r.nodes[0])
        other.write(other.nodes[1], count=100)
        other.check_data(other.nodes[1])
        other.compare()
        other.down()
        job.wait(20)
        job.stop()
        r.compare()
