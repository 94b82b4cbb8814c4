# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of what is around the node daemon: links in one direction, its disk, its files, the clock."""
import pytest
from braidlab.satellite import managed

HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"]}


@pytest.mark.uml
@pytest.mark.parametrize("ends", ["ab", "ac", pytest.param("bc", marks=pytest.mark.long)])
def test_a_link_that_is_cut_in_one_direction(lab, ends):
    """P1, P4: whichever direction of one link is lost, writes go on, of one host only."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        for towards in ends:
            job.wait(20)
            r.cluster.link(*ends).cut(towards=r[towards].host)
            job.wait(100, timeout=60)
            assert b.state()["service"] == "secondary"
            r.cluster.link(*ends).heal()
            r.wait_in_sync(a, b)
        job.stop()
        r.check_data(a)
        r.compare([a, b])


@pytest.mark.uml
@pytest.mark.parametrize("vote", [pytest.param("has no vote", marks=pytest.mark.long), "cannot vote"])
def test_a_host_whose_disk_is_away(lab, vote):
    """R9a: a daemon that starts without the disk that has its vote: none is given, and all else goes on. A
    disk that goes while its daemon runs takes the vote along; one that is just not there yet does not."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        r.write(a, count=50)
        if vote == "cannot vote":
            r.kill_daemon(b)
        r.adm(b, "detach", r.name)
        r.wait_dropped(a, b)
        if vote == "has no vote":
            a.wait(lambda: f"b  diskful   up    {vote}" in r.adm(a, "explain", r.name).out, "it to lose its vote")
            r.kill_daemon(b)
        r.start_daemon(b)
        b.wait(lambda: r.show(b)["ready"], "a member without a disk")
        r.adm(a, "secondary", r.name)
        r.take_over(b)
        r.write(b, count=50)
        assert f"b  diskful   up    {vote}" in r.adm(b, "explain", r.name).out
        # Of three votes two are given at most: without c's there is nothing to be decided.
        c.host.power_cut()
        r.adm(b, "secondary", r.name, check=False)
        refused = r.adm(a, "primary", r.name, check=False)
        assert refused.rc == 5, refused
        r.power_on(c)
        r.adm(b, "attach", r.name)
        r.take_over(a)
        r.wait_in_sync(a, b)
        a.wait(lambda: all(it["votes"] for it in r.show(a)["members"]), "all three votes")
        r.check_data(a)
        r.compare([a, b])


@pytest.mark.uml
def test_a_witness_without_room(lab):
    """P1, V1: a vote that cannot be stored is not given. With room again it is, and nothing was forgotten."""
    with managed(lab, **HOSTS) as r:
        a, b, c = r.nodes
        state = f"{r.folder(c)}/state"
        kept = c.host.run(f"cat {state}/{r.name}.vote | base64").out
        r.stop_daemon(c)
        c.host.run(f"mount -t tmpfs -o size=64k tmpfs {state} && base64 -d > {state}/{r.name}.vote", stdin=kept)
        r.start_daemon(c)
        r.wait_in_sync(a, b)
        c.host.run(f"dd if=/dev/zero of={state}/full bs=4k 2>/dev/null || ! echo more >> {state}/full")
        job = r.writer_job(a)
        job.wait(50)
        b.host.power_cut()
        job.must_hang()
        said = r.adm(a, "explain", r.name).out
        assert "I/O is held" in said and "c  witness   up    cannot vote" in said, said
        c.host.run(f"rm {state}/full")
        r.kill_daemon(c)
        r.start_daemon(c)
        job.wait(50, timeout=60)
        r.power_on(b)
        r.wait_in_sync(a, b)
        job.stop()
        r.check_data(a)
        r.compare([a, b])
        r.stop_daemon(c)
        kept = c.host.run(f"cat {state}/{r.name}.vote | base64").out
        c.host.run(f"umount {state} && base64 -d > {state}/{r.name}.vote", stdin=kept)
        r.start_daemon(c)


@pytest.mark.uml
def test_clocks_that_jump(lab):
    """R7: leases count on the boot clock. Hours to and fro change nothing, also not who may be Primary."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        job = r.writer_job(a)
        epoch = r.show(a)["epoch"]
        for hours in (11, -20, 9):
            a.host.run(f"date -s @$(( $(date +%s) + {hours} * 3600 ))")
            job.wait(100)
            a.wait_service("serving")
        job.stop()
        assert r.show(a)["epoch"] == epoch, "nobody was lost"
        r.adm(a, "secondary", r.name)
        r.take_over(b)
        r.check_data(b)
        r.compare([a, b])


@pytest.mark.uml
def test_from_nothing_in_eight_commands(lab):
    """The README's way: from three hosts with packages and a configuration to a device in use."""
    with managed(lab, **HOSTS, setup=False) as r:
        a, b, c = r.nodes
        for node in r.nodes:
            r.start_daemon(node)  # as the package does, before there is anything else
            r.prepare(node)
        typed = [r.adm(a, "cert", "init")]
        for node in (b, c):
            bundle = r.adm(a, "cert", "issue", node.host.name, "--output", "-").out
            typed.append(r.adm(node, "cert", "install", "-", stdin=bundle))
        for node in (a, b):
            typed.append(r.adm(node, "create-md", r.name))
            typed.append(r.adm(node, "up", r.name))
        typed.append(r.adm(a, "init", "--primary", r.name))
        assert len(typed) == 8
        r.write(a, count=50)
        r.wait_in_sync(a, b)
        a.host.power_cut()
        r.take_over(b)
        r.check_data(b, at_least=50)
        r.power_on(a)
        r.wait_in_sync(a, b)
        r.compare([a, b])


@pytest.mark.uml
def test_an_old_disk_that_is_put_back(lab):
    """P1, P3, R6a: while its successor is copied to. It has nothing of that, whatever the Primary's map says."""
    with managed(lab, **HOSTS) as r:
        a, b, _ = r.nodes
        r.write(a, count=50)
        disk = b.disks[0].path
        r.adm(b, "down", r.name)
        b.host.run(f"dd if={disk} of=/lab/old bs=1M status=none")
        r.write(a, count=200)
        a.wait(lambda: a.replicas(b)[0]["dirty"] > 0, "the map to know of it")
        r.sections["disk"] = "c-max-rate 1M;"
        for node in (a, b):
            r.write_configuration(node)
        r.adm(a, "adjust")
        b.host.run(f"dd if=/dev/zero of={disk} bs=1M oflag=direct status=none; sync", check=False)
        r.create_md(b)
        r.adm(b, "up", r.name)
        a.wait(lambda: 0 < a.replicas(b)[0]["sync-left"] < a.replicas(b)[0]["sync-total"] * 3 // 4,
               "a part to be copied")
        r.adm(b, "down", r.name)
        b.host.run(f"dd if=/lab/old of={disk} bs=1M oflag=direct status=none")
        r.sections["disk"] = ""
        for node in (a, b):
            r.write_configuration(node)
        r.adm(a, "adjust")
        r.adm(b, "up", r.name)
        r.wait_in_sync(a, b)
        r.check_data(a)
        r.compare([a, b])
