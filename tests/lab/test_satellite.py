# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts as users run them: the node daemon decides, braidadm is all that is typed."""
import json

import pytest
from braidlab.satellite import managed

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
# Two hosts with replicas and one that only votes.
HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"]}


@pytest.mark.parametrize("debug", UML)
def test_a_primary_dies(lab, debug):
    """P1: another host takes over with all that was acknowledged, and the first comes back."""
    with managed(lab, **HOSTS, debug=debug) as r:
        a, b, _ = r.nodes
        r.write(a, count=100)
        a.host.power_cut()
        r.take_over(b)
        r.check_data(b, at_least=100)
        r.write(b, count=100)
        r.power_on(a)
        r.wait_in_sync(a, b)
        r.compare([a, b])


@pytest.mark.uml
def test_daemons_die_under_load(lab):
    """P9: no I/O waits for a daemon; those that start again take over what is there."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        for nodes in ([a], [b], [c], [a, b, c]):
            for node in nodes:
                r.kill_daemon(node)
            job.wait(100)
            a.wait_service("serving")
            for node in nodes:
                r.start_daemon(node)
            r.wait_in_sync(a, b)
            job.wait(20)
        epoch = r.show(a)["epoch"]
        job.stop()
        assert a.state()["config"]["epoch"] == epoch, "what was agreed on is known to all"
        r.compare([a, b])


@pytest.mark.uml
@pytest.mark.parametrize("lost", ["b", "c"])
def test_one_is_lost_under_load(lab, lost):
    """The Primary goes on without a replica or without the witness, and takes it back."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        r[lost].host.power_cut()
        job.wait(200, timeout=60)
        r.power_on(r[lost])
        r.wait_in_sync(a, b)
        job.wait(50)
        job.stop()
        r.compare([a, b])


@pytest.mark.uml
def test_without_a_majority_io_waits(lab):
    """R3: alone of three voters nothing is acknowledged; secondary --force gets the host out of it."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        for other in (b, c):  # both before the Primary can go on with one of them
            r.cluster.link("a", other.host.name).cut()
        job.must_hang()
        a.wait(lambda: r.show(a)["held"]["cause"] == "no-quorum", "the reason to be known")
        said = r.adm(a, "explain", r.name).out
        assert "I/O is held" in said and "b, c" in said, said
        b.host.power_cut()
        r.cluster.link("a", "c").heal()
        job.wait(50)
        r.wait_dropped(a, b)
        c.host.power_cut()
        r.adm(a, "secondary", "--force", r.name)
        job.process.wait(30, check=False)
        a.wait_service("secondary")
        r.power_on(c)
        r.power_on(b)
        r.cluster.link("a", "b").heal()
        r.take_over(a)
        r.check_data(a)
        r.wait_in_sync(a, b)
        r.compare([a, b])


@pytest.mark.uml
@pytest.mark.parametrize("load", [pytest.param(True, id="load"), pytest.param(False, id="idle", marks=pytest.mark.long)])
@pytest.mark.parametrize("order", ["abc", "bac", *(pytest.param(it, marks=pytest.mark.long)
                                                   for it in ("acb", "bca", "cab", "cba"))])
def test_all_power_is_lost(lab, order, load):
    """P2 with P1: whatever order they come back in, what was acknowledged is there."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(100)
        if not load:
            job.stop()
        for node in (c, a, b):
            node.host.power_cut()
        job.process.wait(30, check=False)
        for name in order:
            r.power_on(r[name])
        r.take_over(b)
        r.check_data(b, at_least=100)
        r.wait_in_sync(a, b)
        r.write(b, count=50)
        r.compare([a, b])


