#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx salvage: what comes out of images that are ruined, real ones too, and what is printed of it."""
import os
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import samples
import tables
import tap
from command import vhdx, vhdx_json
from disks import MIB, noise
from image import Image, Item, ITEM_SIZE

SUMMARY = "Found "


def wipe(path, offset, length):
    with open(path, "r+b") as file:
        length = min(length, os.path.getsize(path) - offset)
        file.seek(offset)
        file.write(bytes(length))


def salvage(path, *words, status=0):
    """(what --json says, the output's path)"""
    raw = path + ".raw"
    before = os.stat(path)
    answer = vhdx_json("salvage", "--json", "--force", *words, path, raw, status=status)
    after = os.stat(path)
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns), "changed"
    at = 0
    for part in answer["vhdx"]["map"]:
        assert part["start"] == at and part["length"], part
        assert ("offset" in part) == (part["kind"] in ("found", "guessed")), part
        at += part["length"]
    assert at == answer["virtual-size"] == os.path.getsize(raw), at
    return answer, raw


def same(raw, disk):
    assert disks.digest(raw) == disk.guest.digest(), "other contents"


# ---- what is printed


@tap.case("the map and a summary of a sound image are printed")
def _(folder):
    path, disk = samples.dynamic(folder)
    result = vhdx("salvage", path, path + ".raw")
    lines = result.out.splitlines()
    assert lines[0].split() == ["Start", "Length", "Kind", "Offset", "Text"], lines[0]
    assert lines[1].split() == ["0x0", "0x100000", "found", "0x400000"], lines[1]
    assert lines[2].split() == ["0x100000", "0x600000", "zero"], lines[2]
    assert lines[-1] == "Found 2 of 2 blocks.", lines[-1]
    same(path + ".raw", disk)


@tap.case("blocks behind the end of the file are named, with their size")
def _(folder):
    disk = Image("disk", 64 * MIB, 2 * MIB)
    for block in range(5):
        disk.full(block, {0: noise(str(block), 4096)})
    path = disk.write(folder)
    os.truncate(path, os.path.getsize(path) - 4 * MIB)
    result = vhdx("salvage", path, path + ".raw", status=2)
    last = result.out.splitlines()[-1]
    assert last == ("Found 3 of 5 blocks; of 2 blocks 4 MiB are lost: its entry names a place outside of the "
                    "file (4 MiB)."), last
    lost = [line for line in result.out.splitlines() if " lost " in line and line.startswith("0x")]
    assert [line.split()[:2] for line in lost] == [["0x600000", "0x400000"]], lost
    for block in (3, 4):
        disk.guest.zero(block * 2 * MIB, 2 * MIB)
    same(path + ".raw", disk)


@tap.case("a quiet salvage prints nothing, and its exit status tells")
def _(folder):
    path, disk = samples.dynamic(folder)
    assert vhdx("salvage", "-q", path, path + ".raw").out == ""
    os.truncate(path, os.path.getsize(path) - MIB)
    assert vhdx("salvage", "-q", "--force", path, path + ".raw", status=2).out == ""


@tap.case("an output that exists is left alone without --force")
def _(folder):
    path, disk = samples.dynamic(folder)
    raw = samples.write(folder, "out.raw", b"precious")
    command.fails("salvage", path, raw, says="exists already")
    command.fails("salvage", "--json", path, raw, says="exists already")
    with open(raw, "rb") as file:
        assert file.read() == b"precious"
    vhdx("salvage", "--force", path, raw)
    same(raw, disk)


@tap.case("the image itself is never the output")
def _(folder):
    path, disk = samples.dynamic(folder)
    before = disks.sha256(path)
    command.fails("salvage", "--force", path, path, says="is the source")
    assert disks.sha256(path) == before


@tap.case("what was no image is refused, and leaves no output")
def _(folder):
    path = samples.write(folder, "noise", noise("noise", 5 * MIB))
    command.fails("salvage", path, path + ".raw", says="nothing of a VHDX image is left")
    assert not os.path.exists(path + ".raw")
    command.fails("salvage", os.path.join(folder, "missing"), path + ".raw")


