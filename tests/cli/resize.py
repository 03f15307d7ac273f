#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx resize: sizes, what it refuses and says, progress, signals, full disks."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import signal
import subprocess
import uuid
import zlib

import command
import disks
import samples
import tap
from command import VHDX, vhdx, vhdx_json
from disks import GIB, MIB, TIB, noise
from script import vhdxio

NEXT = ("What is on it is as large as before: grow the partition inside, then its file system\n"
        "(a WSL2 disk has no partition: run resize2fs inside the distribution).\n")


def size_of(path):
    return vhdx_json("info", "--json", path)["virtual-size"]


def refused(path, *words, says, status=1, **how):
    """The command fails with one line, and no file changed."""
    before = disks.snapshot(os.path.dirname(path))
    line = command.fails("resize", *words, says=says, status=status, **how)
    changed = disks.changes(before, disks.snapshot(os.path.dirname(path)))
    assert not changed, f"changed by a refused resize: {changed}"
    return line


@tap.case("sizes: absolute, larger by, smaller by, wherever the options stand")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", path, "10M")
    for words, size in (((path, "12M"), 12 * MIB), ((path, "+3M"), 15 * MIB), ((path, "+512"), 15 * MIB + 512),
                        (("--shrink", path, "-512"), 15 * MIB), ((path, "-1M", "--shrink"), 14 * MIB),
                        ((path, "--shrink", "-1m"), 13 * MIB), (("--shrink", "--", path, "-1M"), 12 * MIB),
                        (("--shrink", path, "8M"), 8 * MIB), ((path, "1T", "-q"), TIB),
                        (("--shrink", "-q", path, "-1023G"), GIB)):
        vhdx("resize", *words)
        assert size_of(path) == size, (words, size_of(path))
        # Where a smaller BAT lay, nothing lies.
        assert command.check(path)[0] in (0, 3)


@tap.case("sizes that cannot be are refused, and nothing is written")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", path, "10M")
    for size, says in (("65T", "64 TiB"), ("+64T", "64 TiB"), ("10485761", "multiple of the logical sector"),
                       ("0", "--shrink allows"), ("-10M", "cannot lose 10 MiB .10485760 bytes.: the disk has 10 MiB"), ("-1T", "cannot lose"),
                       ("-1M", "--shrink allows"), ("9M", "--shrink allows"), ("+18446744073709551615", "64 TiB"),
                       ("x", "cannot be read"), ("", "cannot be read"), ("+", "cannot be read"),
                       ("--1M", "unknown option"), ("+-1M", "cannot be read"), ("-1X", "cannot be read"),
                       ("1.5G", "cannot be read"), ("16777216T", "too large")):
        refused(path, path, size, says=says)
    refused(path, "--shrink", path, "0", says="1 sector")
    refused(path, path, "-1M", "-2M", says="unknown option '-2'")
    refused(path, path, "-q1M", says="unknown option")
    refused(path, path, "12M", "13M", says="one operand too many")
    refused(path, path, says="operand is missing")
    refused(path, "-1M", says="operand is missing")
    refused(path, "--force-share", path, "12M", says="for reading")
    assert size_of(path) == 10 * MIB


@tap.case("the size that it has: nothing is done, and it says so")
def _(folder):
    path = samples.dynamic(folder)[0]
    before = disks.snapshot(folder)
    assert vhdx("resize", path, "8M").out == "The disk has 8 MiB (8388608 bytes) already.\n"
    assert vhdx("resize", path, "+0").out == "The disk has 8 MiB (8388608 bytes) already.\n"
    assert not disks.changes(before, disks.snapshot(folder))


@tap.case("it says what it did, and what is left to do; nothing with --quiet")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", path, "10M")
    assert vhdx("resize", path, "1G").out == (
        "Resized from 10 MiB (10485760 bytes) to 1 GiB (1073741824 bytes).\n" + NEXT)
    assert vhdx("resize", "--shrink", path, "10M").out == (
        "Resized from 1 GiB (1073741824 bytes) to 10 MiB (10485760 bytes).\n")
    assert vhdx("resize", "-q", path, "1G").out == ""


def guid_table(size):
    """A disk's first and last sectors, with a table of no partitions."""
    last, entries = size // 512 - 1, bytes(128 * 128)

    def header(own, other, table):
        text = (b"EFI PART" + (0x10000).to_bytes(4, "little") + (92).to_bytes(4, "little") + bytes(8) +
                own.to_bytes(8, "little") + other.to_bytes(8, "little") + (34).to_bytes(8, "little") +
                (last - 33).to_bytes(8, "little") + uuid.UUID(int=5).bytes_le + table.to_bytes(8, "little") +
                (128).to_bytes(4, "little") + (128).to_bytes(4, "little") +
                zlib.crc32(entries).to_bytes(4, "little"))
        return text[:16] + zlib.crc32(text).to_bytes(4, "little") + text[20:]
    return {512: header(1, last, 2), last * 512: header(last, 1, last - 32)}


