# SPDX-License-Identifier: GPL-2.0-or-later
"""An administrator's suspend-io and resume-io: new I/O waits and does not fail, what was acknowledged is on
all replicas (P3), and everything else goes on: resync, leases, membership, failover (P1)."""
import json
import time

import pytest
from braidlab import modules
from braidlab.braid import mirror
from braidlab.oracle import differing_blocks
from braidlab.satellite import managed

HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"]}
WORDS = "suspended by an administrator"
BLOCK = 4096


def suspend(r, node):
    r.adm(node, "suspend-io", r.name)
    assert not any(it["in-flight"] for it in node.dump("volume-get")), "a write is under way"
    state = node.state()
    assert state["suspended"] and state["service"] == "held", state


def waits(r, *undone):
    """Longer than a lease, and than it takes to give up a peer that is silent."""
    end = time.monotonic() + (2 * r.lease_ms + r.timeout_ms) / 1000
    while time.monotonic() < end:
        assert not any(it() for it in undone), "what was suspended has ended"
        time.sleep(0.05)


def causes(node):
    return [it.get("cause") for it in node.events() if it["kind"] == "service"]


@pytest.mark.uml  # not with lockdep: it objects to how UML itself tears down a process's aio context
@pytest.mark.parametrize("on_no_quorum", ["suspend-io", pytest.param("io-error", marks=pytest.mark.long)])
def test_io_waits_and_goes_on(lab, on_no_quorum):
    """Under load: nothing is under way once suspend-io has returned, the replicas are equal then, below
    Braid; no policy fails what waits, and all of it completes after resume-io."""
    with managed(lab, **HOSTS, options=f"on-no-quorum {on_no_quorum};") as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        load = a.host.start(["fio", "--name=load", f"--filename={a.device()}", "--ioengine=libaio",
                             "--direct=1", "--rw=randrw", "--iodepth=16", "--bsrange=4k-64k",
                             "--offset=4m", "--size=4m", "--time_based", "--runtime=600"])
        for _ in range(3):
            job.wait(20)
            a.wait(lambda: a.state()["in-flight"] > 4, "a load")
            suspend(r, a)
            before = job.acknowledged()
            assert differing_blocks([a.host, b.host], [a.disks[0].path, b.disks[0].path],
                                    r.data_bytes()) == []
            waits(r, job.process.done, load.done, lambda: job.acknowledged() > before + 1)
            assert a.state()["held"] > 4 and a.state()["reason"] == WORDS
            r.adm(a, "resume-io", r.name)
            assert "suspended" not in a.state()
        job.wait(20)
        job.stop()
        a.host.run("pkill -KILL -x fio")
        load.wait(30, check=False)
        r.compare([a, b])
        r.check_data(a)
        assert causes(a).count(WORDS) == 3


@pytest.mark.uml
def test_what_it_shows_and_refuses(lab):
    """Status, explain and events say so; elsewhere than on a Primary that serves it is refused."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        for verb in ("suspend-io", "resume-io"):
            refused = r.adm(b, verb, r.name, check=False)
            assert refused.rc == 1 and "this node is not the writer" in refused.err, refused
        assert b.refusal("resource-suspend").error == "EPERM"
        assert a.refusal("resource-suspend", epoch=1).error == "EINVAL"
        r.adm(a, "resume-io", r.name)
        suspend(r, a)
        suspend(r, a)
        shown = json.loads(r.adm(a, "status", "--json").out)[0]
        assert (shown["suspended"], shown["suspended-user"], shown["reason"]) == (True, True, WORDS), shown
        assert "suspended:user" in r.adm(a, "status", r.name).out
        a.wait(lambda: r.show(a)["held"]["cause"] == "suspended", "the daemon to know")
        assert "resume-io" in r.adm(a, "explain", r.name).out
        assert "suspended-user:yes" in r.adm(a, "events", "--now").out
        refused = r.adm(a, "migrate", r.name, "b", check=False)
        assert refused.rc == 5 and "an administrator suspended" in refused.err, refused
        fd = a.open()
        assert r.adm(a, "secondary", r.name, check=False).rc == 5
        assert r.adm(a, "down", r.name, check=False).rc != 0
        a.close(fd)
        r.adm(a, "resume-io", r.name)
        assert "suspended" not in r.adm(a, "status", r.name).out
        assert r.show(a)["held"]["cause"] == "none"
        suspend(r, a)
        r.adm(a, "secondary", r.name)
        assert "suspended" not in a.state()
        r.take_over(a)
        r.write(a, count=10)


@pytest.mark.uml
def test_a_migration_and_a_suspension_exclude_one_another(lab):
    """M1: reads of the target go through the source, which must not hold them."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        a.do("resource-suspend")
        words = {"epoch": r.config.epoch, "target": b.id, "grant": 1, "deadline_ms": 60000}
        assert a.refusal("resource-migrate", **words).error == "EAGAIN"
        a.do("resource-resume")
        a.do("resource-migrate", **words)
        assert a.refusal("resource-suspend").error == "EBUSY"
        a.do("migrate-end", grant=1)
        a.do("resource-suspend")
        a.do("resource-resume")


