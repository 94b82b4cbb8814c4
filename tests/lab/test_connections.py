# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets that the connection library makes (userland/satellite), in the kernel's hands."""
import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from braidlab import modules
from braidlab.braid import BraidResource, Refused

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
PORT = 7791
# Prints what passes an interface, in both directions, to a file until it is killed.
CAPTURE = """
import socket, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packets.bind((sys.argv[1], 0))
packets.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
with open(sys.argv[2], "wb", buffering=0) as file:
    print("ready", flush=True)
    while True:
        file.write(packets.recv(1 << 17))
"""


class Agent:
    """link_agent on a host, with the certificate that was installed there."""

    def __init__(self, node):
        self.host = node.host
        self.start()

    def start(self):
        self.dialogue = self.host.converse([self.host.machine.inside(modules.link_agent()),
                                            "/etc/braid/pki/node.pem"])

    def ask(self, **command):
        return json.loads(self.dialogue.say(json.dumps(command)))

    def kill(self):
        self.dialogue.kill()


def certify(first, *others):
    """A cluster, as an administrator makes it."""
    braidadm = first.host.machine.inside(modules.braidadm())
    first.host.run([braidadm, "cert", "init"])
    for node in others:
        file = f"/lab/{node.host.name}.pem"
        first.host.run([braidadm, "cert", "issue", node.host.name, "--output", file])
        node.host.run([braidadm, "cert", "install", file])


def settings(r, node, peer, transport, **options):
    """What a node is told of its only peer, which it reaches over each of the networks."""
    paths = list(zip(node.host.addresses, peer.host.addresses, strict=True))
    return {"name": node.host.name, "port": PORT, "listen": list(node.host.addresses),
            "peers": [{"name": peer.host.name, "paths": paths}],
            "links": [{"resource": r.name, "peer": peer.host.name, "node": peer.id, "streams": r.streams,
                       "transport": transport, **options}]}


@contextmanager
def connected(lab, transport, debug=False, networks=1, **options):
    """A mirror on two hosts, connected by two agents; the first one writes."""
    machine = lab.uml(debug=debug)
    lab.load_braid(machine)
    with lab.namespaces(machine, ["a", "b"], networks=networks) as cluster:
        r = BraidResource(cluster, rng=lab.rng("braid"), load=lab.load_braid)
        for node in r.nodes:
            r.create_md(node)
            r.bring_up(node)
        a, b = r.nodes
        certify(a, b)
        agents = [Agent(node) for node in r.nodes]
        for agent, node, peer in zip(agents, (a, b), (b, a)):
            assert agent.ask(apply=settings(r, node, peer, transport, **options)) == {}
        try:
            wait_connected(r, agents)
            r.begin(a)
            yield r, agents
        except Exception as error:
            if not machine.failed:
                error.add_note(json.dumps([agent.ask(state=True) for agent in agents], indent=1))
                error.add_note(r.describe())
            raise
        for agent in agents:
            agent.kill()
        r.down()


def wait_connected(r, agents, session=None):
    """Until both kernels have all streams of one session, another one than that given."""
    a, b = r.nodes

    def there():
        ends = [a.peer(b), b.peer(a)]
        return (all(end["link-state"] == "connected" and end.get("streams") == r.streams for end in ends)
                and ends[0]["session"] == ends[1]["session"] != session)
    a.wait(there, "the streams")
    for agent in agents:
        a.wait(lambda agent=agent: all(it["up"] for it in agent.ask(state=True)["links"].values()),
               "the agent to know")


