# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults inside a node's module (kernel/fault.h): it notices, says why, and nothing acknowledged is lost.

TCP drops no message: what a dropped one shows is a peer that is stuck, or a module that forgot something.
Each test ends with a comparison of the replicas below Braid (P3).
"""
from contextlib import suppress

import pytest
from braidlab.braid import MESSAGES, Refused, mirror

LONG = [pytest.param(False, id="uml", marks=pytest.mark.uml),
        pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]
MIB = 1 << 20

HEADER, BODY, PAYLOAD = range(3)
MESSAGE, ANSWER, PAGES, LEAF = range(4)
ALWAYS = 1 << 31

# Twenty ticks: whoever just does not get the processor for a while is not stuck.
STUCK_MS = 2000
UNANSWERED = "a request was left unanswered"
DAMAGED = "protocol error"  # its beginning


def causes(node, kind="link"):
    return [event["cause"] for event in node.events() if event.get("kind") == kind and "cause" in event]


def reconnect(r, a, b, cause):
    """What the daemons do once both nodes have given the connection up, one of them for this cause."""
    for node, peer in ((a, b), (b, a)):
        node.wait_link(peer, "disconnected")
    a.wait(lambda: any(it.startswith(cause) for it in causes(a)[-1:] + causes(b)[-1:]), f"the cause: {cause}")
    r.connect(a, b)


def hit(node, point):
    node.wait(lambda: node.faults_left(point) == 0, f"the fault {point}")


def at_once(node, *argv):
    """Starts a command on a node's device whose I/O will take a while."""
    return node.host.start([argv[0], *(word.replace("DEVICE", node.device()) for word in argv[1:])])


@pytest.mark.parametrize("debug", LONG)
def test_a_dropped_request(lab, debug):
    """P1, P3: a request or its reply is lost; the peer counts as stuck, and gets it again."""
    with mirror(lab, "ab", debug=debug, request_ms=STUCK_MS, disk={"cache": True}) as r:
        a, b = r.nodes
        job = r.writer_job(a, flush_every=5)
        for node, message in ((a, "WRITE"), (b, "REPLY"), (a, "FLUSH")):
            job.wait(10)
            node.fault("drop", what=MESSAGES[message])
            reconnect(r, a, b, UNANSWERED)
            assert node.faults_left("drop") == 0
        job.wait(10)
        a.fault("drop", what=MESSAGES["ZEROES"])
        zeroes = at_once(a, "blkdiscard", "-z", "-o", str(4 * MIB), "-l", "65536", "DEVICE")
        reconnect(r, a, b, UNANSWERED)
        zeroes.wait()
        a.fault("drop", what=MESSAGES["READ"])
        a.fault("read")
        read = at_once(a, "dd", "if=DEVICE", "of=/dev/null", "bs=4k", "count=1", "iflag=direct")
        reconnect(r, a, b, UNANSWERED)
        read.wait()
        job.wait(10)
        a.fault("drop", count=3, what=MESSAGES["WRITE"])  # one, and again when it is sent once more
        for _ in range(3):
            reconnect(r, a, b, UNANSWERED)
        assert a.faults_left("drop") == 0
        job.wait(10)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.uml
def test_a_dropped_request_of_a_resync(lab):
    """P3, P6: what a writer without a disk asks its replicas while it resyncs one from the other."""
    with mirror(lab, "xab", diskless="x", request_ms=STUCK_MS) as r:
        x, a, b = r.nodes
        for message, peer in (("CSUM", b), ("MARKS", b), ("DIRTY", a), ("SETTLED", b)):
            r.drop(b)
            job = r.writer_job(x)
            job.wait(20)
            x.fault("drop", what=MESSAGES[message])
            r.start_sync(b, compare=True)
            reconnect(r, x, peer, UNANSWERED)
            assert x.faults_left("drop") == 0
            if peer is b:  # a target that was away; a source's answers were only late
                x.wait_sync(b, "none")
                r.start_sync(b)
            r.finish_sync(b)
            job.wait(10)
            job.stop()
            r.check_data(x)
            r.compare()