@pytest.mark.uml
def test_io_that_cannot_end_is_not_suspended(lab):
    """A write that waits for a peer is waited for, and when that takes too long I/O goes on."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        fd = a.open()
        r.cut(a, b)
        write = a.send_request(pwrite=fd, at=0, count=BLOCK, seed=1)
        a.wait_service("held")
        refused = a.host.run([a.host.machine.inside(modules.braidadm()), "suspend-io", "--timeout", "3",
                              r.name], check=False)
        assert refused.rc == 6 and "still under way: 1 (a member in sync is away" in refused.err, refused
        assert "suspended" not in a.state() and not write.done()
        r.heal(a, b)
        assert write() == {}
        a.close(fd)
        r.compare()


@pytest.mark.uml
def test_resync_and_membership_go_on(lab):
    """While suspended a peer is lost and dropped, comes back, is resynced and joins."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        b.host.power_cut()
        job.wait(200)
        suspend(r, a)
        before = job.acknowledged()
        r.power_on(b)
        r.wait_in_sync(a, b)
        assert job.acknowledged() <= before + 1 and a.state()["suspended"]
        r.compare([a, b])
        b.host.power_cut()
        r.wait_dropped(a, b)
        waits(r, job.process.done, lambda: job.acknowledged() > before + 1)
        assert a.state()["suspended"]
        r.adm(a, "resume-io", r.name)
        job.wait(50)
        r.power_on(b)
        r.wait_in_sync(a, b)
        job.stop()
        r.compare([a, b])
        r.check_data(a)


@pytest.mark.uml
def test_a_forced_demotion_ends_it(lab):
    """secondary --force gets the host out of suspended I/O, with errors; then it can be Primary again."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.write(a, count=20)
        fd = a.open()
        suspend(r, a)
        write = a.send_request(pwrite=fd, at=r.data_bytes() - BLOCK, count=BLOCK, seed=1)
        waits(r, write.done)
        r.adm(a, "secondary", "--force", r.name)
        assert write() == {"error": "EIO"}
        a.close(fd)
        a.wait_service("secondary")
        assert "suspended" not in a.state()
        r.take_over(a)
        a.wait_service("serving")
        r.write(a, count=20)
        r.check_data(a)
        r.compare([a, b])


@pytest.mark.uml
@pytest.mark.long
def test_a_suspended_primary_dies(lab):
    """P1: another node takes over, and is not suspended."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.write(a, count=50)
        suspend(r, a)
        a.host.power_cut()
        r.take_over(b)
        r.check_data(b, at_least=50)
        r.write(b, count=20)
        r.power_on(a)
        r.wait_in_sync(a, b)
        r.compare([a, b])


@pytest.mark.uml
def test_the_daemon_dies(lab):
    """P9: it is the kernel's state; a daemon that starts again knows of it and ends nothing."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        job.wait(20)
        suspend(r, a)
        before = job.acknowledged()
        r.kill_daemon(a)
        waits(r, job.process.done, lambda: job.acknowledged() > before + 1)
        r.start_daemon(a)
        r.wait_in_sync(a, b)
        a.wait(lambda: r.show(a)["held"]["cause"] == "suspended", "the daemon to know")
        waits(r, job.process.done, lambda: job.acknowledged() > before + 1)
        assert a.state()["suspended"]
        r.kill_daemon(a)
        r.adm(a, "resume-io", r.name)
        job.wait(50)
        r.start_daemon(a)
        job.stop()
        r.compare([a, b])
