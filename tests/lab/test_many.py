# SPDX-License-Identifier: GPL-2.0-or-later
"""As many members as there can be: 32, each connected to each other one."""
import pytest
from braidlab.braid import mirror

MEMBERS, REPLICAS = 32, 12


@pytest.mark.long
@pytest.mark.uml
def test_thirty_two_members(lab):
    """P1, P3: replicas with the lowest and the highest number, writers with and without one, one that dies."""
    names = [f"n{number}" for number in range(MEMBERS)]
    diskless = names[REPLICAS // 2:-REPLICAS // 2]
    machine = lab.uml(memory=4096)
    with mirror(lab, names, machine=machine, diskless=diskless, size=8 << 20, streams=1, max_peers=MEMBERS - 2,
                lease_ms=5000, timeout_ms=15000) as r:
        first, without, last = r.nodes[0], r[diskless[0]], r.nodes[-1]
        assert last.id == MEMBERS - 1 and len(r.in_sync) == REPLICAS
        r.write(first, count=100, timeout=120)
        r.compare()
        r.move(without)
        r.write(without, count=100, timeout=120)
        r.move(last)
        job = r.writer_job(last)
        job.wait(50, timeout=120)
        last.host.power_cut()
        for node in (first, without):
            node.wait_link(last, "disconnected")
        r.fail_over(first, lost=[last])
        r.check_data(first, at_least=250)
        r.write(first, count=50, timeout=120)
        r.power_on(last)
        r.sync(last)
        r.check_data(first)
        r.compare()