@tap.case("sizes that cannot be are refused")
def _(folder):
    path, disk = samples.dynamic(folder)
    command.fails("salvage", "--block-size", "3M", path, path + ".raw", says="power of two")
    command.fails("salvage", "--sector-size", "1K", path, path + ".raw", says="512 or 4096")
    command.fails("salvage", "--size", "65T", path, path + ".raw", says="64 TiB")


# ---- what is gone


@tap.case("header section, region tables and metadata may be gone when the BAT is there")
def _(folder):
    disk = Image("disk", 20 * MIB, 2 * MIB)
    size = 20 * MIB
    disk.full(0, {0: tables.dos([(0x83, 2048, size // 512 - 2048)])})
    for block in (7, 3, 9):
        disk.full(block, {1000: noise(str(block), 70000)})
    path = disk.write(folder)
    wipe(path, 0, 3 * MIB)
    answer, raw = salvage(path, status=2)
    assert answer["virtual-size"] == size, answer["virtual-size"]
    facts = answer["vhdx"]["facts"]
    assert facts["block-size"]["how"] == "guessed" and answer["vhdx"]["block-size"] == 2 * MIB, facts
    same(raw, disk)
    answer, raw = salvage(path, "--block-size", "2M", "--size", "20M", status=2)
    assert answer["vhdx"]["facts"]["block-size"]["how"] == "given"
    same(raw, disk)


@tap.case("options count more than what is read")
def _(folder):
    path, disk = samples.dynamic(folder)
    answer, raw = salvage(path, "--size", "3M")
    assert answer["virtual-size"] == 3 * MIB


@tap.case("without a name of the format and headers everything is found")
def _(folder):
    path, disk = samples.dynamic(folder)
    wipe(path, 0, 192 << 10)
    answer, raw = salvage(path)
    assert answer["vhdx"]["guessed-bytes"] == 0
    same(raw, disk)


@tap.case("region tables that are gone are not needed")
def _(folder):
    path, disk = samples.dynamic(folder)
    wipe(path, 192 << 10, 128 << 10)
    answer, raw = salvage(path)
    facts = answer["vhdx"]["facts"]
    assert facts["metadata"]["how"] == facts["bat"]["how"] == "found", facts
    same(raw, disk)


@tap.case("region tables with a wrong checksum still tell where things are")
def _(folder):
    path, disk = samples.dynamic(folder)
    for at in (192 << 10, 256 << 10):
        wipe(path, at + 4, 4)
    answer, raw = salvage(path)
    same(raw, disk)


@tap.case("the first MiB may be cut away")
def _(folder):
    disk = Image("disk", 8 * MIB)
    disk.full(0, {0: tables.dos([(0x83, 2048, 2048)])})
    disk.full(6, {100: noise("six", 3000)})
    path = disk.write(folder)
    with open(path, "rb") as file:
        rest = file.read()[MIB:]
    samples.write(folder, os.path.basename(path), rest)
    answer, raw = salvage(path)
    assert answer["vhdx"]["missing-bytes"] == MIB
    same(raw, disk)


@tap.case("a log that can be replayed is, and another one is ignored")
def _(folder):
    path, disk = samples.dirty(folder)
    answer, raw = salvage(path)
    assert answer["vhdx"]["facts"]["log"]["text"] == "replayed in memory"
    same(raw, disk)
    wipe(path, 64 << 10, 128 << 10)  # both headers
    answer, raw = salvage(path, status=2)
    assert answer["vhdx"]["facts"]["log"]["how"] == "guessed"
    same(raw, disk)
    path, disk = samples.dirty(folder)
    wipe(path, MIB + 4096, 4096)
    answer, raw = salvage(path, status=2)
    assert answer["vhdx"]["facts"]["log"]["text"].startswith("ignored"), answer["vhdx"]["facts"]


@tap.case("a BAT that is gone is read from the log")
def _(folder):
    path, disk = samples.dirty(folder)
    with open(path, "r+b") as file:  # closed cleanly, as if: the log's entries stay
        for header in disk.headers:
            header.log_guid = bytes(16)
        for at, header in zip((64 << 10, 128 << 10), disk.headers):
            file.seek(at)
            file.write(header.encode())
    answer, raw = salvage(path)
    assert "log" in answer["vhdx"]["facts"]["bat"]["text"], answer["vhdx"]["facts"]
    same(raw, disk)


@tap.case("a fixed disk without a BAT comes out whole, as a guess")
def _(folder):
    disk = Image("disk", 6 * MIB, fixed=True)
    for block in range(6):
        disk.full(block, {block * 1000: noise(str(block), 9000)})
    disk.bat.clear()
    path = disk.write(folder)
    answer, raw = salvage(path, status=2)
    assert answer["vhdx"]["guessed-bytes"] == 6 * MIB and not answer["vhdx"]["lost-bytes"]
    same(raw, disk)


# ---- children


@tap.case("a child comes out without its parent")
def _(folder):
    child, parent, image = samples.family(folder)
    os.unlink(parent)
    answer, raw = salvage(child)
    kinds = {part["kind"] for part in answer["vhdx"]["map"]}
    assert kinds == {"found", "parent"}, kinds
    vhdx("convert", "--no-parent", "-O", "raw", child, raw + ".2")
    assert disks.sha256(raw) == disks.sha256(raw + ".2")


@tap.case("sectors of a bitmap that is lost are guessed by what they hold")
def _(folder):
    child, parent, image = samples.family(folder)
    index = image.bitmap_index(0)
    with open(child, "r+b") as file:
        file.seek(image.bat_at + 8 * index)
        file.write(bytes(8))
    answer, raw = salvage(child, status=2)
    guessed = [part for part in answer["vhdx"]["map"] if part["kind"] == "guessed"]
    assert [(part["start"], part["length"]) for part in guessed] == [(512, 512)], guessed


# ---- everything that can be read


def judge_sound(image, folder):
    path = judges.unpack_real(image, folder)
    answer, raw = salvage(path)
    if image["parent"]:
        vhdx("convert", "--no-sync", "--no-parent", "-O", "raw", path, raw + ".2")
        assert disks.digest(raw) == disks.digest(raw + ".2"), "other contents"
    else:
        assert disks.digest(raw) == image["guest_sparse_sha256"], "other contents"
    return path, raw, answer["vhdx"]["blocks"]


def judge_ruined(image, folder):
    """The same contents, when everything but BAT and blocks is gone, or told."""
    path, raw, blocks = judge_sound(image, folder)
    whole = disks.digest(raw)
    if image["dirty_log"]:
        return
    for at, length in ((0, 520), (64 << 10, 128 << 10), (192 << 10, 128 << 10)):
        wipe(path, at, length)
        vhdx_json("salvage", "--json", "--force", path, raw, status={0, 2})
        assert disks.digest(raw) == whole, f"other contents after the loss of {at:#x}"
    if not blocks:
        return  # by nothing else a BAT can be told from anything
    words = ["--block-size", str(image["block_size"]), "--size", str(image["virtual_size"]),
             "--sector-size", str(image["logical_sector_size"])]
    answer = vhdx_json("salvage", "--json", "--force", path, raw, status={0, 2})
    wipe(path, answer["vhdx"]["metadata-offset"], 2 << 16)
    vhdx_json("salvage", "--json", "--force", *words, path, raw, status={0, 2})
    assert disks.digest(raw) == whole, "other contents without metadata"


MANIFEST = judges.real()
if not MANIFEST:
    tap.add("real images", None, judges.images)
for each in MANIFEST:
    tap.add("ruined: " + each["name"], lambda folder, image=each: judge_ruined(image, folder))

tap.main()