@pytest.mark.uml
def test_a_partition_has_one_writer(lab):
    """P4: cut off from both others the Primary holds its I/O; the majority goes on without it."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        for other in (b, c):
            r.cluster.link("a", other.host.name).cut()
        job.must_hang()
        r.take_over(b)
        r.write(b, count=50)
        before = job.acknowledged()
        for other in (b, c):
            r.cluster.link("a", other.host.name).heal()
        a.wait(lambda: a.state()["service"] == "secondary", "the deposed Primary to give up")
        assert job.acknowledged() == before
        job.process.wait(30, check=False)
        r.wait_in_sync(a, b)
        r.check_data(b)
        r.compare([a, b])


@pytest.mark.uml
@pytest.mark.parametrize("wrote", [pytest.param(True, id="forked"),
                                   pytest.param(False, id="equal", marks=pytest.mark.long)])
def test_a_forced_promotion(lab, wrote):
    """R8: it begins another lineage. If the other side wrote meanwhile one command ends the fork, and
    says whose data goes; if not the others follow by themselves."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.write(a, count=50)
        (first,) = json.loads(r.adm(a, "history", r.name, "--json").out)
        assert [it["name"] for it in first["in-sync"]] == ["a", "b"] and first["history"] == [], first
        r.cluster.link("a", "b").cut()
        r.cluster.link("b", "c").cut()
        if wrote:
            r.write(a, count=50)
        else:
            r.cluster.link("a", "c").cut()
        b.wait(lambda: r.show(b)["promotion"]["cause"] == "no-quorum", "the others to be seen gone")
        refused = r.adm(b, "primary", r.name, check=False)
        assert refused.rc == 5 and "too few voters answer (a, c missing)" in refused.err, refused
        r.adm(b, "primary", "--force", r.name)
        r.write(b, count=50)
        for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
            r.cluster.link(one, other).heal()
        if wrote:
            b.wait(lambda: [it for it in r.show(b)["forks"] if it["name"] == "a"], "the fork to be seen")
            said = r.adm(b, "explain", r.name).out
            assert f"'braidadm resolve {r.name} --discard a' here" in said, said
            said = r.adm(b, "get-gi", r.name).out
            assert f"  a follows lineage {first['lineage']}" in said, said
            refused = r.adm(b, "resolve", r.name, "--discard", "a", check=False)
            assert refused.rc == 5 and "a is Primary" in refused.err, refused
            r.adm(a, "secondary", r.name)
            r.adm(b, "resolve", r.name, "--discard", "a")
        r.wait_in_sync(a, b)
        for node in r.nodes:
            (found,) = json.loads(r.adm(node, "history", "--json").out)
            assert found["lineage"] != first["lineage"], found
            assert {it["lineage"] for it in found["history"]} == {first["lineage"]}, found
            assert found["history"][0]["discarded"] == wrote, found
        if not wrote:
            r.check_data(b, at_least=100)
        r.compare([a, b])


