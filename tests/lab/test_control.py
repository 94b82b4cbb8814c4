# SPDX-License-Identifier: GPL-2.0-or-later
"""What the module refuses, and with which error and sentence; and that what it refused did nothing.

Every refusal names the thing that is wrong (P7); what is left afterwards goes cleanly (P8).
"""
import time

import pytest
from braidlab import modules
from braidlab.braid import BraidResource, Refused, mirror

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
LONG = [UML[0], pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]


def check(node, operation, error, **values):
    """A request is refused with an error and a sentence."""
    refused = node.refusal(operation, **values)
    assert refused.error == error, refused
    assert refused.message, f"{operation} {values}: {error} without a sentence"


@pytest.mark.parametrize("debug", LONG)
def test_refusals(lab, debug):
    """P7: unknown names, numbers in use, disks in use or without metadata, sockets that are none."""
    with mirror(lab, "ab", debug=debug, volumes=2) as r:
        a, b = r.nodes
        free = 1000
        for operation, values in [
                ("resource-set", {}), ("resource-del", {}), ("resource-get", {}),
                ("resource-serve", {"epoch": 1, "reference": 0}), ("resource-demote", {}),
                ("volume-new", {"volume": 5, "minor": free}),
                ("volume-del", {"volume": 0}), ("volume-attach", {"volume": 0, "disk": "/dev/null"}),
                ("volume-detach", {"volume": 0}), ("peer-new", {"node_id": 9}),
                ("peer-del", {"node_id": 1}), ("peer-disconnect", {"node_id": 1}),
                ("sync-start", {"node_id": 1}), ("vote-get", {"volume": 0})]:
            check(a, operation, "ENOENT", **{"name": "unknown", **values})
        for operation in ("volume-del", "volume-attach", "volume-detach", "vote-get"):
            extra = {"disk": a.disks[0].path} if operation == "volume-attach" else {}
            check(a, operation, "ENOENT", volume=77, **extra)
        for operation in ("peer-del", "peer-disconnect", "sync-start", "sync-join", "sync-stop",
                          "sync-pause"):
            check(a, operation, "ENOENT", node_id=9)
        check(a, "resource-new", "EEXIST", node_id=0, lease_ms=500, timeout_ms=2000, policy="suspend")
        check(a, "volume-new", "EEXIST", volume=0, minor=free)
        check(a, "volume-new", "EEXIST", volume=5, minor=a.minors[0])
        check(a, "volume-new", "EEXIST", volume=5, minor=b.minors[0])  # of another namespace, same kernel
        assert "duplicate" not in a.host.run(["dmesg"]).out
        check(a, "peer-new", "EEXIST", node_id=b.id)
        check(a, "peer-new", "EINVAL", node_id=a.id)
        check(a, "volume-attach", "EBUSY", volume=0, disk=a.disks[0].path)
        check(a, "volume-del", "EBUSY", volume=0)
        for name in ("", "a/b", ".", ".."):
            check(a, "resource-new", "EINVAL", name=name, node_id=0, lease_ms=500, timeout_ms=2000)
        for volume in range(2):
            r.write(a, volume=volume, count=20)
        r.check_data(a)


@pytest.mark.long
@pytest.mark.uml
def test_missing_attributes_are_named(lab):
    """P7: an operation without what it needs says what that is."""
    with mirror(lab, "ab") as r:
        a = r.nodes[0]
        for operation, values, missing in [
                ("resource-new", {"lease_ms": 500}, "node-id"), ("volume-new", {"volume": 3}, "minor"),
                ("volume-attach", {"volume": 0}, "disk"), ("peer-new", {}, "node-id"),
                ("resource-configure", {}, "config"), ("peer-connect", {"node_id": 1, "session": 5}, "fd")]:
            refused = a.refusal(operation, **values)
            assert (refused.error, refused.missing) == ("EINVAL", missing), refused
        for operation in ("resource-set", "resource-del", "volume-new", "peer-new", "sync-start"):
            with pytest.raises(Refused) as refused:
                a.tell({"do": operation, "with": {}})
            assert refused.value.error == "EINVAL"
            assert refused.value.missing in ("name", "volume", "minor", "node-id"), refused.value


