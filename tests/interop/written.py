#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What we convert, other programs read with equal contents, and the strict judge finds nothing."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import peers
import tap
from command import vhdx
from disks import GIB, MIB, noise, scattered
from image import Image


def convert(folder, model, *options):
    raw = model.save(os.path.join(folder, "disk.raw"))
    image = os.path.join(folder, "disk.vhdx")
    vhdx("convert", "--no-sync", *options, raw, image)
    status, found = command.check(image)
    assert status == 0, (status, sorted(found))
    vhdx("compare", raw, image)
    os.unlink(raw)
    return image


def judge(folder, image, model, kind="dynamic", sector=512, pipe=True):
    """Judged by all programs that are there; at least one must be."""
    expected, judged = (model.digest(), model.size), []
    if not judges.lint_there():
        judged.append("lint")
        judges.lint(image, "--type", kind)
    if peers.have("qemu-img") and sector == 512:
        judged.append("qemu-img")
        peers.qemu_check(image)
        assert peers.qemu_digest(image, folder) == expected, "qemu-img reads other contents"
    if peers.have("7zz") and pipe:
        judged.append("7zz")
        assert peers.seven_digest(image) == expected, "7-Zip reads other contents"
    if peers.have("vhdiinfo"):
        judged.append("vhdiinfo")
        peers.vhdiinfo(image, model.size, kind)
    if not judged:
        raise tap.Skip("none of qemu-img, 7zz and vhdiinfo")


for mib in (1, 2, 4, 8, 16, 32, 64, 128, 256):
    for kind in ("dynamic", "fixed"):
        @tap.case(f"{kind}, blocks of {mib} MiB", *([tap.whole] if mib > 32 else []))
        def _(folder, what=kind, block=mib):
            model = scattered(f"{what} {block}", 21 * MIB)
            image = convert(folder, model, "--type", what, "--block-size", f"{block}M")
            judge(folder, image, model, what)


@tap.case("sectors of 4096")
def _(folder):
    model = disks.Model(21 * MIB)
    model.write(8192, noise("a", 4096))
    model.write(20 * MIB, noise("b", MIB))
    image = convert(folder, model, "--sector-size", "4096")
    judge(folder, image, model, sector=4096)


@tap.case("a size that is no whole number of MiB")
def _(folder):
    model = scattered("odd", 10 * MIB + 2 * 512)
    image = convert(folder, model, "--block-size", "1M")
    judge(folder, image, model)


@tap.case("an odd number of sectors, which 7-Zip refuses")
def _(folder):
    model = scattered("odder", 10 * MIB + 512)
    image = convert(folder, model, "--block-size", "1M")
    judge(folder, image, model, pipe=False)


@tap.case("a raw file that is no whole number of sectors gets zeros at its end")
def _(folder):
    model = disks.Model(3 * MIB + 100)
    model.write(3 * MIB, noise("end", 100))
    raw, image, back = (os.path.join(folder, n) for n in ("a.raw", "a.vhdx", "b.raw"))
    vhdx("convert", "--no-sync", model.save(raw), image)
    vhdx("convert", "--no-sync", image, back)
    assert os.path.getsize(back) == 3 * MIB + 512
    os.truncate(back, 3 * MIB + 100)
    assert disks.sha256(raw) == disks.sha256(back)


def chunk_boundary(size):
    """Data on both sides of each 4 GiB, and at both ends."""
    model = scattered("sparse", size, pieces=10)
    for at in range(4 * GIB, size, 4 * GIB):
        model.write(at - 70000, noise(f"around {at}", 140000))
    return model


for mib in (1, 2, 32):
    @tap.case(f"dynamic over 8 GiB, blocks of {mib} MiB")
    def _(folder, block=mib):
        model = chunk_boundary(9 * GIB + 3 * MIB)
        image = convert(folder, model, "--block-size", f"{block}M")
        judge(folder, image, model, pipe=False)


@tap.case("dynamic over 4 GiB, through 7-Zip", tap.tool("7zz"), tap.whole)
def _(folder):
    model = chunk_boundary(4 * GIB + 64 * MIB)
    image = convert(folder, model)
    assert peers.seven_digest(image) == (model.digest(), model.size)