def make(path, size, pieces):
    """A disk of that size with these bytes."""
    raw = path + ".raw"
    with open(raw, "wb") as file:
        for offset, data in pieces.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    vhdx("convert", raw, path)
    return raw


@tap.case("a GUID partition table: its backup is in the way but by force, and what becomes of it is told")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    make(path, 64 * MIB, guid_table(64 * MIB))
    assert "its partition table is no longer at the end: 'sgdisk -e'" in vhdx("resize", path, "80M").out
    vhdx("resize", "--shrink", path, "64M")
    refused(path, "--shrink", path, "32M", says="ends with the backup of its partition table.*only force")
    assert "lacks its backup at the end now" in vhdx("resize", "--shrink", "--force", path, "32M").out
    assert size_of(path) == 32 * MIB
    vhdx("resize", "-q", path, "64M")
    raw = make(os.path.join(folder, "y.vhdx"), 64 * MIB, {512: guid_table(64 * MIB)[512]})
    vhdx("compare", path, raw)


@tap.case("a GUID partition table made by sgdisk is known", tap.tool("sgdisk"))
def _(folder):
    path, raw = os.path.join(folder, "x.vhdx"), os.path.join(folder, "x.raw")
    with open(raw, "wb") as file:
        file.truncate(64 * MIB)
    command.run(["sgdisk", "-n", "1:2048:20000", raw])
    vhdx("convert", raw, path)
    refused(path, "--shrink", path, "32M", says="backup of its partition table")
    vhdx("resize", "-q", "--shrink", "--force", path, "32M")
    assert "no longer at the end" in vhdx("resize", path, "128M").out


@tap.case("an ext4 file system on the whole disk, as WSL2 has it: resize2fs, and it then fills the disk",
          tap.tool("mke2fs", "resize2fs", "e2fsck"))
def _(folder):
    path, raw = os.path.join(folder, "ext4.vhdx"), os.path.join(folder, "x.raw")
    with open(raw, "wb") as file:
        file.truncate(64 * MIB)
    command.run([tap.find_tool("mke2fs"), "-q", "-F", "-t", "ext4", raw])
    vhdx("convert", raw, path)
    out = vhdx("resize", path, "200M").out
    assert "The ext file system on it is as large as before: run resize2fs" in out, out
    vhdx("convert", "--force", path, raw)
    command.run([tap.find_tool("e2fsck"), "-f", "-n", raw])
    command.run([tap.find_tool("resize2fs"), raw])
    command.run([tap.find_tool("e2fsck"), "-f", "-n", raw])


@tap.case("data in the way of a shrink are named, and stay")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    raw = make(path, 64 * MIB, {0: noise("first", 512), 40 * MIB + 1000: noise("late", 10)})
    for words in (["--shrink"], ["--shrink", "--force"]):
        refused(path, *words, path, "32M", says=r"holds data at 41944040 \(expected zeros from 33554432 on")
    vhdx("resize", "-q", "--shrink", path, str(40 * MIB + 1024))
    with open(raw, "r+b") as file:
        file.truncate(40 * MIB + 1024)
    vhdx("compare", path, raw)


@tap.case("a shrink gives space back")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    make(path, 64 * MIB, {0: noise("first", 8 * MIB)})
    vhdxio(path, lines=["write 32M 16M 7", "zero 32M 16M"])
    before = os.path.getsize(path)
    vhdx("resize", "-q", "--shrink", path, "16M")
    assert os.path.getsize(path) <= before - 16 * MIB, (before, os.path.getsize(path))


@tap.case("a fixed disk really has its new space")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", "--type", "fixed", path, "8M")
    vhdx("resize", "-q", path, "40M")
    assert disks.allocated(path) >= 40 * MIB, disks.allocated(path)
    assert "FIXED_NOT_PRESENT" not in command.check(path)[1]
    assert "blocks present: 20 of 20" in vhdx("check", path).out
    vhdx("resize", "-q", "--shrink", path, "8M")
    assert os.path.getsize(path) < 16 * MIB


@tap.case("--no-holes: no space is released, and growth has all of its own")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", "--no-holes", "--block-size", "1M", path, "100G")
    vhdx("resize", "-q", "--no-holes", path, "300G")
    assert disks.allocated(path) >= os.path.getsize(path), (disks.allocated(path), os.path.getsize(path))
    assert "FILE_SPARSE" not in command.check(path, "--windows")[1]


@tap.case("a child is resized; its parent is not touched, and needed")
def _(folder):
    child, parent, _ = samples.family(folder)
    digest = disks.sha256(parent)
    vhdx("resize", "-q", child, "20M")
    assert size_of(child) == 20 * MIB and disks.sha256(parent) == digest
    os.rename(parent, parent + ".away")
    refused(child, child, "30M", says="base.vhdx")
    refused(child, "--no-parent", child, "30M", says="without its parent")
    os.rename(parent + ".away", parent)
    assert command.check(child, "--chain")[0] == 0