@pytest.mark.long
@pytest.mark.uml
def test_disks_that_cannot_be_attached(lab):
    """P7: each says why, as an error or as the event that ends the attach, and leaves no claim."""
    with mirror(lab, "ab", begin=False) as r:
        a, b = r.nodes
        a.do("volume-detach", volume=0)
        a.wait_disk("diskless")

        def ends(disk, error=None, volume=0):
            """Attaching fails at once or later; in any case nothing is attached."""
            seen = len(a.events())
            try:
                a.do("volume-attach", volume=volume, disk=disk)
            except Refused as refused:
                assert refused.message, refused
                failed = refused.error
            else:
                def failures():
                    return [event for event in a.events()[seen:] if event.get("kind") == "disk"
                            and event.get("error")]

                (event, *_) = a.wait(failures, "an event that tells why")
                assert event.get("cause"), event
                failed = event["error"]
            a.wait_disk("diskless")
            assert error is None or failed in error, f"{disk}: {failed}"

        ends("/dev/does-not-exist", ("ENOENT", -2))
        ends("/etc/passwd", ("ENOTBLK", -15))
        ends(b.disks[0].path, ("EBUSY", -16))  # in use, by the other node
        blank = a.host.give_disk(8 << 20)
        ends(blank.path)
        small = a.host.give_disk(64 << 10)
        ends(small.path)
        noise = a.host.give_disk(8 << 20)
        a.host.run(f"dd if=/dev/urandom of={noise.path} bs=1M count=8 oflag=direct status=none")
        ends(noise.path)
        stranger = a.host.give_disk(8 << 20)
        for words in (["--node", "1", "--volume", "0"], ["--node", "0", "--volume", "1"]):
            a.host.run([a.host.machine.inside(modules.braidadm()), "create-md", "--device", stranger.path,
                        *words, "--force"], check=False)
            ends(stranger.path)
        for disk in (blank, small, noise, stranger):  # nothing still holds them
            a.host.run(["python3", "-c", f"import os; os.open('{disk.path}', os.O_RDWR | os.O_EXCL)"])
        r.attach(a)
        r.begin(a)
        r.write(a, count=20)
        r.compare()


