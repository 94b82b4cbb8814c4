# SPDX-License-Identifier: GPL-2.0-or-later
"""What every lane's hosts can do, the same test for hosts in namespaces and for QEMU machines."""
import time
from contextlib import contextmanager

import pytest
from braidlab.errors import CommandFailed, LabError, WaitTimeout
from braidlab.oracle import History, differing_blocks, read_blocks, stamp

LANES = [pytest.param("local", marks=pytest.mark.host), pytest.param("uml", marks=pytest.mark.uml),
         pytest.param("uml-debug", marks=pytest.mark.uml_debug),
         pytest.param("qemu", marks=[pytest.mark.vm, pytest.mark.long])]
GUESTS = LANES[1:]


@contextmanager
def cluster_of(lab, lane, names, **options):
    if lane == "qemu":
        with lab.qemu(names, **options) as cluster:
            yield cluster
        return
    machine = lab.local() if lane == "local" else lab.uml(debug=lane == "uml-debug")
    with lab.namespaces(machine, names, **options) as cluster:
        yield cluster


def reaches(host, address):
    return host.run(["ping", "-c", "1", "-W", "1", address], check=False).rc == 0


def comes_to_reach(host, address):
    """A loaded machine may take longer than one ping waits."""
    return host.wait_for(lambda: reaches(host, address), 20, f"{address} to be reached")


@pytest.mark.parametrize("lane", LANES)
def test_links(lab, lane):
    with cluster_of(lab, lane, ["a", "b", "c"], networks=2 if lane != "qemu" else 1) as cluster:
        a, b, c = cluster.hosts
        assert a.run("hostname").out == "a\n"
        assert comes_to_reach(a, b.address) and comes_to_reach(b, c.address)
        assert comes_to_reach(c, a.addresses[-1])

        link = cluster.link("a", "b")
        link.cut()
        assert not reaches(a, b.address)
        assert comes_to_reach(a, c.address), "only this link was cut"
        assert "state UP" in a.run(["ip", "link", "show", link.interface(a)]).out, "cut is silent"
        link.heal()
        assert comes_to_reach(a, b.address)

        link.cut(towards=b)
        assert not reaches(a, b.address)
        before = int(a.run(f"cat /sys/class/net/{link.interface(a)}/statistics/rx_packets").out)
        assert not reaches(b, a.address)
        after = int(a.run(f"cat /sys/class/net/{link.interface(a)}/statistics/rx_packets").out)
        assert after > before, "the other direction is open"
        link.heal()

        if lane != "local":
            link.impair(delay_ms=100)
            begin = time.monotonic()
            assert comes_to_reach(a, b.address)
            assert time.monotonic() - begin > 0.2, "100 ms each way"
            link.heal()

        link.cut(carrier=True)
        assert not reaches(a, b.address)
        link.heal()
        assert comes_to_reach(a, b.address)


@pytest.mark.parametrize("lane", LANES)
def test_power(lab, lane):
    with cluster_of(lab, lane, ["a", "b"]) as cluster:
        a, b = cluster.hosts
        job = b.start(["sleep", "1000"])
        b.run("touch /run/there")
        b.power_cut()
        assert not reaches(a, b.address)
        with pytest.raises(LabError, match="b: the host is off"):
            b.run("true")
        b.power_on()
        assert comes_to_reach(a, b.address)
        assert b.run("ls /run/there", check=False).rc != 0, "a power cut empties memory"

        link = cluster.link("a", "b")
        b.power_cut()
        link.cut()
        b.power_on()
        assert not reaches(a, b.address), "a link stays cut over a power cycle"
        link.heal()
        assert comes_to_reach(a, b.address)
        if lane != "qemu":
            assert job.wait(check=False).rc != 0


@pytest.mark.parametrize("lane", GUESTS)
def test_disks(lab, lane):
    with cluster_of(lab, lane, ["a"]) as cluster:
        a = cluster["a"]
        size = 64 << 20
        disk = a.give_disk(size, block_size=lab.options.block_size)
        assert int(a.run(["blockdev", "--getsize64", disk.path]).out) == size
        assert int(a.run(["blockdev", "--getss", disk.path]).out) == lab.options.block_size
        a.run(stamp(a, "write", disk.path, "--blocks", 64, "--count", 100, "--log", "/lab/log"))

        def touch(what, block):
            where = "of={} if=/dev/zero oflag=direct" if what == "w" else "if={} of=/dev/null iflag=direct"
            skip = "seek" if what == "w" else "skip"
            return a.run(f"dd {where.format(disk.path)} bs=4k count=1 {skip}={block}", check=False).rc

        disk.fail(first=800, count=16)
        assert [touch("r", block) for block in (99, 100, 101, 102)] == [0, 1, 1, 0]
        assert [touch("w", block) for block in (99, 100, 101, 102)] == [0, 1, 1, 0]
        disk.fail()
        assert touch("r", 99) and touch("w", 99)
        disk.heal()
        assert not any(touch(what, block) for what in "rw" for block in (99, 100))

        disk.slow(delay_ms=50)
        begin = time.monotonic()
        a.run(f"dd if={disk.path} of=/dev/null bs=4k count=20 iflag=direct")
        assert time.monotonic() - begin > 0.8
        disk.heal()

        a.power_cut()
        a.power_on()
        log = a.machine.share / "log"
        assert len(History.read(log).acknowledged) == 100
        assert History.read(log).violations(read_blocks(a, disk.path, 64)) == []


