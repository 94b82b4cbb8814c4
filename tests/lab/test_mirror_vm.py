# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels, several CPUs, real power cuts and disk caches: a mirror through a failover."""
import pytest
from braidlab.braid import BraidResource
from braidlab.churn import VERIFIED, Churn, Fio


@pytest.mark.vm
@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_a_failover_on_debians_kernel(lab, series):
    """P1, P2, P3, P8: mirror, while the peer comes and goes; kill the writer, promote the other, resync,
    compare, unload."""
    with lab.qemu(["a", "b"], series) as cluster:
        r = BraidResource(cluster, rng=lab.rng("braid"), load=lab.load_braid, size=16 << 20,
                          disk={"record": True})
        for node in r.nodes:
            lab.load_braid(node.host.machine)
        r.up()
        a, b = r.nodes
        r.begin(a)
        r.fio(a, bsrange="512-64k", offset="4m", size="2m", verify="crc32c", verify_fatal=1)
        job = r.writer_job(a)
        loads = [Fio(a, offset="4m", size="2m", io_size="1m", bsrange="512-1m", **VERIFIED),
                 Fio(a, offset="6m", size="1m", io_size="1m", bsrange="512-64k", numjobs=4)]

        def go_on():
            for load in loads:
                load.go_on()
            job.wait(5, timeout=60)

        churn = Churn(r, lab.rng("churn"), go_on)
        for what in (churn.leave, churn.blink, churn.leave_again):
            what(b)
        for load in loads:
            load.finish()
        job.stop()
        r.check_data(a)
        r.compare()
        job = r.writer_job(a)
        job.wait(100)
        a.host.power_cut()
        lost = a.disks[0].lose_unflushed(lab.rng("cache"))
        print("lost writes:", lost)
        r.fail_over(b, lost=[a])
        r.check_data(b, at_least=100)
        r.write(b, count=50)
        r.power_on(a)
        r.sync(a)
        r.check_data(b)
        r.compare()
        r.move(a)
        r.check_data(a)
        r.compare()
        r.down()