@pytest.mark.uml
def test_sockets_that_are_refused(lab):
    """P7: only a connected TCP socket of this namespace is taken."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        def link():
            return [a.peer(b)[name] for name in ("link-state", "session", "streams")]

        before = link()
        for kind in ("udp", "unix", "unconnected", "listening", "file"):
            fd = a.tell({"socket": kind})[0]["fd"]
            refused = a.refusal("peer-connect", node_id=b.id, fd=fd, session=77)
            assert refused.error not in ("ENOENT", "EPERM") and refused.message, f"{kind}: {refused}"
        assert a.refusal("peer-connect", node_id=b.id, fd=999, session=77).error == "EBADF"
        assert link() == before, "nothing was taken"
        r.write(a, count=20)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_the_order_of_epochs(lab, debug):
    """P4: older epochs, and others with the same number, are refused; the same one is taken again."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        r.configure(writer=a, in_sync=[a, b])
        r.configure(writer=a, in_sync=[a, b])
        good = r.config.attributes(r.nodes)
        r.tell_config([a, b])
        a.wait_service("serving")
        for wrong in ({"id": good["id"] ^ 1}, {"epoch": good["epoch"] - 1},
                      {"epoch": good["epoch"] + 1, "lineage": "11" * 16}):
            for node in (a, b):
                refused = node.refusal("resource-configure", config={**good, **wrong})
                assert refused.message, refused
        assert a.refusal("resource-serve", epoch=good["epoch"] + 1, reference=0).message
        assert b.refusal("resource-serve", epoch=good["epoch"], reference=0).message
        later = {**good, "epoch": good["epoch"] + 1, "id": 5}
        for wrong in ({"writer": 9}, {"node": good["node"] + good["node"][:1]},
                      {"node": [{"node-id": 0, "in-sync": True, "instance": 1}, good["node"][1]]},
                      {"node": good["node"][1:]}):
            assert a.refusal("resource-configure", config={**later, **wrong}).message
        r.write(a, count=20)
        r.demote(a)
        assert a.refusal("resource-serve", epoch=good["epoch"], reference=0).message, "R2a: irrevocable"
        r.configure(writer=a, in_sync=[a, b])
        r.serve(a)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_configuration_outlives_the_power(lab):
    """P6: what was adopted is on the disk: a node that returns refuses what is older."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=20)
        for _ in range(3):
            r.configure(writer=a, in_sync=[a, b])
        old = {**r.config.attributes(r.nodes), "epoch": r.config.epoch - 1}
        b.host.power_cut()
        r.power_on(b)
        adopted = b.state()["config"]
        assert (adopted["epoch"], adopted["id"], adopted["lineage"]) == (
            r.config.epoch, r.config.id, r.config.lineage)
        assert adopted["writer"] == a.id
        assert b.refusal("resource-configure", config=old).message
        r.drop(b)
        r.sync(b)
        r.compare()


@pytest.mark.uml
def test_votes_are_kept(lab):
    """P6: the daemons' register is on each replica, byte for byte, also after a power cut."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        assert a.do("vote-get", volume=0).get("vote", "") == ""
        for size in (1, 4096, 16352, 100):
            # Spelt out the longest would be too long a line for the channel into the guest.
            byte = lab.rng(f"vote{size}").randbytes(1).hex()
            value = byte * size
            a.do("vote-set", volume=0, vote=f"{byte}*{size}")
            a.wait(lambda value=value: a.do("vote-get", volume=0)["vote"] == value, "the vote to be durable")
        assert [event for event in a.events() if event.get("kind") == "vote"]
        # Those that come while one is written: the last of them follows, and nothing older after it.
        a.disks[0].slow(200)
        before = len([event for event in a.events() if event.get("kind") == "vote"])
        for number in range(16):
            value = f"{number:02x}" * 100
            a.do("vote-set", volume=0, vote=value)
        a.wait(lambda: a.do("vote-get", volume=0)["vote"] == value, "the last vote to be durable")
        a.disks[0].heal()
        assert 1 <= len([event for event in a.events() if event.get("kind") == "vote"]) - before < 16
        b.disks[0].slow(5000)
        start = time.monotonic()
        assert b.do("vote-get", volume=0).get("vote", "") == ""  # no operation waits for a disk
        assert time.monotonic() - start < 4
        b.disks[0].heal()
        r.drop(b)
        a.host.power_cut()
        r.power_on(a)
        assert a.do("vote-get", volume=0)["vote"] == value
        r.configure(writer=a, in_sync=[a])
        r.serve(a)
        r.connect(a, b)
        r.sync(b)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_events_have_no_gaps(lab):
    """P7: each change is told once, by name, with numbers that count up."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.disconnect(a, b)
        r.drop(b)
        r.connect(a, b)
        r.sync(b)
        r.move(b)
        for node in (a, b):
            numbers = [event["sequence"] for event in node.events() if event.get("name") == r.name]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert numbers[-1] <= node.state()["sequence"]
        kinds = {event["kind"] for event in a.events()}
        assert kinds >= {"config", "service", "link", "sync", "disk"}
        services = [event["new"] for event in a.events() if event["kind"] == "service"]
        assert "serving" in services and services[-1] == "secondary", services
        r.compare()


@pytest.mark.parametrize("debug", UML)
def test_taking_down_in_any_state(lab, debug):
    """P8: each part can be removed by itself, in the order of a daemon that goes, and nothing is left."""
    with mirror(lab, "abc", debug=debug, volumes=2) as r:
        a, b, c = r.nodes
        r.write(a, count=20)
        r.demote(a)
        r.configure(writer=None, in_sync=r.nodes)
        r.compare()
        assert a.refusal("peer-del", node_id=b.id).error == "EBUSY"  # in sync: R1 counts on it
        r.configure(writer=None, in_sync=[a])
        for peer in (b, c):
            a.do("peer-disconnect", node_id=peer.id)
            a.do("peer-del", node_id=peer.id)
        assert a.dump("peer-get") == []
        for volume in range(2):
            assert a.refusal("volume-del", volume=volume).error == "EBUSY"
            a.do("volume-detach", volume=volume)
            a.wait_disk("diskless", volume)
            a.do("volume-del", volume=volume)
        a.wait(lambda: a.dump("volume-get") == [], "the volumes to go")
        assert a.host.run(["test", "-e", a.device()], check=False).rc
        b.do("resource-del", force=True)  # with everything still there
        b.wait(b.is_gone, "the resource to go")
        r.bring_up(b)  # and at once again
        r.connect(b, c)


@pytest.mark.uml
def test_a_namespace_that_ends_takes_its_resources_along(lab):
    """P8: nobody takes the resource down; it goes with the namespace, for it holds no socket there."""
    machine = lab.uml()
    lab.load_braid(machine)
    with lab.namespaces(machine, "ab") as cluster:
        r = BraidResource(cluster, rng=lab.rng("braid"))
        for node in r.nodes:
            r.create_md(node)
            r.bring_up(node)
        a, b = r.nodes
        a.host.at_power_cut.clear()
        a.host.power_cut()
        machine.wait_for(lambda: machine.run(["test", "-e", a.device()], check=False).rc, 20,
                         "the device to go")
        assert b.volume()["disk-state"] == "attached"
        r.down()
