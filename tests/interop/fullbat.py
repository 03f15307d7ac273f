#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A full BAT of 64 TiB, 67 million entries, is checked by one reading of it and in little memory, sound or not."""
import array
import os
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import tap
from command import VHDX
from disks import MIB, TIB
from image import FULL, Image

MEMORY_MAX = 64 * MIB
CHUNK = 4096  # blocks of 1 MiB
BLOCKS = 64 * TIB // MIB
BAT = 513 * MIB

KINDS = {
    # name: entries of the blocks from @first on, when blocks may lie from @base on; exit status, finding
    "sound": (lambda base, first: range(base + first * MIB | FULL, base + (first + CHUNK) * MIB, MIB), 0, None),
    "all at one place": (lambda base, first: [base | FULL] * CHUNK, 2, "608 BLOCK_OVERLAP"),
    "all outside the file": (lambda base, first: [1 << 60 | 1 << 8 | FULL] * CHUNK, 2, "606 BLOCK_PLACE"),
}


def room(folder, size):
    """A folder for a sparse file of @size bytes: the case's, or one in memory."""
    for top in (folder, "/dev/shm"):
        if not os.path.isdir(top) or shutil.disk_usage(top).free < 2 * BAT:
            continue
        where = tempfile.mkdtemp(prefix="vhdx-test.", dir=top)
        try:
            with open(os.path.join(where, "probe"), "wb") as file:
                file.truncate(size)
            return where
        except OSError:
            shutil.rmtree(where)
        finally:
            if os.path.exists(os.path.join(where, "probe")):
                os.unlink(os.path.join(where, "probe"))
    raise tap.Skip(f"no file system for a file of {size // TIB} TiB with {2 * BAT // MIB} MiB of room")


def make(folder, entries, is_sound):
    disk = Image("full", 64 * TIB, bat_length=BAT)
    base = disk.end
    disk.end += BLOCKS * MIB if is_sound else CHUNK * MIB
    path = disk.write(folder)
    with open(path, "r+b") as file:
        for first in range(0, BLOCKS, CHUNK):
            part = array.array("Q", entries(base, first))
            if sys.byteorder == "big":
                part.byteswap()
            file.seek(disk.bat_at + (first + first // CHUNK) * 8)
            part.tofile(file)
    return path


def judge(folder, entries, expected, finding):
    where = room(folder, 66 * TIB if expected == 0 else 8 << 30)
    try:
        path = make(where, entries, expected == 0)
        with open(os.path.join(where, "out"), "w+b") as out:
            process, peak = command.watched([VHDX, "check", path], stdout=out)
            status = process.wait()
            out.seek(0)
            text = out.read().decode()
        memory = peak()
        assert status == expected, text[:600]
        assert finding is None or f"\n{finding} " in text, text[:600]
        assert text.count("\n") < 1000, "more is shown than anybody reads"
        assert memory < MEMORY_MAX, f"{memory / MIB:.1f} MiB"
    finally:
        shutil.rmtree(where)


for name, kind in KINDS.items():
    tap.add(f"67 million entries, {name}, are checked in less than 64 MiB",
            lambda folder, kind=kind: judge(folder, *kind), tap.whole)


@tap.case("a check reads the BAT once, and little else", tap.whole, tap.tool("strace"))
def _(folder):
    where = room(folder, 8 << 30)
    try:
        path = make(where, KINDS["all outside the file"][0], False)
        trace = os.path.join(where, "trace")
        command.traced(trace, ["-e", "trace=pread64,read,preadv,preadv2"], [VHDX, "check", "-q", path])
        with open(trace, encoding="utf-8") as lines:
            text = lines.read()
        size = sum(map(int, re.findall(r"(?:pread64|read|preadv2?)\(.* = (\d+)$", text, re.M)))
        entries = (BLOCKS + BLOCKS // CHUNK) * 8
        assert entries <= size < BAT + 4 * MIB, f"{size / MIB:.1f} MiB of {BAT / MIB} were read"
    finally:
        shutil.rmtree(where)


tap.main()
