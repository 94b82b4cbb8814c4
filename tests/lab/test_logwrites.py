# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading logs of disk writes and rebuilding disks from them."""
import random
import struct

import pytest
from braidlab import logwrites
from braidlab.errors import LabError
from braidlab.oracle import History

SECTOR = 512
DISK = 64 * SECTOR


def make_log(path, *entries, hole_before=()):
    """entries: (sector, payload or number of sectors, flags); hole_before: indexes of them."""
    out = struct.pack("<QQQI", logwrites.MAGIC, 1, 0, SECTOR).ljust(SECTOR, b"\0")
    for n, (sector, payload, flags) in enumerate(entries):
        if n in hole_before:
            out += bytes(3 * SECTOR)
        data = payload if isinstance(payload, bytes) else b""
        count = len(data) // SECTOR if data else payload
        out += struct.pack("<QQQQ", sector, count, flags, 0).ljust(SECTOR, b"\0") + data
    path.write_bytes(out)
    return logwrites.read(path)


def block(letter):
    return letter.encode() * SECTOR


def disk(tmp_path):
    base = tmp_path / "base"
    base.write_bytes(bytes(DISK))
    return base, tmp_path / "disk"


def test_replays_in_order(tmp_path):
    log = make_log(tmp_path / "log", (0, block("a"), 0), (1, block("b") * 2, 0), (0, block("c"), 0),
                   (2, 1, logwrites.DISCARD))
    base, _ = disk(tmp_path)
    logwrites.replay(log, 4, base)
    assert base.read_bytes()[:4 * SECTOR] == block("c") + block("b") + bytes(2 * SECTOR)


def test_flushed_writes_stay_and_later_ones_may_not(tmp_path):
    log = make_log(tmp_path / "log", (0, block("a"), 0), (0, 0, logwrites.FLUSH),
                   *((n, block("z"), 0) for n in range(1, 41)))
    base, target = disk(tmp_path)
    lost = logwrites.replay_crash(log, base, target, DISK, random.Random(1))
    data = target.read_bytes()
    there = [n for n in range(1, 41) if data[n * SECTOR:(n + 1) * SECTOR] == block("z")]
    assert data[:SECTOR] == block("a")
    assert len(there) == 40 - lost and 5 < lost < 35
    assert len(data) == DISK


def test_fua_needs_no_flush(tmp_path):
    log = make_log(tmp_path / "log", *((n, block("z"), logwrites.FUA) for n in range(40)))
    base, target = disk(tmp_path)
    assert logwrites.replay_crash(log, base, target, DISK, random.Random(1)) == 0
    assert target.read_bytes()[:40 * SECTOR] == block("z") * 40


def test_the_same_seed_loses_the_same(tmp_path):
    log = make_log(tmp_path / "log", *((n, block("z"), 0) for n in range(40)))
    base, target = disk(tmp_path)
    images = set()
    for _ in range(2):
        logwrites.replay_crash(log, base, target, DISK, random.Random(7))
        images.add(target.read_bytes())
    assert len(images) == 1


def test_a_hole_hides_nothing_behind_it(tmp_path):
    log = make_log(tmp_path / "log", (0, block("a"), 0), (1, block("b"), 0), (0, 0, logwrites.FLUSH),
                   hole_before=(1,))
    assert [entry.offset for entry in log.entries] == [0, SECTOR, 0]
    assert log.last_flush() == 3


def test_a_request_cut_short_tears_only_what_it_wrote(tmp_path):
    path = tmp_path / "log"
    make_log(path, (0, block("a") * 4, 0))
    path.write_bytes(path.read_bytes()[:-2 * SECTOR - 100])
    base, target = disk(tmp_path)
    base.write_bytes(block("o") * 64)
    kept = set()
    for seed in range(8):
        logwrites.replay_crash(logwrites.read(path), base, target, DISK, random.Random(seed))
        kept.add(target.read_bytes()[2 * SECTOR + SECTOR:4 * SECTOR])
    assert kept == {block("o")}


@pytest.mark.parametrize("content", [b"", bytes(600), b"\xff" * 1024])
def test_no_log_is_refused(tmp_path, content):
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(LabError):
        logwrites.read(tmp_path / "log")


def test_unknown_flags_are_refused(tmp_path):
    with pytest.raises(LabError, match="flags 0x40"):
        make_log(tmp_path / "log", (0, block("a"), 0x40))


def test_oracle(tmp_path):
    log = tmp_path / "history"
    log.write_text("i 1 0\na 1\ni 2 0\na 2\nf 2\ni 3 1\na 3\ni 4 0\ni 5")
    history = History.read(log)
    assert history.violations(["2", "3"]) == []
    assert history.violations(["4", "3"]) == []  # issued, not acknowledged: either way is right
    assert history.violations(["1", "3"]) == ["block 0: holds 1, lost write 2"]
    assert history.violations(["2", "0"]) == ["block 1: holds 0, lost write 3"]
    assert history.violations(["2", "0"], flushed_only=True) == []
    assert history.violations(["1", "0"], flushed_only=True) == ["block 0: holds 1, lost write 2"]
    assert history.violations(["torn", "9"]) == ["block 0: torn", "block 1: holds 9, never written there"]
