# SPDX-License-Identifier: GPL-2.0-or-later
"""The format of the metadata is what kernel/core/ondisk.h says (design: a stranger can write a decoder):
the decoder that was written from its prose reads what the module's code writes."""
import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from braidlab import metadata
from braidlab.kernels import TOP
from braidlab.metadata import FLAGS, Invalid, Metadata


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """The program that writes metadata with the module's code."""
    folder = tmp_path_factory.mktemp("sample")
    core = TOP / "kernel/core"
    subprocess.run(["gcc", "-std=c11", "-O1", "-c", core / "ondisk.c", core / "crc32c.c"], cwd=folder,
                   check=True)
    subprocess.run(["g++", "-std=c++20", "-O1", f"-I{TOP / 'kernel'}", "-o", "sample", "ondisk.o", "crc32c.o",
                    TOP / "tests/unit/core/ondisk_sample.cpp"], cwd=folder, check=True)
    return folder / "sample"


def write(sample: Path, folder: Path, disk_size: int, external: bool, seed: int) -> tuple[Metadata, dict]:
    disk, meta = folder / "disk", folder / "meta"
    for path, size in (disk, disk_size), (meta, disk_size // 8 + (1 << 20)):
        path.write_bytes(b"")
        os.truncate(path, size)
    out = subprocess.run([sample, disk, meta if external else "-", str(seed)], text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    return Metadata(disk, meta if external else None), json.loads(out)


def blocks(ranges: list[tuple[int, int]]) -> list[int]:
    return [block for start, size in ranges for block in range(start // 4096, (start + size) // 4096)]


SIZES = [1 << 20, (40 << 20) + 12288 + 512, 300 << 20, 9 << 30]


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_both_read_alike(sample, tmp_path, size, external):
    compared = 0
    for seed in range(4 if size < 1 << 30 else 1):
        it, truth = write(sample, tmp_path, size, external, 100 * seed + size)
        sb = it.superblock
        for name in ("sequence", "volume", "node", "block_size", "data_bytes", "max_slots", "voter",
                     "instance", "volume_bytes"):
            assert getattr(sb, name) == truth[name], name
        assert sb.uuid.hex() == truth["uuid"]
        assert sb.flags == {name for bit, name in FLAGS.items() if truth["flags"] & bit}
        assert list(asdict(sb.last).values()) == truth["last"]
        assert {str(number): [node, list(asdict(base).values())]
                for number, (node, base) in sb.slots.items()} == truth["slots"]
        lineage, epoch, number, writer, *masks = truth["config"]
        config = sb.config
        assert (config.lineage.hex(), config.epoch, config.id) == (lineage, epoch, number)
        assert config.writer == (None if writer == 0xFF else writer)
        assert [sum(1 << node for node in nodes) for nodes in
                (config.in_sync, config.diskful, config.members)] == masks
        assert [config.instance.get(node, 0) for node in range(32)] == truth["instances"][1:]
        assert it.vote.hex() == truth["vote"]
        assert sorted(it.active) == truth["active"]
        for node, dirty in truth["dirty"].items():
            assert blocks(it.dirty(int(node))) == dirty[1:]
            compared += len(dirty) - 1
    assert compared > 0 or size < 1 << 28


def test_bytes_that_are_not_valid_count_as_dirty(sample, tmp_path):
    for seed in range(10):
        it, truth = write(sample, tmp_path, 40 << 20, False, seed)
        if truth["slots"]:
            break
    sb = it.superblock
    number, (node, _) = next(iter(sb.slots.items()))
    with open(it.path, "r+b") as file:
        file.seek(sb.slots_offset + number * sb.slot_bytes + 9)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    assert it.dirty(node) == [(0, sb.data_bytes)]


def test_the_copy_that_holds_is_taken_and_none_is_an_error(sample, tmp_path):
    it, _ = write(sample, tmp_path, 1 << 20, True, 2)
    before = it.superblocks
    newer = 0 if it.superblock == before[0] else 1
    for copy in (newer, 1 - newer):
        with open(it.path, "r+b") as file:
            file.seek(it.superblock_offset(copy) + 700)
            file.write(b"\1")
        if copy == newer and isinstance(before[1 - newer], metadata.Superblock):
            assert it.superblock == before[1 - newer]
    with pytest.raises(Invalid, match="no valid copy: crc; crc"):
        it.superblock


def test_crc():
    assert metadata.crc32c(b"123456789") == 0xE3069283
