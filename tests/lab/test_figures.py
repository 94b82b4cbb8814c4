# SPDX-License-Identifier: GPL-2.0-or-later
"""What metadata costs: time, memory and writes, on volumes far larger than this machine's memory.

    /usr/bin/python3 -m pytest -q -s -m uml --long tests/lab/test_figures.py

prints the figures; each test fails above its bound. Data is on disks that keep nothing.
"""
import re

import pytest
from braidlab.braid import REGION, mirror

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
HOLLOW = {"meta": "external", "disk": {"hollow": True}}


def metadata_bytes(size, max_peers):
    """Enough for the metadata of a volume, with little to spare."""
    return -(-(size // REGION * 137 * (max_peers + 1) + 4 * MIB) // MIB) * MIB


def attach_seconds(machine):
    """Of the machine's last attach, by the kernel's own clock."""
    line = r"\[ *([0-9.]+)\].* disk [a-z]+ -> %s "
    log = machine.run(["dmesg"]).out
    begun, ended = (float(re.findall(line % state, log)[-1]) for state in ("attaching", "attached"))
    assert ended >= begun
    return ended - begun


def dirty_maps(machine):
    """How many there are now, of all nodes."""
    log = machine.run(["dmesg"]).out
    return len(re.findall("dirty [0-9a-fx]+ created", log)) - len(re.findall("dirty [0-9a-fx]+ destroyed", log))


def kernel_bytes(machine):
    """What the kernel has allocated for itself, without pages of RAM disks."""
    machine.run("echo 3 > /proc/sys/vm/drop_caches")
    lines = dict(line.split(":") for line in machine.read("/proc/meminfo").splitlines())
    return sum(int(lines[key].split()[0]) << 10 for key in ("SUnreclaim", "VmallocUsed"))


@pytest.mark.uml
def test_attaching_64_tib(lab):
    """Under 2 s, also after an unclean stop, when what was active is marked; nobody waits meanwhile."""
    size = 64 * TIB
    with mirror(lab, "ab", size=size, meta_bytes=metadata_bytes(size, 1), max_peers=1, **HOLLOW) as r:
        a, b = r.nodes
        assert a.volume()["size"] == size
        print(f"\nattach of 64 TiB, new: {attach_seconds(a.host.machine):.3f} s")
        r.fio(a, bs="4k", number_ios=200, iodepth=1, size=str(size))
        b.host.power_cut()
        r.power_on(b)
        seconds = attach_seconds(a.host.machine)
        print(f"attach of 64 TiB, after an unclean stop: {seconds:.3f} s")
        assert seconds < 2
        r.drop(b)
        r.sync(b)


@pytest.mark.long
@pytest.mark.uml
def test_memory_of_healthy_replicas(lab):
    """At most 1 MiB per TiB; a dirty map is there only for a member that is behind."""
    volumes, size = 6, TIB
    machine = lab.uml()
    lab.load_braid(machine)
    with mirror(lab, "ab", machine=machine):
        pass  # what the machine needs anyway is there from now on
    before = kernel_bytes(machine)
    with mirror(lab, "ab", machine=machine, size=size, volumes=volumes, begin=False, max_peers=1,
                meta_bytes=metadata_bytes(size, 1), **HOLLOW) as r:
        a, b = r.nodes
        r.begin(a)
        for volume in range(volumes):
            r.fio(a, volume=volume, bs="4k", number_ios=1000, size=str(size))
        replica = (kernel_bytes(machine) - before) / volumes / 2
        print(f"\nmemory of a healthy replica of 1 TiB, with disks, devices and hosts around it: {replica / 1024:.0f} KiB")
        assert replica < MIB
        assert dirty_maps(machine) == 0
        b.host.power_cut()
        r.drop(b)
        assert dirty_maps(machine) == volumes
        r.power_on(b)
        r.sync(b)
        assert dirty_maps(machine) == 0


# rw, depth, range, most metadata writes of a node per 1,000 writes. At depth 32 the metadata's disk
# takes its time for each, as disks do: whoever comes meanwhile shares the next one.
SHAPES = {
    "sequential, depth 1": ("write", 1, 64 * GIB, 20),
    "sequential, depth 16": ("write", 16, 64 * GIB, 20),
    "random over 64 GiB, depth 1": ("randwrite", 1, 64 * GIB, 1050),
    "random over 64 GiB, depth 32": ("randwrite", 32, 64 * GIB, 400),
    "random over 1 TiB, depth 1": ("randwrite", 1, TIB, 1050),
    "random over 1 TiB, depth 32": ("randwrite", 32, TIB, 400)}


@pytest.mark.long
@pytest.mark.uml
def test_metadata_writes(lab):
    """A cold write costs at most one, and many at once share them."""
    writes = 4000
    with mirror(lab, "ab", size=TIB, max_peers=1, meta_bytes=metadata_bytes(TIB, 1), **HOLLOW) as r:
        a, wrong = r.nodes[0], []
        print("\nmetadata writes of each node per 1,000 writes of 4 KiB:")
        for shape, (rw, depth, span, most) in SHAPES.items():
            for node in r.nodes if depth > 1 else []:
                node.meta_disks[0].slow(1)
            before = [node.volume()["stats"] for node in r.nodes]
            r.fio(a, rw=rw, bs="4k", iodepth=depth, number_ios=writes, size=str(span))
            for node in r.nodes:
                node.meta_disks[0].heal()
            after = [node.volume()["stats"] for node in r.nodes]
            counts = [1000 * (new["metadata-writes"] - old["metadata-writes"]) / writes
                      for old, new in zip(before, after)]
            done = after[0]["writes"] - before[0]["writes"]
            print(f"  {shape:30} {counts[0]:7.1f} {counts[1]:7.1f}   at most {most}")
            wrong += [shape] if max(counts) > most or done != writes else []
        assert wrong == []
