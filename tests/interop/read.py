#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What qemu-img writes, we read with equal contents, and find no damage in."""
import os
import random
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import peers
import tap
from command import vhdx, vhdx_json
from disks import GIB, MIB, noise, scattered

QEMU = tap.tool("qemu-img")


def qemu(folder, model, **options):
    raw, image = os.path.join(folder, "in.raw"), os.path.join(folder, "disk.vhdx")
    model.save(raw)
    words = ",".join(f"{k}={v}" for k, v in options.items())
    command.run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", *(["-o", words] if words else []),
                 raw, image])
    return image


def judge(folder, image, model):
    raw = os.path.join(folder, "out.raw")
    before = disks.snapshot(image)
    info = vhdx_json("info", "--json", image)
    assert info["virtual-size"] == model.size and info["vhdx"]["creator"].startswith("QEMU"), info
    vhdx("convert", "--no-sync", image, raw)
    assert os.path.getsize(raw) == model.size
    assert disks.digest(raw) == model.digest(), "other contents"
    status, found = command.check(image)
    assert status in (0, 3), (status, sorted(found))
    assert set(found) <= {"SPACE_LEAKED", "SPACE_UNUSED", "HEADER_GUIDS_DIFFER", "REGION_NOT_REQUIRED", "BAT_PADDING",
                          "FILE_SPARSE", "FILE_TRAILING_SPACE", "FIXED_NOT_PRESENT"}, sorted(found)
    vhdx("compare", image, os.path.join(folder, "in.raw"))
    assert disks.snapshot(image) == before


for mib in (1, 2, 4, 8, 16, 32, 64, 128, 256):
    @tap.case(f"dynamic, blocks of {mib} MiB", QEMU)
    def _(folder, block=mib):
        model = scattered(f"qemu {block}", 70 * MIB)
        judge(folder, qemu(folder, model, block_size=f"{block}M"), model)


@tap.case("fixed", QEMU)
def _(folder):
    model = scattered("qemu fixed", 21 * MIB)
    judge(folder, qemu(folder, model, subformat="fixed", block_size="1M"), model)


@tap.case("blocks that were never written are NOT_PRESENT instead of ZERO", QEMU)
def _(folder):
    model = scattered("qemu not present", 21 * MIB)
    judge(folder, qemu(folder, model, block_state_zero="off", block_size="1M"), model)


@tap.case("over 8 GiB, with data around each 4 GiB", QEMU)
def _(folder):
    model = scattered("qemu large", 9 * GIB + 512)
    for at in (4 * GIB, 8 * GIB):
        model.write(at - 70000, noise(f"around {at}", 140000))
    judge(folder, qemu(folder, model, block_size="1M"), model)


@tap.case("what qemu-io wrote in random order", tap.tool("qemu-io"), QEMU)
def _(folder):
    chance, model = random.Random(5), disks.Model(5 * GIB)
    image = os.path.join(folder, "disk.vhdx")
    command.run(["qemu-img", "create", "-f", "vhdx", "-o", "block_size=1M", image, str(model.size)])
    words = []
    for number in range(1, 120):
        at, length = chance.randrange(model.size // 4096 - 40) * 4096, chance.randrange(1, 40) * 4096
        words += ["-c", f"write -P {number} {at} {length}"]
        model.write(at, bytes([number]) * length)
    command.run(["qemu-io", "-f", "vhdx", *words, image])
    model.save(os.path.join(folder, "in.raw"))
    judge(folder, image, model)


@tap.case("an empty disk of 64 TiB", QEMU)
def _(folder):
    image = os.path.join(folder, "disk.vhdx")
    command.run(["qemu-img", "create", "-f", "vhdx", image, "64T"])
    assert vhdx_json("info", "--json", image)["virtual-size"] == 64 << 40
    extents = vhdx_json("map", "--json", image)
    assert len(extents) == 1 and extents[0]["zero"], extents[:3]


for kind in ("dynamic", "fixed"):
    @tap.case(f"info and map of a {kind} disk have qemu-img's keys and values", QEMU)
    def _(folder, what=kind):
        model = scattered(f"keys {what}", 40 * MIB, pieces=4)
        raw, image = os.path.join(folder, "x.raw"), os.path.join(folder, "x.vhdx")
        vhdx("convert", "--no-sync", "--type", what, "--block-size", "1M", model.save(raw), image)
        theirs, ours = peers.qemu_info(image), vhdx_json("info", "--json", image)
        for key in ("virtual-size", "filename", "cluster-size", "format", "actual-size", "dirty-flag"):
            assert ours[key] == theirs[key], (key, ours[key], theirs[key])
        # qemu-img takes any VHDX for one extent of data, wherever it lies.
        theirs, ours = peers.qemu_map(image), vhdx_json("map", "--json", image)
        for extent in ours:
            assert set(theirs[0]) - {"compressed"} <= set(extent), (theirs[0], extent)
            assert all(type(extent[k]) is type(theirs[0][k]) for k in theirs[0] if k in extent)
        assert sum(e["length"] for e in ours) == sum(e["length"] for e in theirs)


tap.main()