@tap.case("fixed over 4 GiB: bitmap entries stand between its blocks too", tap.whole)
def _(folder):
    model = chunk_boundary(4 * GIB + 64 * MIB)
    image = convert(folder, model, "--type", "fixed", "--block-size", "32M")
    judge(folder, image, model, "fixed", pipe=False)


@tap.case("a fixed disk is in order: its contents are one piece of the file", tap.tool("cmp"))
def _(folder):
    model = scattered("flat", 20 * MIB)
    image = convert(folder, model, "--type", "fixed")
    extents = command.vhdx_json("map", "--json", image)
    data = [e for e in extents if e["data"]]
    shift = {e["offset"] - e["start"] for e in data}
    assert len(shift) == 1, shift
    with open(image, "rb") as file:
        file.seek(shift.pop())
        assert file.read(20 * MIB) == model.read(0, 20 * MIB)


@tap.case("libvhdi reads a dynamic disk with equal contents", tap.root, tap.tool("vhdimount"))
def _(folder):
    model = scattered("vhdi", 21 * MIB)
    image = convert(folder, model)
    with peers.Mounted(image, folder) as file:
        assert disks.sha256(file) == disks.sha256(model.save(os.path.join(folder, "x.raw")))


@tap.case("libvhdi reads the first 4 GiB of a fixed disk, and is known to show zeros behind",
          tap.root, tap.tool("vhdimount"), tap.whole)
def _(folder):
    model = chunk_boundary(4 * GIB + 64 * MIB)
    image = convert(folder, model, "--type", "fixed", "--block-size", "32M")
    with peers.Mounted(image, folder) as file, open(file, "rb", buffering=0) as disk:
        assert os.fstat(disk.fileno()).st_size == model.size
        for at in (0, 4 * GIB - 70000 & -512):
            assert os.pread(disk.fileno(), 65536, at) == model.read(at, 65536), hex(at)


@tap.case("libvhdi reads a dynamic disk on both sides of 4 GiB", tap.root, tap.tool("vhdimount"))
def _(folder):
    model = chunk_boundary(4 * GIB + 64 * MIB)
    image = convert(folder, model)
    with peers.Mounted(image, folder) as file, open(file, "rb", buffering=0) as disk:
        for at in (0, 4 * GIB - 65536, 4 * GIB, model.size - 65536):
            assert os.pread(disk.fileno(), 65536, at) == model.read(at, 65536), hex(at)


@tap.case("a new image says nothing but zeros where the source has zeros")
def _(folder):
    model = scattered("holes", 64 * MIB, pieces=3)
    image = convert(folder, model, "--block-size", "1M")
    touched = {number * disks.PAGE // MIB for number, page in model.pages.items() if any(page)}
    present = sum(e["length"] for e in command.vhdx_json("map", "--json", image) if e["data"])
    assert present <= len(touched) * MIB, (present, len(touched))
    assert os.path.getsize(image) == (4 + len(touched)) * MIB, os.path.getsize(image)


@tap.case("written zeros take no space either")
def _(folder):
    raw, image = os.path.join(folder, "x.raw"), os.path.join(folder, "x.vhdx")
    with open(raw, "wb") as out:
        for _ in range(16):
            out.write(bytes(MIB))
    vhdx("convert", "--no-sync", raw, image)
    assert os.path.getsize(image) <= 4 * MIB, os.path.getsize(image)


@tap.case("7-Zip reads a child through its parent", tap.tool("7zz"))
def _(folder):
    parent = Image("base", 8 * MIB, 2 * MIB)
    parent.full(1, {0: noise("base", 65536)})
    child = Image("child", 8 * MIB, parent=parent)
    child.partial(2, {512: noise("child", 512)})
    parent.write(folder)
    path = child.write(folder)
    raw = os.path.join(folder, "x.raw")
    vhdx("convert", "--no-sync", path, raw)
    assert (disks.digest(raw), os.path.getsize(raw)) == peers.seven_digest(path)


tap.main()