@pytest.mark.parametrize("debug", UML)
@pytest.mark.parametrize("transport", ["ktls", "plain"])
def test_a_mirror_over_the_librarys_sockets(lab, debug, transport):
    """P3, P7: what is written is on both nodes, and on the wire in the clear only where that was chosen."""
    marker = b"what nobody is to read" * 20
    with connected(lab, transport, debug) as (r, _):
        a, b = r.nodes
        assert all(bool(stream.get("tls")) == (transport == "ktls")
                   for node, peer in ((a, b), (b, a)) for stream in node.peer(peer)["stream"])
        interface = r.cluster.link("a", "b").interface(b.host)
        capture = b.host.start(["/usr/bin/python3", "-c", CAPTURE, interface, "/lab/wire"])
        wire = Path(b.host.machine.share) / "wire"
        a.wait(wire.exists, "the capture")
        (Path(a.host.machine.share) / "block").write_bytes(marker.ljust(4096, b"\0"))
        a.host.run(["dd", "if=/lab/block", f"of={a.device()}", "bs=4096", "count=1", "seek=2048",
                    "oflag=direct", "conv=notrunc,fsync"])
        r.write(a, count=50)
        r.check_data(a)
        r.compare()
        assert wire.stat().st_size > 50 * 512, "the writes went over this wire"
        assert (marker in wire.read_bytes()) == (transport == "plain")
        capture.kill(9)


@pytest.mark.uml
def test_daemons_and_networks_that_go_and_come(lab):
    """P9: a killed daemon stalls nothing, and takes up what it finds; a broken connection is made anew,
    over the other network where one is gone."""
    with connected(lab, "ktls", networks=2) as (r, agents):
        a, b = r.nodes
        session = a.peer(b)["session"]
        job = r.writer_job(a)
        for agent in agents:
            agent.kill()
        job.wait(10)
        for agent, node, peer in zip(agents, (a, b), (b, a)):
            agent.start()
            assert agent.ask(apply=settings(r, node, peer, "ktls")) == {}
        wait_connected(r, agents)
        assert a.peer(b)["session"] == session
        a.wait(lambda: agents[0].ask(state=True)["peers"]["b"], "the control connection")
        assert agents[0].ask(send=["b", "hello"]) == {"sent": True}
        a.wait(lambda: agents[1].ask(state=True)["messages"] == ["a: hello"], "the message")

        # The kernel's streams go over one of the two: whichever came up first.
        for network in (0, 1):
            link, other = r.cluster.link("a", "b", network), 1 - network
            link.cut()
            a.wait(lambda other=other:
                   agents[0].ask(state=True)["peers"]["b"] == f"{b.host.addresses[other]}:{PORT}",
                   "the control connection over the other network")
            wait_connected(r, agents)
            job.wait(10)
            link.heal()
        wait_connected(r, agents, session)
        job.wait(10)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_used_key_is_replaced_under_load(lab):
    """P3: the kernel says that a stream's key was used enough, and gets another stream in its place."""
    with connected(lab, "ktls", **{"key-limit": 300_000}) as (r, agents):
        a, b = r.nodes
        session = a.peer(b)["session"]
        job = r.writer_job(a)
        told, gone = set(), set()

        def turned():
            for node, peer, agent in ((a, b, agents[0]), (b, a, agents[1])):
                for event in node.events():
                    if event.get("kind") != "stream":
                        continue
                    key = (node.id, event["stream-id"])
                    if event["new"] == "retired":
                        gone.add(key)
                    elif key not in told:
                        told.add(key)
                        agent.ask(**{"key-used": [r.name, peer.id, event["stream-id"]]})
            return len(gone) >= 6
        a.wait(turned, "streams to be replaced", timeout=40)
        job.wait(5)
        job.stop()
        assert a.peer(b)["session"] == session, "the connection was never down"
        assert len([event for event in a.events() if event.get("kind") == "link"]) == 2
        a.wait(lambda: len(a.peer(b)["stream"]) <= r.streams + 1, "old streams to go")
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_the_kernel_takes_only_what_it_should(lab):
    """P7: an agent whose kernel has no such peer says so, and its peer's kernel learns of it."""
    with connected(lab, "ktls") as (r, agents):
        a, b = r.nodes
        agents[1].ask(apply={**settings(r, b, a, "ktls"), "links": []})
        a.do("peer-disconnect", node_id=b.id)
        a.wait(lambda: "not up with a" in agents[0].ask(state=True)["links"]["r0/1"]["why"],
               "the refusal")
        assert agents[1].ask(apply=settings(r, b, a, "ktls")) == {}
        wait_connected(r, agents)
        with pytest.raises(Refused):
            a.do("peer-retire", node_id=b.id, stream_id=99)
        r.write(a, count=10)
        r.compare()
