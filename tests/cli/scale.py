#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What large disks cost: of empty ones nothing but what a small one costs, and of a million blocks one reading of the
BAT. Counted in calls and bytes."""
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import bigdisk
import command
import tap
from command import VHDX, vhdx, vhdx_json
from disks import GIB, KIB, MIB, TIB
from script import vhdxio

MEMORY_MAX = 64 * MIB
MILLION = 10 ** 6
LITTLE = 768 * KIB  # what is read beside the BAT: headers, tables, the first pages of programs
FILE_CALLS = r"(?:pread|pwrite|preadv|pwritev|_?l?lseek|fstat|statx|fallocate|ftruncate|fsync|fdatasync)\w*"

# Words of a command; DISK is the disk, OTHER a copy of it, NEW a file that is not there yet.
VERBS = ("info DISK", "map DISK", "map --json DISK", "check DISK", "check --json DISK", "compare DISK OTHER",
         "compact --dry-run DISK", "repair --dry-run DISK", "replay --dry-run DISK", "convert -q -O vhdx DISK NEW",
         "diff -q DISK OTHER NEW", "resize -q OTHER +1G", "resize -q --shrink OTHER -1G", "compact -q OTHER",
         "create -q --force --block-size=1M NEW SIZE", "create -q --parent DISK NEW", "dump bat DISK")


def words_of(verb, folder, path, size=0):
    """The verb's words, and the files that it may change made anew."""
    other, new = os.path.join(folder, "other.vhdx"), os.path.join(folder, "new.vhdx")
    if os.path.exists(new):
        os.unlink(new)
    if "OTHER" in verb:
        command.run(["cp", "--sparse=always", path, other])
    return [VHDX, *({"DISK": path, "OTHER": other, "NEW": new, "SIZE": str(size)}.get(word, word)
                    for word in verb.split())]


def trace_of(folder, argv, status=0):
    """The lines of strace that are about files."""
    trace = os.path.join(folder, "trace")
    result = command.traced(trace, ["-e", "trace=desc,file"], argv)
    assert result.status == status, result
    with open(trace, encoding="utf-8", errors="replace") as lines:
        return re.findall(rf"^\d+ +({FILE_CALLS}\(.*)$", lines.read(), re.M)


def calls(lines):
    counts = {}
    for line in lines:
        name = line.split("(")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts


def bytes_read(lines):
    return sum(int(line.rsplit("= ", 1)[1]) for line in lines if line.startswith("pread"))


def made(make, *args, **how):
    try:
        return make(VHDX, *args, **how)
    except OSError as error:
        raise tap.Skip(f"no room for a sparse file: {error}") from None


def million(folder, **how):
    count = MILLION if tap.sampling() == 1 else MILLION // 10
    how = {"order": "every other", "shuffled": True, **how}
    return made(bigdisk.filled, os.path.join(folder, "million.vhdx"), 64 * TIB, count, **how), count


@tap.case("a session with an empty disk makes the same calls of the storage, whatever its size")
def _(folder):
    lines = ["counts", "read 1M 4K", "counts", "write 1023M 4K 5", "flush", "counts", "extents 0 1G", "counts",
             "trim 0 1G", "counts", "write 500M 4K 5 fua", "counts", "close", "counts"]
    for block_mib in 1, 2, 32:
        costs = {}
        for size in GIB, TIB, 64 * TIB:
            path = bigdisk.created(VHDX, os.path.join(folder, "disk.vhdx"), size, block_mib)
            out = vhdxio(path, "--count", lines=lines).out
            costs[size] = [line for line in out.splitlines() if line.startswith("reads ")]
        assert len(costs[GIB]) == lines.count("counts")
        for size, cost in costs.items():
            assert cost == costs[GIB], f"{block_mib} MiB blocks, {size // TIB} TiB: {cost}, 1 GiB: {costs[GIB]}"


def judge_verb(folder, verb):
    counts = {}
    for size in 4 * GIB, 63 * TIB:
        path = bigdisk.created(VHDX, os.path.join(folder, "disk.vhdx"), size)
        counts[size] = calls(trace_of(folder, words_of(verb, folder, path, size)))
    small, large = counts.values()
    assert small.get("pread64") or "create" in verb, small
    assert large == small, f"63 TiB: {large}, 4 GiB: {small}"


for each in VERBS:
    tap.add(f"'vhdx {each}' makes the same calls for an empty disk of 63 TiB as for one of 4 GiB",
            lambda folder, verb=each: judge_verb(folder, verb), tap.tool("strace"))


@tap.case("an empty child and its parent are merged and parted in as many calls, whatever their size",
          tap.tool("strace"))