@tap.case("a child that grows shows nothing of any parent, however far up, that its end had hidden")
def _(folder):
    base, middle, small, path = (os.path.join(folder, name + ".vhdx") for name in "abcd")
    make(base, 64 * MIB, {40 * MIB: noise("far up", MIB)})
    vhdx("create", "--parent", base, middle)
    vhdx("create", small, "16M")
    vhdx("create", "--parent", small, path)
    vhdx("rebase", "-q", "--parent", middle, path)
    vhdx("resize", "-q", path, "64M")
    with open(os.path.join(folder, "zeros.raw"), "wb") as file:
        file.truncate(64 * MIB)
    vhdx("compare", path, file.name)


@tap.case("a parent's children are warned of")
def _(folder):
    child, parent, _ = samples.family(folder)
    result = vhdx("resize", "-q", parent, "20M", loud=True)
    assert result.err == (f"vhdx resize: warning: {parent}: is the parent of child.vhdx beside it: to "
                          "change its contents breaks that child\n"), result
    command.fails("map", child, status={1, 2})


@tap.case("what is no image, is missing, in use or must be repaired is refused")
def _(folder):
    path, disk = samples.dynamic(folder)
    text = samples.write(folder, "text.vhdx", b"This is no disk at all.\n" * 100)
    refused(text, text, "1G", says="not a VHDX image")
    command.fails("resize", os.path.join(folder, "missing.vhdx"), "1G", says="[Nn]o such file")
    disk.tables[1].entries.reverse()
    disk.write(folder)
    refused(path, path, "1G", says="problem 304", status=2)


@tap.case("a bar, JSON lines, and none")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", "--type", "fixed", path, "4M")
    assert "100.0%" in vhdx("resize", "-p", path, "+600M", loud=True).err
    lines = vhdx("resize", "--progress=json", path, "+600M", loud=True).err.splitlines()
    last = json.loads(lines[-1])
    assert last["done"] == last["total"] == 600 * MIB and last["percent"] == 100, lines
    assert not vhdx("resize", "-q", path, "+4M").err


@tap.case("a signal stops it, and the disk is as it was", tap.tool("strace"))
def _(folder):
    for number, made in ((signal.SIGINT, "--type fixed"), (signal.SIGTERM, "--type dynamic")):
        path = os.path.join(folder, "x.vhdx")
        vhdx("create", "--force", *made.split(), path, "4M")
        vhdxio(path, lines=["write 0 4M seed:3"])
        raw = os.path.join(folder, "x.raw")
        vhdx("convert", "--force", path, raw)
        call = "fallocate" if "fixed" in made else "pwritev"
        result = command.killed_at(call, 1, [VHDX, "resize", path, "200G" if "dynamic" in made else "2G"], folder,
                                   signal.Signals(number).name)
        assert size_of(path) in (4 * MIB, 200 * GIB), size_of(path)
        if "fixed" in made:
            assert result.status in (-number, 128 + number), result
            assert size_of(path) == 4 * MIB and os.path.getsize(path) < 16 * MIB, os.path.getsize(path)
            vhdx("compare", path, raw)
            assert command.check(path)[0] == 0


class Small:
    """A file system of that many MiB in memory."""

    def __init__(self, folder, size):
        self.point = os.path.join(folder, "small")
        os.mkdir(self.point)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "none", self.point],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise tap.Skip(f"mount: {done.stderr}")

    def __enter__(self):
        return self.point

    def __exit__(self, *_):
        subprocess.run(["umount", self.point], check=False)


@tap.case("a full file system: one line, the disk is as it was, and its file as large", tap.root,
          tap.tool("mount", "umount"))
def _(folder):
    with Small(folder, 24) as top:
        path = os.path.join(top, "x.vhdx")
        vhdx("create", "--type", "fixed", path, "4M")
        vhdxio(path, lines=["write 0 4M seed:5"])
        raw, size = os.path.join(folder, "raw"), os.path.getsize(path)
        vhdx("convert", path, raw)
        command.fails("resize", path, "64M", says="No space left")
        assert os.path.getsize(path) == size and size_of(path) == 4 * MIB
        vhdx("compare", path, raw)
        assert command.check(path)[0] == 0
        vhdx("resize", "-q", path, "8M")
        assert size_of(path) == 8 * MIB


@tap.case("no more than 64 MiB of memory, for the largest disk too")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", "--block-size", "1M", path, "100G")
    vhdxio(path, lines=[f"write {i}G 4K seed:{i + 1}" for i in range(0, 100, 3)])
    for words in (["64T"], ["--shrink", "200G"]):
        process, peak = command.watched([VHDX, "resize", "-q", *words[:-1], path, words[-1]])
        assert process.wait() == 0
        assert peak() < 64 * MIB, peak()


tap.main()
