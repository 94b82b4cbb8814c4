# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine with a database on a mirrored disk: hosts die under it, and it moves while it commits."""
import re
import subprocess

import pytest
from braidlab.machines import machine_on

# Two hosts that can run it and one that only votes.
HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"], "size": 40 << 20}


@pytest.mark.vm
def test_a_machine_outlives_its_host_and_moves_back(lab):
    """P1, P4: all that was reported is there, on another host and after a migration; it never ran twice."""
    with machine_on(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.client.start()
        r.client.wait_commits(20, 300)
        a.host.power_cut()
        r.take_over(b)
        r.start_machine(b)
        r.client.wait_commits(20, 300)
        r.client.stop()
        assert r.client.check() >= 40
        r.client.start()
        r.power_on(a)
        r.wait_in_sync(a, b)
        r.migrate(b, a)
        assert r.runs_on() == [a]
        r.client.wait_commits(20, 300)
        r.client.stop()
        r.client.check()
        r.client.must_have_run_once()
        boots = {life.boot for life in r.client.lives}
        assert len(boots) == 2, f"a migration is no new start: {r.client.lives}"
        r.kill_machine(a)
        r.client.judge(r.read_database(a))
        r.compare([a, b])


@pytest.mark.vm
@pytest.mark.long
def test_the_demo(top):
    """What the README promises to show: nothing is lost, in time, and nothing is left behind."""
    shown = subprocess.run([top / "scripts/demo"], text=True, check=False, timeout=900, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert shown.returncode == 0, shown.stdout
    table = dict(re.split(r"\s{2,}", line.strip()) for line in shown.stdout.splitlines() if line.startswith("  "))
    assert int(table["transactions reported"]) >= 150 and table["transactions lost"] == "0"


@pytest.mark.vm
@pytest.mark.long
def test_a_migration_fails(lab):
    """P1, P4: wherever it fails there is one machine, which runs where it did, or goes on at the target."""
    with machine_on(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.client.start()
        r.client.wait_commits(20, 300)

        # The target has no libvirt: it is not even asked for the disk.
        r.rig.kill_libvirtd(b.host)
        granted = r.grant(a, b)
        refused = r.send_machine(a, b).wait(120, check=False)
        assert refused.rc != 0 and "error" in refused.err
        r.adm(a, "end-migrate", r.name)
        assert granted.wait(60, check=False).rc != 0
        r.client.wait_commits(20, 300)
        r.rig.start_libvirtd(b.host)

        # Without a grant the target's QEMU cannot open the disk.
        refused = r.send_machine(a, b).wait(120, check=False)
        assert refused.rc != 0 and "Read-only" in refused.err, refused
        r.client.wait_commits(20, 300)
        assert r.runs_on() == [a]

        r.migrate(a, b)
        r.client.wait_commits(20, 300)
        judge(r, boots=1)


def in_the_middle(r, source, target):
    """A migration that is under way, and takes some time: a MiB a second."""
    granted = r.grant(source, target)
    sent = r.send_machine(source, target, "--bandwidth", "1")
    target.wait(lambda: r.state(target) == "paused", "the machine to arrive", 60)
    assert not sent.done() and not granted.done()
    return sent, granted


def judge(r, boots):
    """P1, P4: all is there that was reported, by a machine that ran on one host at a time."""
    r.client.stop()
    r.client.check()
    r.client.must_have_run_once()
    assert len({life.boot for life in r.client.lives}) == boots, r.client.lives


@pytest.mark.vm
@pytest.mark.long
@pytest.mark.parametrize("what", ["network", "source-libvirtd", "target-libvirtd", "target", "source"])
def test_something_dies_in_the_middle_of_a_migration(lab, what):
    """P1, P4: the machine stays where it is; when that host has died it is started from its disk."""
    with machine_on(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.client.start()
        r.client.wait_commits(20, 300)
        sent, granted = in_the_middle(r, a, b)
        if what == "network":
            r.cut(a, b)
        elif what == "source-libvirtd":
            r.rig.kill_libvirtd(a.host)
        elif what == "target-libvirtd":
            r.rig.kill_libvirtd(b.host)
        else:
            (a if what == "source" else b).host.power_cut()

        if what == "source":
            r.take_over(b)
            b.wait(lambda: r.state(b) == "", "what had arrived to go", 120)
            r.start_machine(b)
            r.client.wait_commits(20, 300)
            judge(r, boots=2)
            r.power_on(a)
            r.wait_in_sync(a, b)
            return
        r.client.wait_commits(50, 600)
        if what == "network":
            r.cluster.link("a", "b").heal()
        elif what.endswith("libvirtd"):
            host = (a if what.startswith("source") else b).host
            r.rig.start_libvirtd(host)
        else:
            r.power_on(b)
        assert sent.wait(300, check=False).rc != 0
        r.adm(a, "end-migrate", r.name, check=False)  # it may be over
        granted.wait(60, check=False)
        r.wait_in_sync(a, b)
        b.wait(lambda: r.state(b) == "", "what had arrived to go", 120)
        assert r.runs_on() == [a]
        r.client.wait_commits(20, 300)
        judge(r, boots=1)


@pytest.mark.vm
@pytest.mark.long
def test_a_machine_runs_on_two_hosts(lab):
    """P4: a machine whose host was cut off, and that nobody killed, commits nothing once another has begun."""
    with machine_on(lab, **HOSTS) as r:
        a, b, c = r.nodes
        r.client.start()
        r.client.wait_commits(20, 300)
        for other in (b, c):
            r.cut(a, other)
        r.take_over(b)
        begin = r.client.lives[-1].last
        r.start_machine(b)
        r.client.wait_commits(50, 300)
        assert any(life.host == "a" and life.last > begin for life in r.client.lives), "it ran on one host only"
        r.adm(a, "secondary", "--force", r.name)  # what it waits for fails, or its QEMU could not end
        r.kill_machine(a)
        for other in (b, c):
            r.cluster.link("a", other.host.name).heal()
        r.wait_in_sync(a, b)
        r.client.wait_commits(20, 300)
        r.client.stop()
        r.client.check()
        r.client.must_have_committed_once()


@pytest.mark.vm
@pytest.mark.long
def test_writes_to_two_disks_keep_their_order(lab):
    """P1: B was written only after A had completed; after a failover there is never a B without its A."""
    with machine_on(lab, **HOSTS | {"size": 8 << 20}, volumes=2, mode="order") as r:
        a, b, _ = r.nodes
        for one, other in ((a, b), (b, a)):
            seen = sum(r.client.written.values())
            one.wait(lambda seen=seen: sum(r.client.written.values()) > seen + 100, "writes", 30)
            one.host.power_cut()
            r.take_over(other)
            reported = dict(r.client.written)
            numbers = [r.numbers(other, volume) for volume in (0, 1)]
            assert len(reported) == 4, f"not all writers wrote: {reported}"
            for writer, number in reported.items():
                first, second = (numbers[volume][writer] for volume in (0, 1))
                assert first >= second, f"writer {writer}: B has {second}, A only {first}"
                assert second >= number, f"writer {writer}: {number} was reported, B has {second}"
                assert first - second <= 1, f"writer {writer}: A has {first}, B {second}: it waits for B"
            r.start_machine(other)
            r.power_on(one)
            r.wait_in_sync(a, b)
        r.client.must_have_run_once()