def _(folder):
    counts = {}
    base, new, child = (os.path.join(folder, f"{name}.vhdx") for name in ("base", "new", "child"))
    for size in GIB, 64 * TIB:
        for path in base, new:
            bigdisk.created(VHDX, path, size)
        bigdisk.created(VHDX, child, size, 1, "--parent", base)
        counts[size] = [calls(trace_of(folder, [VHDX, "rebase", "-q", "--parent", new, child])),
                        calls(trace_of(folder, [VHDX, "commit", "-q", child]))]
    assert counts[GIB] == counts[64 * TIB], counts


@tap.case("of a million blocks no verb reads more than the BAT, once, in less than 64 MiB", tap.tool("strace"))
def _(folder):
    path, _ = million(folder)
    held = os.stat(path).st_blocks * 512
    for verb in tap.in_turns(("map DISK", "map --json DISK", "check DISK", "check --json DISK", "info DISK",
                              "dump bat DISK")):
        words = words_of(verb, folder, path)
        size = bytes_read(trace_of(folder, words))
        assert size < held + LITTLE, f"{verb}: {size / MIB:.1f} MiB read of {held / MIB:.1f}"
        process, peak = command.watched(words, stdout=command.subprocess.DEVNULL)
        assert process.wait() == 0, verb
        memory = peak()
        assert memory < MEMORY_MAX, f"{verb}: {memory / MIB:.1f} MiB"


@tap.case("to compare a disk of a million blocks with itself, each BAT is read once", tap.tool("strace"))
def _(folder):
    path, _ = million(folder)
    held = os.stat(path).st_blocks * 512
    size = bytes_read(trace_of(folder, [VHDX, "compare", path, path]))
    assert size < 2 * (held + LITTLE), f"{size / MIB:.1f} MiB read of {held / MIB:.1f}"


@tap.case("a map of a million blocks parses, and is right")
def _(folder):
    path, count = million(folder)
    extents = vhdx_json("map", "--json", path)
    data = [extent for extent in extents if extent["data"]]
    assert len(data) == count and {extent["length"] for extent in data} == {MIB}
    assert [extent["start"] for extent in data] == [2 * MIB * number for number in range(count)]
    offsets = sorted(extent["offset"] for extent in data)
    assert offsets == list(range(offsets[0], offsets[0] + count * MIB, MIB))
    at = 0
    for extent in extents:
        assert extent["start"] == at, extent
        at += extent["length"]
    assert at == 64 * TIB
    lines = vhdx("map", path).out.splitlines()[1:]
    told = [(int(words[0], 16), int(words[1], 16), words[3], words[4:5]) for words in map(str.split, lines)]
    assert told == [(extent["start"], extent["length"], "data" if extent["data"] else "absent",
                     [hex(extent["offset"])] if extent["data"] else []) for extent in extents]
    assert all(line.endswith(path) for line in lines if " data " in line)


def traced_zeros(folder, verb):
    """Of a BAT of 17 MiB of zeros that are really there."""
    path = bigdisk.created(VHDX, os.path.join(folder, "zeros.vhdx"), 2 * TIB)
    bigdisk.written_out(path, VHDX)
    return trace_of(folder, words_of(verb, folder, path)), bigdisk.regions(VHDX, path)["BAT"][1]


@tap.case("zeros of a BAT that are really there are read once, and the file is seldom asked for holes",
          tap.tool("strace"))
def _(folder):
    for verb in "map DISK", "check DISK":
        lines, length = traced_zeros(folder, verb)
        assert length - MIB <= bytes_read(lines) < length + LITTLE, f"{verb}: {bytes_read(lines)} of {length}"
        assert len(lines) < 1000, f"{verb}: {calls(lines)}"
        assert sum("seek(" in line for line in lines) < 20, f"{verb}: {calls(lines)}"
    lines, length = traced_zeros(folder, "compact --dry-run DISK")
    assert bytes_read(lines) < 2 * length + LITTLE and len(lines) < 1000, calls(lines)


@tap.case("zeros of a BAT of 64 TiB that are really there take no memory", tap.whole)
def _(folder):
    path = bigdisk.created(VHDX, os.path.join(folder, "zeros.vhdx"), 64 * TIB)
    bigdisk.written_out(path, VHDX)
    for verb in "map DISK", "check DISK", "compact --dry-run DISK":
        process, peak = command.watched(words_of(verb, folder, path), stdout=command.subprocess.DEVNULL)
        assert process.wait() == 0, verb
        memory = peak()
        assert memory < MEMORY_MAX, f"{verb}: {memory / MIB:.1f} MiB"


tap.main()