@pytest.mark.uml
@pytest.mark.parametrize("kind", ["cache", "record"])
def test_a_dead_disk_answers_no_flush(lab, kind):
    """What a flush that hit it covered would else be taken for promised: dm's error target lets them pass."""
    with lab.namespaces(lab.uml(), ["a"]) as cluster:
        a = cluster["a"]
        disk = a.give_disk(16 << 20, **{kind: True})
        flush = ["/usr/bin/python3", "-c",
                 f"import os; os.fsync(os.open('{disk.path}', os.O_WRONLY))"]
        assert a.run(flush, check=False).rc == 0
        disk.fail()
        assert "Input/output error" in a.run(flush, check=False).err
        disk.heal()
        assert a.run(flush, check=False).rc == 0
        disk.power(False)
        assert "Input/output error" in a.run(flush, check=False).err


@pytest.mark.parametrize("lane", [LANES[1], LANES[3]])
def test_a_volatile_cache_loses_only_what_no_flush_covered(lab, lane):
    """Recording below the disk sees each write; the crash keeps P2's part of them and drops others."""
    with cluster_of(lab, lane, ["a"]) as cluster:
        a = cluster["a"]
        disk = a.give_disk(16 << 20, record=True)
        job = a.start(stamp(a, "write", disk.path, "--blocks", 512, "--log", "/lab/log",
                            "--flush-every", 50, "--flush-until", 300))
        log = a.machine.share / "log"
        a.wait_for(lambda: log.exists() and len(History.read(log).acknowledged) > 340, 30, "340 writes")
        assert not job.done()
        a.power_cut()
        lost = disk.lose_unflushed(lab.rng("cache"))
        a.power_on()
        history, found = History.read(log), read_blocks(a, disk.path, 512)
        assert history.flushed == 300
        assert history.violations(found, flushed_only=True) == []
        assert lost and history.violations(found), "the cut must also have cost something"


@pytest.mark.parametrize("lane", LANES[:2])
def test_a_program_that_is_talked_to(lab, lane):
    with cluster_of(lab, lane, ["a"]) as cluster:
        cat = cluster["a"].converse(["cat"])
        slow = cluster["a"].converse(["sh", "-c", "read x; sleep 1; echo $x; echo why >&2; exit 3"])
        answer = slow.send("late")
        assert [cat.say(f"{n}") for n in range(5)] == [f"{n}\n" for n in range(5)]
        assert not answer.done() and slow.hear(answer) == "late\n"
        with pytest.raises(LabError, match="ended: .*'rc': 3, 'err': 'why"):
            slow.say("more")
        cat.kill()
        with pytest.raises(LabError, match="a.*: cat: ended|cat: ended"):
            cat.say("there?")


@pytest.mark.uml
def test_comparing_replicas_finds_one_differing_block(lab):
    with lab.namespaces(lab.uml(), ["a", "b"]) as cluster:
        a, b = cluster.hosts
        paths = [host.give_disk(8 << 20).path for host in (a, b)]
        for host, path in zip((a, b), paths):
            host.run(stamp(host, "write", path, "--blocks", 64, "--count", 64, "--log", "/lab/log"))
        assert differing_blocks([a, b], paths) == []
        b.run(f"printf x | dd of={paths[1]} bs=1 seek={4096 * 77 + 5} conv=notrunc")
        assert differing_blocks([a, b], paths) == [77]


@pytest.mark.uml
def test_errors_say_who_and_what(lab):
    with lab.namespaces(lab.uml(), ["a"]) as cluster:
        a = cluster["a"]
        with pytest.raises(CommandFailed, match=r"(?s)exit code 3.*on the way"):
            a.run("echo on the way; exit 3")
        with pytest.raises(WaitTimeout, match="not within 0.2 s: a: pigs to fly"):
            a.wait_for(lambda: False, 0.2, "pigs to fly")
        assert a.run(["no-such-command"], check=False).rc == 127


@pytest.mark.vm
def test_restored_machines_draw_different_random_numbers(lab):
    """They start from one saved state; ids drawn from it would be the same on every host."""
    with lab.qemu(["a", "b"]) as cluster:
        drawn = {host.run("head -c 16 /dev/urandom | od -An -tx1").out for host in cluster.hosts}
        assert len(drawn) == 2
        clocks = [int(host.run("date +%s").out) for host in cluster.hosts]
        assert all(abs(clock - time.time()) < 30 for clock in clocks)