@pytest.mark.uml
def test_a_dropped_announcement(lab):
    """P3, P9: what a node was not told it is told again; a peer without pings or pongs is stuck."""
    with mirror(lab, "ab", request_ms=STUCK_MS) as r:
        a, b = r.nodes
        job = r.writer_job(a, flush_every=3)
        job.wait(10)
        for node, message in ((a, "PING"), (b, "PONG"), (a, "STABLE")):
            session = a.peer(b)["session"]
            node.fault("drop", what=MESSAGES[message])
            hit(node, "drop")
            job.wait(10)
            assert a.peer(b)["session"] == session, "one that is lost does not matter"

        b.fault("drop", what=MESSAGES["STATE"])
        r.configure(writer=a, in_sync=[a, b])
        hit(b, "drop")
        a.wait_service("serving")
        job.wait(10)
        assert a.peer(b)["session"] == session
        b.fault("drop", count=2, what=MESSAGES["VOLUME"])
        hit(b, "drop")

        for node, message in ((b, "PONG"), (a, "PING")):
            node.fault("drop", count=ALWAYS, what=MESSAGES[message])
            for it, peer in ((a, b), (b, a)):
                it.wait_link(peer, "disconnected")
            node.fault("drop", count=0)
            reconnect(r, a, b, "pings were left unanswered")
            job.wait(10)
        for node in (a, b):
            r.disconnect(a, b)
            node.fault("drop", what=MESSAGES["HELLO"])
            with suppress(Refused):  # the first stream may end before the second is handed over
                r.connect(a, b, wait=False)
            for it, peer in ((a, b), (b, a)):
                it.wait_link(peer, "disconnected")
            r.connect(a, b)
            job.wait(10)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_damaged_messages(lab, debug):
    """P3, P7: a bit that is wrong ends the connection, wherever it is, and is never stored or returned."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        job = r.writer_job(a)
        for node, part in ((b, PAYLOAD), (b, BODY), (b, HEADER), (a, HEADER)):
            job.wait(10)
            node.fault("corrupt", what=part)
            reconnect(r, a, b, DAMAGED)
            assert node.faults_left("corrupt") == 0
        job.wait(10)
        job.stop()
        fd = a.open()
        assert a.request(pwrite=fd, at=8 * MIB, count=4096, seed=7) == {}
        a.fault("read")
        a.fault("corrupt", what=PAYLOAD)
        answer = a.io.started().send(f'{{"pread": {fd}, "at": {8 * MIB}, "count": 4096}}')
        reconnect(r, a, b, DAMAGED)
        assert a.request(expect=7, count=4096)["digest"] in a.io.started().hear(answer)
        a.close(fd)
        r.check_data(a)
        r.compare()


@pytest.mark.parametrize("debug", LONG)
def test_memory_is_short(lab, debug):
    """P1, P3, P9: nothing that is asked for beyond the reserves may be needed for I/O to go on."""
    with mirror(lab, "ab", debug=debug) as r:
        a, b = r.nodes
        a.fault("alloc", count=ALWAYS, what=PAGES)
        job = r.writer_job(a)
        job.wait(30)
        session = a.peer(b)["session"]
        for node in (a, b):
            node.fault("alloc", count=12, what=MESSAGE, every=2)
            r.configure(writer=a, in_sync=[a, b])
            a.wait_service("serving")
            hit(node, "alloc")
            job.wait(10)
        assert a.peer(b)["session"] == session
        r.disconnect(a, b)
        a.fault("alloc", what=LEAF)  # then all of the region counts as dirty
        r.drop(b)
        job.wait(30)
        assert a.faults_left("alloc") == 0
        r.connect(a, b)
        b.fault("alloc", count=3, what=ANSWER)
        r.sync(b, compare=True)
        assert b.faults_left("alloc") == 0
        job.wait(10)
        job.stop()
        r.check_data(a)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_io_that_takes_long(lab):
    """P1, P3, P9: a disk that is slow for a while costs time and no connection."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        session = a.peer(b)["session"]
        for node in (a, b):
            node.fault("delay", count=30, what=30, every=3)
            r.fio(a, bs="4k", size="512k", offset="8m", iodepth=8, verify="crc32c", verify_fatal=1)
            assert node.faults_left("delay") == 0
        r.write(a, count=20)
        assert a.peer(b)["session"] == session
        r.check_data(a)
        r.compare()


@pytest.mark.uml
@pytest.mark.parametrize("which", ["writer", pytest.param("peer", marks=pytest.mark.long)])
@pytest.mark.parametrize("point", ["write", pytest.param("meta-write", marks=pytest.mark.long)])
def test_one_write_fails(lab, which, point):
    """P1, P3: of data or of metadata; the disk is given up, and I/O goes on through the other replica."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        bad, good = (a, b) if which == "writer" else (b, a)
        job = r.writer_job(a)
        job.wait(20)
        bad.fault(point)
        if point == "meta-write":  # a region that is new to the log
            at_once(a, "dd", "if=/dev/zero", "of=DEVICE", "bs=4k", "seek=2048", "count=1", "oflag=direct")
        bad.wait_disk("diskless")
        bad.wait(lambda: causes(bad, "disk")[-2:][0] in ("write error", "activity log"), "the cause to be told")
        r.configure(writer=a, in_sync=[good])
        job.wait(20)
        job.stop()
        r.attach(bad)
        if bad is a:
            r.move(b)
        r.sync(bad)
        r.check_data(r.writer)
        r.compare()


@pytest.mark.long
@pytest.mark.uml
def test_metadata_that_cannot_be_read(lab):
    """P3, P6: a disk whose metadata cannot be read is not attached; later it is, and resynced."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        r.write(a, count=30)
        r.configure(writer=a, in_sync=[a])
        b.do("volume-detach", volume=0)
        b.wait_disk("diskless")
        b.fault("meta-read", count=ALWAYS)
        before = len(causes(b, "disk"))
        b.do("volume-attach", volume=0, disk=b.disks[0].path)
        b.wait(lambda: len(causes(b, "disk")) >= before + 2, "the disk to be refused")
        b.wait_disk("diskless")
        assert "superblock" in causes(b, "disk")[-1], causes(b, "disk")
        b.fault("meta-read", count=0)
        r.write(a, count=30)
        r.attach(b)
        r.sync(b)
        r.check_data(a)
        r.compare()
