#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes blocks that tell who wrote them and when, and reads them back. Runs on a host of the lab.

    stamp.py write DEVICE --blocks N --seed S --log FILE [--count C] [--flush-every K [--flush-until U]]
    stamp.py read DEVICE --blocks N          one line per block: its sequence number, or "torn"
    stamp.py sum DEVICE [--bytes N]          a digest of every 4 KiB block, one a line

The writer appends "i SEQ BLOCK" to the log before each write, "a SEQ" when it was acknowledged and "f SEQ"
when a flush that came after it was. The log must lie outside of what a power cut takes.
"""
import argparse
import fcntl
import hashlib
import mmap
import os
import random
import struct
import sys

BLOCK = 4096
STAMP = struct.Struct("<8sQQ")  # mark, block, sequence number
MARK = b"BRAIDSTP"
BLKGETSIZE64 = 0x80081272


def fill(buffer: mmap.mmap, block: int, sequence: int) -> None:
    """A stamp in each 512 bytes, so that a block of which only a part arrived shows it."""
    body = STAMP.pack(MARK, block, sequence).ljust(512, bytes([sequence & 0xFF]))
    buffer[:] = body * (BLOCK // 512)


def parse(data: bytes, block: int) -> str:
    """The sequence number in a block, 0 for one never written, "torn" for anything else."""
    if data.count(0) == len(data):
        return "0"
    mark, where, sequence = STAMP.unpack_from(data)
    expected = STAMP.pack(MARK, block, sequence).ljust(512, bytes([sequence & 0xFF]))
    if mark != MARK or where != block or data != expected * (len(data) // 512):
        return "torn"
    return str(sequence)


def write(args: argparse.Namespace) -> None:
    rng = random.Random(args.seed)
    device = os.open(args.device, os.O_WRONLY | os.O_DIRECT)
    log = os.open(args.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    buffer = mmap.mmap(-1, BLOCK)
    sequence = args.first
    while args.count == 0 or sequence < args.first + args.count:
        block = rng.randrange(args.blocks)
        fill(buffer, block, sequence)
        os.write(log, f"i {sequence} {block}\n".encode())
        if os.pwrite(device, buffer, block * BLOCK) != BLOCK:
            sys.exit(f"{args.device}: short write")
        os.write(log, f"a {sequence}\n".encode())
        due = args.flush_every and sequence % args.flush_every == 0
        if due and (args.flush_until == 0 or sequence <= args.flush_until):
            os.fsync(device)
            os.write(log, f"f {sequence}\n".encode())
        sequence += 1


def read(args: argparse.Namespace) -> None:
    device = os.open(args.device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, BLOCK)
    for block in range(args.blocks):
        os.preadv(device, [buffer], block * BLOCK)
        print(parse(buffer[:], block))


def digests(args: argparse.Namespace) -> None:
    device = os.open(args.device, os.O_RDONLY | os.O_DIRECT)
    size = struct.unpack("<Q", fcntl.ioctl(device, BLKGETSIZE64, bytes(8)))[0]
    buffer = mmap.mmap(-1, 1 << 20)
    size = min(size, args.bytes or size)
    for at in range(0, size, len(buffer)):
        count = min(os.preadv(device, [buffer], at), size - at)
        for start in range(0, count, BLOCK):
            print(hashlib.blake2b(buffer[start:min(start + BLOCK, count)], digest_size=8).hexdigest())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["write", "read", "sum"])
    parser.add_argument("device")
    parser.add_argument("--blocks", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--flush-every", type=int, default=0)
    parser.add_argument("--flush-until", type=int, default=0)
    parser.add_argument("--bytes", type=int, default=0)
    parser.add_argument("--log")
    args = parser.parse_args()
    {"write": write, "read": read, "sum": digests}[args.what](args)


if __name__ == "__main__":
    main()
