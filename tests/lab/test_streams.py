# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams that are replaced while they carry traffic, and streams under kernel TLS."""
import pytest
from braidlab.braid import MESSAGES, Refused, mirror

UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
ALERT = 21


def streams(node, peer):
    return node.peer(peer).get("stream", [])


def told(node, what):
    """The ids of the streams of which an event told this."""
    return [event["stream-id"] for event in node.events()
            if event.get("kind") == "stream" and event["new"] == what]


def replace(r, a, b, stream):
    """Make before break, as a's daemon does it."""
    session, before = a.peer(b)["session"], len(streams(a, b))
    r.add_streams(a, b, session, 1)
    a.wait(lambda: len(streams(a, b)) == before + 1, "one stream more")
    a.wait(lambda: retired(a, b, stream), "the stream to be taken out of use")
    for node, peer in ((a, b), (b, a)):
        node.wait(lambda node=node, peer=peer: len(streams(node, peer)) == before, "one stream less")


def retired(a, b, stream):
    """Whether the stream may go; not before the other one's hello has come."""
    try:
        a.do("peer-retire", node_id=b.id, stream_id=stream)
    except Refused as refused:
        assert refused.error == "EBUSY"
        return False
    return True


@pytest.mark.parametrize("debug", UML)
def test_streams_are_replaced_under_load(lab, debug):
    """P1, P3: again and again, with no error, no connection lost and no write held."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        session, turns = a.peer(b)["session"], 4 if debug else 6
        links = [sum(event.get("kind") == "link" for event in node.events()) for node in (a, b)]
        fio = a.host.start(["fio", "--name=job", f"--filename={a.device()}", "--direct=1", "--ioengine=libaio",
                            "--rw=randwrite", "--bsrange=4k-64k", "--iodepth=16", "--offset=8m", "--size=4m",
                            "--time_based", "--runtime=600", "--thread=1"])
        job = r.writer_job(a)
        for turn in range(turns):
            job.wait(5)
            node, peer = ((a, b), (b, a))[turn % 2]
            # What is under way outlasts the first GOODBYE.
            b.fault("delay", count=8, what=int(r.lease_ms), every=4)
            replace(r, node, peer, min(it["stream-id"] for it in streams(node, peer)))
        job.wait(5)
        assert not fio.done() and not job.process.done(), "a request failed"
        fio.kill(2)
        fio.wait(30, check=False)
        job.stop()
        for node, peer, before in ((a, b, links[0]), (b, a, links[1])):
            assert node.peer(peer)["session"] == session and len(streams(node, peer)) == 2
            assert sum(event.get("kind") == "link" for event in node.events()) == before
            assert len(told(node, "retired")) == turns
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_what_may_be_retired(lab):
    """P7: a stream that is there, once, and not the last one; nothing is lost when its end is not answered."""
    with mirror(lab, "ab", request_ms=2000) as r:
        a, b = r.nodes
        first, second = (it["stream-id"] for it in streams(a, b))
        assert a.refusal("peer-retire", node_id=b.id, stream_id=77).error == "ENOENT"
        a.do("peer-retire", node_id=b.id, stream_id=first)
        a.wait(lambda: len(streams(a, b)) == 1, "one stream less")
        assert a.refusal("peer-retire", node_id=b.id, stream_id=first).error == "ENOENT"
        assert a.refusal("peer-retire", node_id=b.id, stream_id=second).error == "EBUSY"
        r.write(a, count=20)
        r.add_streams(a, b, a.peer(b)["session"], 1)
        b.wait(lambda: len(streams(b, a)) == 2, "two streams")
        b.fault("drop", what=MESSAGES["GOODBYE"])
        a.wait(lambda: retired(a, b, second), "the stream to be taken out of use")
        for node, peer in ((a, b), (b, a)):
            node.wait_link(peer, "disconnected")
        r.connect(a, b)
        r.write(a, count=20)
        r.check_data(a)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("tls", [
    pytest.param(False, id="plain"), pytest.param(True, id="tls", marks=pytest.mark.long)])
def test_a_key_that_was_used_enough(lab, tls):
    """One event for each stream whose limit is passed, and the stream goes on."""
    with mirror(lab, "ab", tls=tls) as r:
        a, b = r.nodes
        assert all(bool(it.get("tls")) == tls for it in streams(a, b))
        r.disconnect(a, b)
        r.connect(a, b, key_limit=200_000)
        (first, _) = sorted(it["stream-id"] for it in streams(a, b))
        assert told(a, "key-use") == []
        r.write(a, count=100, flush_every=0)
        a.wait(lambda: told(a, "key-use") == [first], "the event")
        assert next(it for it in streams(a, b) if it["stream-id"] == first)["sent"] >= 200_000
        r.write(a, count=200, flush_every=5)
        replace(r, a, b, first)
        r.write(a, count=20)
        a.wait_link(b, "connected")
        assert told(a, "key-use").count(first) == 1
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_mirror_under_tls(lab):
    """P3, P7: all goes through TLS records; one that is not data ends the connection and says so."""
    with mirror(lab, "ab", tls=True, checksums=False) as r:
        a, b = r.nodes
        r.fio(a, bsrange="512-256k", size="4m", offset="8m", verify="crc32c", verify_fatal=1, iodepth=8)
        r.write(a, count=50)
        r.compare()
        kept = r.add_streams(a, b, a.peer(b)["session"], 1, keep=True)
        b.wait(lambda: len(streams(b, a)) == 3, "a third stream")
        job = r.writer_job(a)
        job.wait(10)
        a.tell({"record": kept[0], "type": ALERT})
        for node, peer in ((a, b), (b, a)):
            node.wait_link(peer, "disconnected")
        assert [event for event in b.events() if event.get("kind") == "link"][-1]["cause"] == (
            "a TLS record that is not data")
        a.control.kill()
        r.connect(a, b)
        job.wait(10)
        job.stop()
        r.check_data(a)
        r.compare()
