# SPDX-License-Identifier: GPL-2.0-or-later
"""The size of a volume: it never shrinks under whoever uses it, and grows only where all replicas have room.

Each test ends with a comparison of the replicas below Braid (P3).
"""
import pytest
from braidlab.braid import mirror

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
