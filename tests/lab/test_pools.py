# SPDX-License-Identifier: GPL-2.0-or-later
"""Storage pools with the real LVM and the kernel's thin provisioning.

One kernel sees the disks of all hosts, so the groups of a pool have names of their own on each.
"""
import json

import pytest
from braidlab.satellite import ManagedResource, managed

MIB = 1 << 20
HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"]}


class Replica:
    """The logical volume under a replica, in the place of a disk."""

    def __init__(self, path: str):
        self.path = path


class PooledResource(ManagedResource):
    """Each diskful host has a pool "fast" on a disk of its own; sizes are those disks' in MiB."""

    def __init__(self, cluster, *args, sizes: dict[str, int], volume: int = 64, **more):
        super().__init__(cluster, *args, **more)
        self.sizes, self.volume_mib = sizes, volume
        for node in self.nodes:
            if node.diskful:
                node.disks[0] = Replica(f"/dev/{self.group(node)}/{self.name}_00000")

    def group(self, node) -> str:
        return f"vg-{node.host.name}"

    def replica(self, node, volume: int) -> str:
        return f"pool fast; size {self.volume_mib}M"

    def configuration(self) -> str:
        return 'include "braid.d/*.res";\n' + super().configuration()

    def prepare(self, node) -> None:
        super().prepare(node)
        node.host.run("mkdir -p /etc/braid.d")
        # No udev here; and what is under a disk of the lab is not to be looked at.
        node.host.run("cat > /etc/lvm/lvmlocal.conf", stdin=(
            'devices { global_filter=[ "r|^/dev/ram|", "r|^/dev/loop|" ] }\n'
            "activation { udev_sync=0 udev_rules=0 verify_udev_operations=1 }\n"))
        if node.diskful:
            disk = node.host.give_disk(self.sizes[node.host.name] * MIB)
            self.adm(node, "pool", "create", "lvmthin", "fast", disk.path, "--vg", self.group(node))

    def create_md(self, node) -> None:
        self.adm(node, "create-md", self.name)

    def pool(self, node) -> dict:
        return json.loads(self.adm(node, "pool", "list", "--json").out)["pools"][0]

    def down(self) -> None:
        """Also checks that a pool in use is not deleted, and that nothing is left of one that is not."""
        super().down()
        for node in self.nodes:
            if node.diskful:
                refused = self.adm(node, "pool", "delete", "fast", "--destroy", check=False)
                assert (refused.rc, "in use" in refused.err) == (1, True), refused
                node.host.run("cat > /etc/braid.conf", stdin='include "braid.d/*.res";\n')
                self.adm(node, "pool", "free", self.name)
                self.adm(node, "pool", "delete", "fast", "--destroy")
                assert self.group(node) not in node.host.run(["vgs"]).out


@pytest.mark.uml
@pytest.mark.parametrize("small", ["b", "a"])
def test_a_thin_pool_that_fills_up_under_load(lab, small):
    """P1, P3: a full pool costs its host the replica, also the Primary's, and nobody a write; what is there of
    the group is used first. With a device more the replica comes back by itself, and is equal."""
    with managed(lab, **HOSTS, kind=PooledResource, sizes={"a": 128, "b": 128, small: 48}) as r:
        a, b, _ = r.nodes
        full, other = r[small], b if small == "a" else a
        before = r.pool(full)
        assert before["health"] == [] and before["promised"] > before["size"], before
        assert "error" in full.host.run(["lvs", "-o", "lv_when_full", f"{r.group(full)}/thin"]).out
        job = r.writer_job(a, blocks=64 * 256)  # each block somewhere else takes a chunk of 64 KiB
        full.wait(lambda: full.volume()["disk-state"] == "diskless", "the pool to be full", 120)
        r.wait_dropped(other, full)
        job.wait(100)
        assert r.members_in_sync(other) == {other.host.name}
        extended = r.pool(full)
        assert extended["size"] > before["size"], "what the group had left was not used"
        assert any("full" in it or "out_of_data" in it for it in extended["health"]), extended
        more = full.host.give_disk(96 * MIB)
        r.adm(full, "pool", "extend", "fast", more.path, "--size", "64M")
        r.wait_in_sync(a, b, timeout=120)
        job.wait(50)
        job.stop()
        assert r.pool(full)["health"] == []
        r.check_data(a, blocks=64 * 256, at_least=500)
        r.compare([a, b])


@pytest.mark.uml
def test_a_volume_of_a_pool_grows(lab):
    """P3: a larger size in the configuration makes volume and device larger, the data stays; never smaller."""
    with managed(lab, **HOSTS, kind=PooledResource, sizes={"a": 128, "b": 128}, volume=16) as r:
        a, b, _ = r.nodes
        r.write(a, count=100)
        size = a.volume()["size"]
        assert 16 * MIB <= size < 24 * MIB
        for mib in (40, 20):
            r.volume_mib = mib
            for node in (b, a):
                r.write_configuration(node)
                r.adm(node, "adjust")
            assert 40 * MIB <= a.volume()["size"] < 48 * MIB
        r.write(a, count=100, blocks=38 * 256)
        r.check_data(a, blocks=38 * 256)
        r.compare([a, b])
        again = r.adm(a, "create-md", r.name, check=False)
        assert again.rc == 1, again
