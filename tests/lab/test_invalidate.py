# SPDX-License-Identifier: GPL-2.0-or-later
"""braidadm invalidate: a replica that is known to be damaged is copied anew, all of it, and counts as in
sync only then (P3, P6); nothing that was acknowledged is lost by it (P1).
"""
import json

import pytest
from braidlab.satellite import managed

# Two hosts with replicas and one that only votes.
HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"]}
INCONSISTENT = 8
MIB = 1 << 20


def damage(node, volume=0):
    """Beneath Braid, where no test writes: no dirty map knows of it."""
    node.host.run(["dd", "if=/dev/urandom", f"of={node.disks[volume].path}", "bs=1M", "seek=5", "count=2",
                   "oflag=direct", "conv=notrunc", "status=none"])


def seat(r, node, of):
    return next(it for it in r.show(node)["members"] if it["name"] == of.host.name)


def invalidate(r, node, **options):
    return r.adm(node, "invalidate", r.name, **options)


def superblock(r, node, volume=0):
    return json.loads(r.adm(node, "dump-md", f"{r.name}/{volume}", "--json").out)["superblock"]


def check_copied(r, by, node):
    """The whole of each volume was copied to a node."""
    found = by.replicas(node)
    total = sum(r.data_bytes(volume) for volume in range(r.volumes))
    assert [it["sync-total"] for it in found] == [total] * r.volumes, "what is told is of all volumes"
    for it in found:
        assert superblock(r, node, it["volume"])["last"]["epoch"] > 0


def wait_votes(r, *nodes):
    for node in nodes:
        node.wait(lambda node=node: all(seat(r, node, it)["votes"] for it in nodes), "all to vote")


@pytest.mark.uml
@pytest.mark.parametrize("name", [pytest.param("b", id="secondary", marks=pytest.mark.long),
                                  pytest.param("a", id="primary")])
def test_a_damaged_replica(lab, name):
    """P1, P3: of a Secondary and of the Primary itself, while the Primary writes."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        node = r[name]
        job = r.writer_job(a)
        job.wait(50)
        damage(node)
        before = seat(r, a, node)["joined"]
        said = invalidate(r, node).out
        assert f"{r.name}: this replica is copied anew from {'a' if node is b else 'b'};" in said, said
        r.wait_in_sync(a, b)
        assert seat(r, a, node)["joined"] > before
        job.wait(50)
        job.stop()
        check_copied(r, a, node)
        r.check_data(a)
        r.compare([a, b])
        wait_votes(r, a, b, c)
        a.host.power_cut()
        r.take_over(b)
        r.check_data(b)
        r.power_on(a)
        r.wait_in_sync(a, b)


def verify(r, node, *options):
    """What it found, in MiB from and to."""
    r.adm(node, "verify", r.name, "b", *options)
    node.wait(lambda: "Verify" not in r.adm(node, "status", r.name).out, "the verify to end")
    found = r.adm(node, "verify", r.name, "b", "--list", "--json").out
    return [(it["start"] / MIB, it["stop"] / MIB) for it in json.loads(found)]


@pytest.mark.uml
def test_verify_says_where(lab):
    """P3: which bytes of a Secondary differ; a part is looked at alone; a new connection copies them."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.write(a, count=50)
        assert verify(r, a) == []
        damage(b)
        assert verify(r, a, "--stop", "5M") == []
        assert verify(r, a, "--start", "6M", "--stop", "8M") == [(6, 7)]
        assert verify(r, a) == [(5, 7)]
        assert r.adm(a, "verify", r.name, "--list").out == f"{r.name}/0 b {5 * MIB} {7 * MIB}\n"
        r.adm(a, "disconnect", f"{r.name}:b")
        r.wait_dropped(a, b)
        r.adm(a, "connect", f"{r.name}:b")
        r.wait_in_sync(a, b)
        assert verify(r, a) == []
        r.check_data(a)
        r.compare([a, b])


@pytest.mark.uml
def test_without_a_primary(lab):
    """P3: with metadata of its own and several volumes; who copies is found without anybody's help."""
    with managed(lab, ["a", "b"], volumes=2, meta="external") as r:  # and without a witness
        a, b = r.nodes
        for volume in range(2):
            r.write(a, volume=volume, count=50)
        r.adm(a, "secondary", r.name)
        damage(b, 1)
        before = seat(r, a, b)["joined"]
        refused = r.adm(b, "invalidate", f"{r.name}/1", check=False)
        assert refused.rc == 2 and f"'braidadm invalidate {r.name}'" in refused.err, refused
        invalidate(r, b)
        for node in (b, a):
            r.adm(node, "wait-sync", r.name, "--timeout", "60")  # as it is told to be done
        r.wait_in_sync(a, b)
        assert seat(r, a, b)["joined"] > before
        check_copied(r, a, b)
        assert not any(b.volume(volume)["replica-flags"] & INCONSISTENT for volume in range(2))
        r.wait_idle()
        r.compare([a, b])
        wait_votes(r, a, b)
        r.take_over(b)
        r.check_data(b)


@pytest.mark.long
@pytest.mark.uml
def test_it_counts_only_after_a_full_copy(lab):
    """P6: the register lists it as in sync all the time, and it is not promoted, nor after a power cut."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.write(a, count=50)
        r.adm(a, "secondary", r.name)
        r.adm(b, "disconnect", f"{r.name}:a")  # no data; the daemons go on
        b.wait_link(a, "disconnected")
        invalidate(r, b)
        assert seat(r, b, b)["in-sync"] and seat(r, b, a)["in-sync"], "there is nobody who drops it"
        assert superblock(r, b)["last"]["epoch"] == 0
        wait_votes(r, *r.nodes)  # it may have been asked while the disk was away
        a.host.power_cut()
        for _ in range(2):
            b.wait(lambda: r.show(b)["promotion"]["cause"] == "not-in-sync", "the reason to be known")
            refused = r.adm(b, "primary", r.name, check=False)
            assert refused.rc == 5 and "no replica in sync is reached (a missing)" in refused.err, refused
            assert "Inconsistent" in r.adm(b, "dstate", r.name).out
            b.host.power_cut()
            r.power_on(b)
        r.power_on(a)
        r.take_over(a)
        r.wait_in_sync(a, b)
        check_copied(r, a, b)
        r.check_data(a)
        r.compare([a, b])


@pytest.mark.uml
def test_the_last_replica_in_sync_stays(lab):
    """P1: refused, and nothing is changed, where no other replica is known to have it all."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        job.wait(20)

        def check_refused(node, rc=1, words="no other replica in sync is reached"):
            refused = invalidate(r, node, check=False)
            assert refused.rc == rc and words in refused.err, refused
            assert node.volume()["disk-state"] == "attached"
            assert superblock(r, node)["last"]["epoch"] > 0

        r.adm(b, "detach", r.name)
        r.wait_dropped(a, b)
        check_refused(a)
        r.adm(b, "attach", r.name)
        r.wait_in_sync(a, b)
        r.kill_daemon(b)
        a.wait(lambda: not seat(r, a, b)["up"], "its daemon to be missed")
        check_refused(a)
        check_refused(b, 4, "braid-satellite: not running")
        r.start_daemon(b)
        r.wait_in_sync(a, b)
        b.host.power_cut()
        r.wait_dropped(a, b)
        check_refused(a)
        job.wait(20)
        r.power_on(b)
        r.wait_in_sync(a, b)
        job.stop()
        invalidate(r, a)
        r.wait_in_sync(a, b)
        r.check_data(a)
        r.compare([a, b])