@pytest.mark.uml
def test_what_an_operator_types(lab):
    """braidadm against the module and the daemon: what it shows, changes, refuses."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        r.write(a, count=20)

        shown = json.loads(r.adm(a, "status", "--json").out)[0]
        assert (shown["name"], shown["role"], shown["suspended"]) == (r.name, "Primary", False), shown
        assert [it["disk-state"] for it in shown["devices"]] == ["UpToDate"]
        (peer,) = [it for it in shown["connections"] if it["name"] == "b"]
        assert (peer["connection-state"], peer["peer-role"]) == ("Connected", "Secondary")
        text = r.adm(a, "status", r.name).out
        assert "role:Primary" in text and "UpToDate" in text and "b" in text, text
        assert r.adm(a, "role", r.name).out == "Primary\n"
        assert r.adm(a, "role", f"{r.name}:b").out == "Secondary\n"
        assert r.adm(c, "status").rc == 0
        assert "exists resource name:r0" in r.adm(b, "events", "--now").out

        assert "nothing" in r.adm(a, "adjust", "--dry-run").out
        r.sections["net"] = r.sections["net"].replace(f"timeout {r.timeout_ms}ms", f"timeout {r.timeout_ms + 100}ms")
        r.write_configuration(a)
        assert "resource-set" in r.adm(a, "adjust", "--dry-run").out
        assert a.state()["timeout-ms"] == r.timeout_ms
        r.adm(a, "adjust")
        assert a.state()["timeout-ms"] == r.timeout_ms + 100
        r.wait_in_sync(a, b)

        refused = r.adm(b, "primary", "r1", check=False)
        assert refused.rc == 5 and "r1" in refused.err, refused

        r.adm(a, "disconnect", f"{r.name}:b")
        r.wait_dropped(a, b)
        r.kill_daemon(a)
        r.start_daemon(a)
        a.wait(lambda: r.show(a)["ready"], "the daemon to be back")
        assert "disconnected" in r.adm(a, "explain", r.name).out
        r.write(a, count=20)
        r.adm(a, "connect", f"{r.name}:b")
        r.adm(a, "wait-connect", r.name, "--timeout", "60")
        r.adm(a, "wait-sync", r.name, "--timeout", "60")
        r.wait_in_sync(a, b)

        r.adm(b, "detach", r.name)
        r.wait_dropped(a, b)
        r.adm(b, "attach", r.name)
        r.wait_in_sync(a, b)
        r.adm(a, "verify", r.name, "b")
        a.wait(lambda: "Verify" not in r.adm(a, "status", r.name).out, "the verify to end")
        r.check_data(a)
        r.compare([a, b])

        r.adm(b, "down", r.name)
        r.wait_dropped(a, b)
        a.wait(lambda: any(it["name"] == "b" and not it["up"] for it in r.show(a)["members"]), "b to be known away")
        r.adm(b, "up", r.name)
        r.wait_in_sync(a, b)
        r.adm(a, "down", r.name)
        r.take_over(b, timeout=2)
        r.adm(a, "up", r.name)
        r.wait_in_sync(a, b)


@pytest.mark.uml
def test_a_host_that_is_to_be_shut_down(lab):
    """braidadm drain: Primary of nothing, also after a restart of the daemon, until undrained."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        job = r.writer_job(a)
        job.wait(20)
        held = r.adm(a, "drain", check=False)
        assert held.rc == 5 and f"{r.name}: a device is open" in held.err and "still needed" in held.out, held
        job.wait(20)
        job.stop()
        assert "not needed for anything" in r.adm(a, "drain", "a").out
        a.wait_service("secondary")
        r.kill_daemon(a)
        r.start_daemon(a)
        a.wait(lambda: r.show(a)["ready"], "the daemon to be back")
        for force in ([], ["--force"]):
            refused = r.adm(a, "primary", *force, r.name, check=False)
            assert refused.rc == 5 and "'braidadm undrain'" in refused.err, refused
        assert "a is drained" in r.adm(a, "explain", r.name).out
        assert r.adm(a, "drain", "b", check=False).rc == 2
        r.take_over(b)
        r.write(b, count=20)
        c.host.power_cut()
        b.wait(lambda: not any(it["up"] for it in r.show(b)["members"] if it["name"] == "c"), "c to be away")
        needed = r.adm(a, "drain", check=False)
        assert needed.rc == 5 and "1 of 3 voters would be up" in needed.err, needed
        r.power_on(c)
        b.wait(lambda: all(it["votes"] for it in r.show(b)["members"]), "all to vote")
        r.adm(b, "secondary", r.name)
        r.adm(a, "undrain")
        r.take_over(a)
        r.check_data(a)
        r.compare([a, b])


@pytest.mark.uml
def test_two_hosts_without_a_witness(lab):
    """R9: any loss holds the I/O, and it goes on when the other returns."""
    with managed(lab, ["a", "b"], load=False) as r:  # and the module is loaded after the daemons
        a, b = r.nodes
        job = r.writer_job(a)
        job.wait(50)
        b.host.power_cut()
        job.must_hang()
        r.power_on(b)
        job.wait(50, timeout=60)
        r.wait_in_sync(a, b)
        job.stop()
        r.compare([a, b])


@pytest.mark.uml
def test_quorum_off_needs_a_fence(lab):
    """R9: two hosts go on alone only once the fence command has said that the other is stopped."""
    fence = "sh -c 'echo $DRBD_RESOURCE $DRBD_PEER_NODE_ID >> /lab/fenced; test -e /lab/stopped && exit 7; exit 1'"
    with managed(lab, ["a", "b"], options="quorum off;", handlers=f'fence-peer "{fence}";') as r:
        a, b = r.nodes
        share = a.host.machine.share
        job = r.writer_job(a)
        job.wait(50)
        b.host.power_cut()
        a.wait(lambda: (share / "fenced").exists(), "the fence command to be run")
        job.must_hang()
        assert (share / "fenced").read_text().split()[:2] == [r.name, "1"]
        (share / "stopped").touch()
        job.wait(100, timeout=60)
        (share / "stopped").unlink()
        r.power_on(b)
        r.wait_in_sync(a, b)
        job.stop()
        r.check_data(a)
        r.compare([a, b])
