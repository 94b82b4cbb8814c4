# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab, calibrated: the same harness and oracle that judge Braid pass a replicator that works and
fail one that does not. DRBD 8.4 plays both: synchronous it must lose nothing when its primary's power
goes; asynchronous over a slow link it must be caught losing acknowledged writes.
"""
from contextlib import contextmanager

import pytest
from braidlab.drbd import Drbd
from braidlab.oracle import History, differing_blocks, read_blocks, stamp

BLOCKS = 1024


@contextmanager
def mirrored(lab, protocol):
    """Two hosts whose disks DRBD has synchronised; the first one is primary."""
    with lab.qemu(["a", "b"]) as cluster:
        a, b = cluster.hosts
        drbd = Drbd([a, b], [host.give_disk(32 << 20) for host in (a, b)], protocol)
        for host in (a, b):
            drbd.create(host)
            drbd.up(host)
        drbd.wait_connection(a, "Connected")
        drbd.primary(a, "--force")  # its data becomes the good one: a full sync to the other
        drbd.wait_up_to_date(a)
        yield cluster, drbd


def write_until_power_cut(host, device, seed, count):
    """Starts a writer, cuts its host's power after count acknowledgements; returns what it was told."""
    log = host.machine.share / "acknowledged"
    job = host.start(stamp(host, "write", device, "--blocks", BLOCKS, "--seed", seed, "--log",
                           "/lab/acknowledged"))
    host.wait_for(lambda: log.exists() and log.read_text().count("\na ") >= count, 60,
                  f"{count} acknowledged writes")
    assert not job.done()
    host.power_cut()
    return History.read(log)


@pytest.mark.vm
@pytest.mark.long
def test_synchronous_drbd_loses_nothing(lab):
    """P1 and P3, as a working replicator keeps them."""
    with mirrored(lab, "C") as (_, drbd):
        a, b = drbd.hosts
        history = write_until_power_cut(a, drbd.device, lab.rng("writer").randrange(1 << 30), 300)
        drbd.wait_connection(b, "WFConnection")
        drbd.primary(b)
        assert len(history.acknowledged) >= 300
        assert history.violations(read_blocks(b, drbd.device, BLOCKS)) == []

        b.run(stamp(b, "write", drbd.device, "--blocks", BLOCKS, "--first", 1 << 20, "--count", 100,
                    "--log", "/lab/acknowledged"))
        a.power_on()
        drbd.up(a)
        drbd.wait_connection(b, "Connected")
        drbd.wait_up_to_date(b)
        for host in (a, b):
            drbd.down(host)
        # The last MiB holds each side's own metadata.
        differing = differing_blocks([a, b], [disk.path for disk in drbd.disks])
        assert [block for block in differing if block < (31 << 20) // 4096] == []


@pytest.mark.vm
def test_asynchronous_drbd_is_caught(lab):
    """Protocol A acknowledges before the peer has the data: behind a slow link the oracle must say so."""
    with mirrored(lab, "A") as (cluster, drbd):
        a, b = drbd.hosts
        cluster.link("a", "b").impair(delay_ms=500)
        history = write_until_power_cut(a, drbd.device, 1, 100)
        drbd.wait_connection(b, "WFConnection")
        drbd.primary(b)
        lost = history.violations(read_blocks(b, drbd.device, BLOCKS))
        assert any("lost write" in line for line in lost)
        drbd.down(b)
