# SPDX-License-Identifier: GPL-2.0-or-later
"""Three hosts with Debian's kernels, two CPUs each, disks that lose what no flush covered; and the daemons."""
import itertools

import pytest
from braidlab.satellite import managed_vm

# Two hosts with replicas and one that only votes.
HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"], "size": 8 << 20}
SERIES = ["6.12", pytest.param("6.1", marks=pytest.mark.long)]


@pytest.mark.vm
@pytest.mark.parametrize("series", SERIES)
def test_each_host_and_each_link_is_lost(lab, series):
    """P1, P3, P4: writes go on without any one of them, on another host where the Primary died."""
    with managed_vm(lab, **HOSTS, series=series) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        for lost in (c, b):
            lost.host.power_cut()
            job.wait(20, timeout=60)
            r.power_on(lost)
            r.wait_in_sync(a, b)
        for one, other in itertools.combinations(r.nodes, 2):
            r.cut(one, other)
            job.wait(50, timeout=60)
            assert b.state()["service"] == "secondary"
            r.cluster.link(one.host.name, other.host.name).heal()
            r.wait_in_sync(a, b)
        job.wait(20)
        a.host.power_cut()
        r.take_over(b)
        r.check_data(b, at_least=200)
        r.write(b, count=50)
        r.power_on(a)
        r.wait_in_sync(a, b)
        r.check_data(b)
        r.compare([a, b])


@pytest.mark.vm
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("order", ["bca", *(pytest.param("".join(it), marks=pytest.mark.long)
                                            for it in itertools.permutations("abc") if it != tuple("bca"))])
def test_all_power_is_lost(lab, series, order):
    """P2, P3: under load; whatever order they come back in, each replica has what was flushed."""
    with managed_vm(lab, **HOSTS, series=series, disk={"record": True}) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a, flush_every=25)
        job.wait(100, timeout=60)
        for node in r.nodes:
            node.host.power_cut()
        rng = lab.rng("cache")
        print("lost writes:", [node.disks[0].lose_unflushed(rng) for node in (a, b)])
        for name in order:
            r.power_on(r[name])
        r.take_over(b)
        r.wait_in_sync(a, b)
        r.check_data(b, flushed_only=True, at_least=100)
        assert r.history().flushed >= 100
        r.write(b, count=50)
        r.compare([a, b])
