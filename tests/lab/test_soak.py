# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes that go on for long while peers are cut off, come back, die and are resynced (P1, P3, P6, P9).

At the end all replicas are in sync, byte-equal, and have each acknowledged write.
"""
import time

import pytest
from braidlab.braid import mirror
from braidlab.churn import VERIFIED, Churn, Fio

MIB = 1 << 20


@pytest.mark.parametrize("debug, names, seconds", [
    pytest.param(False, "abc", 10, id="uml", marks=pytest.mark.uml),
    pytest.param(False, "ab", 120, id="uml-two", marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(True, "abc", 600, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])])
def test_writes_while_peers_come_and_go(lab, debug, names, seconds):
    """P1, P3, P6, P9."""
    with mirror(lab, names, debug=debug, size=16 * MIB, disk={"cache": True}) as r:
        a = r.nodes[0]
        job = r.writer_job(a, flush_every=20)
        loads = [Fio(a, offset="4m", size="4m", io_size="4m", bsrange="512-1m", **VERIFIED),
                 Fio(a, offset="9m", size="1m", io_size="2m", bsrange="512-64k", numjobs=2)]

        def go_on():
            for load in loads:
                load.go_on()
            job.wait(10, timeout=60)

        churn, end = Churn(r, lab.rng("churn"), go_on), time.monotonic() + seconds
        while time.monotonic() < end:
            churn.one()
        runs = [load.finish() for load in loads]
        job.stop()
        print(f"{churn.done}; fio ran {runs} times; {job.acknowledged()} writes of stamps")
        assert r.in_sync == r.nodes
        r.check_data(a, at_least=50)
        r.compare()
