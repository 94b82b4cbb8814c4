# SPDX-License-Identifier: GPL-2.0-or-later
"""The size of a volume: it never shrinks under whoever uses it, and grows only where all replicas have room.

Each test ends with a comparison of the replicas below Braid (P3).
"""
import json

import pytest
from braidlab import logwrites, modules
from braidlab.braid import mirror
from braidlab.metadata import Invalid, Metadata

MIB = 1 << 20


def causes(node):
    return [event.get("cause", "") for event in node.events() if event.get("kind") == "disk"]


@pytest.mark.uml
def test_a_disk_that_is_too_small(lab):
    """P3: it is refused where that is known, and else kept out of sync; the device keeps its size."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        size = a.volume()["size"]
        r.write(a, count=20)
        b.do("volume-detach", volume=0)
        b.wait_disk("diskless")
        r.drop(b)
        sound = b.disks[0]
        b.disks[0] = b.host.give_disk(8 * MIB)
        r.create_md(b)
        b.do("volume-attach", volume=0, disk=b.disks[0].path)
        b.wait(lambda: "the disk is smaller than the volume" in causes(b), "the disk to be refused")
        b.wait_disk("diskless")
        b.host.power_cut()
        r.away.add(a)
        r.power_on(b)  # alone, it knows nothing of the volume
        r.away.discard(a)
        assert b.volume()["size"] < size
        r.connect(a, b)
        r.tell_config([b], new_lineage=True)
        b.wait(lambda: b.volume()["size"] == size, "the writer's size")
        refused = a.refusal("sync-start", node_id=b.id)
        assert (refused.error, "smaller" in refused.message) == ("ENOSPC", True), refused
        assert a.volume()["size"] == size
        b.do("volume-detach", volume=0)
        b.wait_disk("diskless")
        b.disks[0] = sound
        r.attach(b)
        r.sync(b)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_the_size_outlives_the_power(lab):
    """P3: a replica with room for more, which comes back alone, does not make the volume larger."""
    with mirror(lab, "ab", begin=False) as r:
        a, b = r.nodes
        a.do("volume-detach", volume=0)
        a.wait_disk("diskless")
        a.disks[0] = a.host.give_disk(24 * MIB)
        r.create_md(a)
        r.attach(a)
        r.begin(a)
        size = a.volume()["size"]
        assert size == b.volume()["size"] < 16 * MIB
        r.write(a, count=20)
        a.host.power_cut()
        b.host.power_cut()
        r.power_on(a)
        assert a.volume()["size"] == size
        r.power_on(b)
        r.configure(writer=a, in_sync=[a, b])
        r.serve(a)
        assert a.volume()["size"] == size
        r.check_data(a)
        r.compare()


# Growing


def resize(node, result="done"):
    """Resizes on a node, and waits for the end."""
    before = len(ends(node))
    node.do("volume-resize", volume=0)
    node.wait(lambda: len(ends(node)) > before, "the end of the resize")
    assert ends(node)[-1]["new"] == result, ends(node)


def ends(node):
    return [event for event in node.events() if event.get("kind") == "size"]


def must_refuse(node, error, word):
    refused = node.refusal("volume-resize", volume=0)
    assert (refused.error, word in refused.message) == (error, True), refused


def check_metadata(node):
    """braidadm and the independent decoder agree about the metadata; returns the superblock."""
    disk, meta = node.disks[0], node.meta_disks[0]
    machine, name = node.host.machine, f"{node.host.name}-{(meta or disk).name}.image"
    machine.run(["blockdev", "--flushbufs", (meta or disk).path])  # braidadm reads what is cached
    document = json.loads(node.host.run(
        [machine.inside(modules.braidadm()), "dump-md", "--json", "--device", disk.path,
         *(["--meta-device", meta.path] if meta else [])]).out)
    machine.run(["dd", f"if={(meta or disk).path}", f"of=/lab/{name}", "bs=1M", "iflag=direct",
                 "conv=sparse", "status=none"])
    image = machine.share / name
    found = Metadata(image, image if meta else None)
    sb = found.superblock
    assert document["fits"]
    assert [copy["state"] for copy in document["copies"]] == ["valid", "valid"], document["copies"]
    assert (sb.data_bytes, sb.volume_bytes, sb.slots_offset) == tuple(
        document["superblock"][key] for key in ("data-bytes", "volume-bytes", "slots-offset"))
    assert sorted(found.active) == sorted(document["active-regions"])
    assert {slot["node"] for slot in document["slots"]} == {node for node, _ in sb.slots.values()}
    return sb


@pytest.mark.parametrize("debug, meta", [
    pytest.param(False, "internal", marks=pytest.mark.uml), pytest.param(False, "external", marks=pytest.mark.uml),
    pytest.param(True, "internal", marks=[pytest.mark.uml_debug, pytest.mark.long])])
def test_growing_under_load(lab, debug, meta):
    """P1, P3: what is gained reads as zeroes on each replica; who has no room limits it, and is named."""
    with mirror(lab, "ab", debug=debug, meta=meta) as r:
        a, b = r.nodes
        size = a.volume()["size"]
        value = "77" * 50
        b.do("vote-set", volume=0, vote=value)
        job = r.writer_job(a)
        job.wait(20)
        must_refuse(a, "EALREADY", "not grown")
        must_refuse(b, "EALREADY", "not grown")
        a.disks[0].grow(26 * MIB)
        must_refuse(a, "ENOSPC", "resize there first")
        b.disks[0].grow(40 * MIB)
        resize(b)
        a.wait(lambda: a.replicas(b)[0]["size"] > 26 * MIB, "b's new size")
        assert a.volume()["size"] == size
        job.wait(20)
        resize(a)
        grown = a.volume()["size"]
        assert size < grown == a.volume()["disk-size"] <= 26 * MIB
        b.wait(lambda: b.volume()["size"] == grown, "the new size on the secondary")
        job.wait(20)
        job.stop()
        fd = a.open()
        zeroes = a.request(expect=0, count=MIB)["digest"]
        for at in range(size, grown - MIB, MIB):
            assert a.request(pread=fd, at=at, count=MIB)["digest"] == zeroes, at
        a.close(fd)
        r.compare()
        r.fio(a, verify="crc32c", bs="64k", offset=str(16 * MIB), size="4m")
        r.check_data(a)
        r.compare()
        for node in r.nodes:
            assert check_metadata(node).volume_bytes == grown
        for node in r.nodes:
            node.host.power_cut()
        for node in r.nodes:
            r.power_on(node)
        assert b.do("vote-get", volume=0)["vote"] == value
        r.configure(writer=b, in_sync=[a, b])
        r.serve(b)
        assert b.volume()["size"] == grown
        r.check_data(b)
        r.compare()


@pytest.mark.uml
def test_growing_without_a_replica(lab):
    """P3: a replica that was away gets what was gained, once it has room for it."""
    with mirror(lab, "abc") as r:
        a, b, c = r.nodes
        r.write(a, count=30)
        c.host.power_cut()
        r.drop(c)
        r.write(a, count=30)
        for node in (b, a):
            node.disks[0].grow(28 * MIB)
            resize(node)
            a.wait(lambda node=node: node is a or a.replicas(b)[0]["size"] > 16 * MIB, "b's new size")
        grown = a.volume()["size"]
        assert grown > 24 * MIB
        r.fio(a, bs="64k", offset=str(17 * MIB), size="2m")
        r.power_on(c)
        r.tell_config([c])
        refused = a.refusal("sync-start", node_id=c.id)
        assert (refused.error, "smaller" in refused.message) == ("ENOSPC", True), refused
        c.disks[0].grow(28 * MIB)
        resize(c)
        a.wait(lambda: a.replicas(c)[0]["size"] >= grown, "c's new size")
        r.sync(c)
        r.check_data(a)
        r.compare()
        assert {check_metadata(node).volume_bytes for node in r.nodes} == {grown}


@pytest.mark.uml
def test_power_is_cut_while_the_volume_grows(lab):
    """P1, P3, P6: the size is the old one until all have the new one; then it can be grown again."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        size = a.volume()["size"]
        r.write(a, count=50)
        for node in (b, a):
            node.disks[0].grow(80 * MIB)
        resize(b)
        a.wait(lambda: a.replicas(b)[0]["size"] > 64 * MIB, "b's new size")
        b.disks[0].slow(300)
        a.do("volume-resize", volume=0)
        a.wait(lambda: a.volume()["disk-size"] > 64 * MIB and b.volume()["stats"]["peer-writes"] > 52,
               "regions to be zeroed")
        assert a.volume()["size"] == size and not ends(a)
        a.host.power_cut()
        b.disks[0].heal()
        r.fail_over(b, lost=[a])
        assert b.volume()["size"] == size
        r.check_data(b)
        r.write(b, count=30)
        resize(b)
        assert b.volume()["size"] == b.volume()["disk-size"]
        r.fio(b, bs="64k", offset=str(40 * MIB), size="2m")
        r.power_on(a)
        r.sync(a)
        r.check_data(b)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("meta", ["internal", "external"])
