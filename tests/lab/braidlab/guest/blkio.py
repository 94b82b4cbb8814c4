#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Single requests to a block device, with their errors. Runs on a host of the lab.

    blkio.py

Reads a JSON command a line and answers with an object, in a line: {"error": "EIO"} for one that fails.

    {"open": PATH, "write": BOOL, "cached": BOOL}           -> {"fd": N}; O_DIRECT unless cached
    {"close": FD}                                           -> {}
    {"pwrite": FD, "at": N, "count": N, "seed": N, "fua": BOOL}  -> {}
    {"pread": FD, "at": N, "count": N}                      -> {"digest": ...}
    {"fsync": FD}                                           -> {}
    {"discard": FD, "at": N, "count": N} and "zeroout"      -> {}
    {"expect": SEED, "count": N}                            -> {"digest": ...} of what pwrite wrote;
                                                               seed 0 is zeros
"""
import fcntl
import hashlib
import json
import mmap
import os
import random
import struct
import sys

import genl

BLKDISCARD, BLKZEROOUT = 0x1277, 0x127F


def content(seed: int, count: int) -> bytes:
    return random.Random(seed).randbytes(count) if seed else bytes(count)


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def do(command: dict) -> dict:
    count, at = command.get("count", 0), command.get("at", 0)
    if "open" in command:
        mode = os.O_RDWR if command.get("write") else os.O_RDONLY
        return {"fd": os.open(command["open"], mode | (0 if command.get("cached") else os.O_DIRECT))}
    if "close" in command:
        os.close(command["close"])
    elif "pwrite" in command:
        with mmap.mmap(-1, count) as buffer:
            buffer[:] = content(command["seed"], count)
            flags = os.RWF_DSYNC if command.get("fua") else 0
            if os.pwritev(command["pwrite"], [buffer], at, flags) != count:
                return {"error": "short"}
    elif "pread" in command:
        with mmap.mmap(-1, count) as buffer:
            if os.preadv(command["pread"], [buffer], at) != count:
                return {"error": "short"}
            return {"digest": digest(buffer[:])}
    elif "fsync" in command:
        os.fsync(command["fsync"])
    elif "discard" in command:
        fcntl.ioctl(command["discard"], BLKDISCARD, struct.pack("=QQ", at, count))
    elif "zeroout" in command:
        fcntl.ioctl(command["zeroout"], BLKZEROOUT, struct.pack("=QQ", at, count))
    elif "expect" in command:
        return {"digest": digest(content(command["expect"], count))}
    else:
        raise ValueError(f"not a command: {command}")
    return {}


def main() -> None:
    for line in sys.stdin:
        try:
            answer = do(json.loads(line))
        except OSError as error:
            answer = {"error": genl.error_name(error.errno)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