def test_a_crash_while_metadata_moves(lab, meta):
    """P6: whatever was written of it, one set of metadata is whole, and says the same."""
    with mirror(lab, "ab", meta=meta, size=8 * MIB, disk={"record": True}) as r:
        a, b = r.nodes
        r.write(a, count=40)
        b.do("vote-set", volume=0, vote="5a" * 100)
        b.wait(lambda: b.do("vote-get", volume=0)["vote"], "the vote")
        r.write(a, count=5)
        old = b.disks[0].size
        before = check_metadata(b)
        for disk in [b.disks[0], *(it for it in b.meta_disks if it)]:
            disk.grow(disk.size if disk is not b.disks[0] else 20 * MIB)
        resize(b)
        after = check_metadata(b)
        holder = b.meta_disks[0] or b.disks[0]
        log, base = holder.record()
        writes = [n for n, entry in enumerate(log.entries) if entry.is_write]
        assert len(writes) > 8
        image, rng, seen = base.with_suffix(".crash"), lab.rng("crash"), set()
        for count in range(len(log.entries) + 1):
            part = logwrites.Log(log.path, log.sector, log.entries[:count])
            logwrites.replay_crash(part, base, image, holder.size, rng)
            found = Metadata(image, image if meta == "external" else None)
            try:
                sb = found.superblock
            except Invalid:  # still at the end that the disk had
                with open(image, "r+b") as file:
                    file.truncate(old)
                sb = found.superblock
            seen.add(sb.data_bytes)
            assert found.vote == bytes.fromhex("5a" * 100), count
            assert 0 in found.active, count
            assert sb.config == before.config and sb.volume_bytes == before.volume_bytes
        assert seen == {before.data_bytes, after.data_bytes}
        r.write(a, count=10)
        r.compare()


@pytest.mark.uml
def test_a_disk_that_grew_while_its_node_was_down(lab):
    """P6: internal metadata is found where the disk ended before."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=30)
        b.host.power_cut()
        r.drop(b)
        disk = b.disks[0]
        old = disk.size
        disk.grow(24 * MIB)
        attach = r.attach
        r.attach = lambda node: (node.do("volume-attach", volume=0, disk=disk.path, old_size=old),
                                 node.wait_disk("attached"))
        r.power_on(b)
        r.attach = attach
        resize(b)
        r.sync(b)
        r.check_data(a)
        r.compare()
        assert check_metadata(b).data_bytes > 20 * MIB
