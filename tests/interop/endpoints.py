#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Contents go from any source to any destination unchanged: files, pipes and block devices."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import smallfs
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB, noise, scattered

SIZE = 21 * MIB


def start(folder, size=SIZE):
    model = scattered("endpoints", size)
    raw, image = os.path.join(folder, "a.raw"), os.path.join(folder, "a.vhdx")
    model.save(raw)
    vhdx("convert", "--no-sync", raw, image)
    return model, raw, image, os.path.join(folder, "out")


def is_same(path, model):
    assert os.path.getsize(path) == model.size, (os.path.getsize(path), model.size)
    assert disks.digest(path) == model.digest(), "other contents"


@tap.case("raw to VHDX to raw")
def _(folder):
    model, _, image, out = start(folder)
    vhdx("convert", image, out + ".raw")
    is_same(out + ".raw", model)


@tap.case("raw to raw")
def _(folder):
    model, raw, _, out = start(folder)
    vhdx("convert", raw, out + ".raw")
    is_same(out + ".raw", model)


for kind, block in (("dynamic", 1), ("dynamic", 32), ("fixed", 2), ("fixed", 4)):
    @tap.case(f"VHDX to VHDX, {kind}, blocks of {block} MiB")
    def _(folder, what=kind, mib=block):
        model, _, image, out = start(folder)
        path = out + ".vhdx"
        vhdx("convert", "--type", what, "--block-size", f"{mib}M", image, path)
        shown = vhdx_json("info", "--json", path)["vhdx"]
        assert shown["type"] == what and shown["block-size"] == mib * MIB, shown
        vhdx("compare", image, path)
        vhdx("convert", path, out + ".raw")
        is_same(out + ".raw", model)
        assert command.check(path)[0] == 0


@tap.case("VHDX to VHDX keeps block and sector sizes, and becomes another disk's file")
def _(folder):
    model, raw, image, out = start(folder)
    vhdx("convert", "--force", "--block-size", "8M", "--sector-size", "4096", raw, image)
    vhdx("convert", image, out + ".vhdx")
    one, two = (vhdx_json("info", "--json", p)["vhdx"] for p in (image, out + ".vhdx"))
    for key in ("block-size", "logical-sector-size", "physical-sector-size"):
        assert one[key] == two[key], (key, one[key], two[key])
    assert one["data-write-guid"] != two["data-write-guid"]
    assert model.size == SIZE


@tap.case("a child is read through its chain")
def _(folder):
    from image import Image
    parent = Image("base", 8 * MIB, 2 * MIB)
    parent.full(1, {0: noise("base", 65536)})
    child = Image("child", 8 * MIB, parent=parent)
    child.partial(2, {512: noise("child", 512)})
    parent.write(folder)
    out = os.path.join(folder, "flat.vhdx")
    vhdx("convert", child.write(folder), out)
    shown = vhdx_json("info", "--json", out)["vhdx"]
    assert shown["type"] == "dynamic" and "parent" not in shown
    vhdx("convert", out, out + ".raw")
    is_same(out + ".raw", child.guest)


@tap.case("VHDX to standard output, a pipe")
def _(folder):
    model, _, image, _ = start(folder)
    process = subprocess.Popen([VHDX, "convert", "-O", "raw", image, "-"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    found = disks.digest_stream(process.stdout)
    assert process.wait() == 0 and not process.stderr.read()
    assert found == (model.digest(), model.size)


@tap.case("VHDX to standard output, a file")
def _(folder):
    model, _, image, out = start(folder)
    with open(out, "wb") as file:
        vhdx("convert", image, "-", stdout=file)
    is_same(out, model)


@tap.case("standard input, a pipe, to VHDX", tap.tool("cat"))
def _(folder):
    model, raw, _, out = start(folder)
    with subprocess.Popen(["cat", raw], stdout=subprocess.PIPE) as cat:
        vhdx("convert", "-", out + ".vhdx", stdin=cat.stdout)
    vhdx("compare", raw, out + ".vhdx")
    assert command.check(out + ".vhdx")[0] == 0
    assert vhdx_json("info", "--json", out + ".vhdx")["virtual-size"] == model.size


@tap.case("standard input, a file, to VHDX")
def _(folder):
    _, raw, _, out = start(folder)
    with open(raw, "rb") as file:
        vhdx("convert", "-", out + ".vhdx", stdin=file)
    vhdx("compare", raw, out + ".vhdx")


@tap.case("standard input that brings few bytes at a time")
def _(folder):
    raw, out = os.path.join(folder, "a.raw"), os.path.join(folder, "b.vhdx")
    data = noise("dribble", 700) * 3 + bytes(5000) + noise("more", 300)
    with open(raw, "wb") as file:
        file.write(data)
    reading, writing = os.pipe()
    process = subprocess.Popen([VHDX, "convert", "-", out], stdin=reading, stderr=subprocess.PIPE)
    os.close(reading)
    for i in range(0, len(data), 101):
        os.write(writing, data[i:i + 101])
    os.close(writing)
    assert process.wait() == 0, process.stderr.read()
    vhdx("compare", raw, out)
    assert vhdx_json("info", "--json", out)["virtual-size"] == -(-len(data) // 512) * 512


@tap.case("standard input to standard output")
def _(folder):
    model, raw, _, out = start(folder)
    with open(raw, "rb") as source, open(out, "wb") as file:
        vhdx("convert", "-f", "raw", "-O", "raw", "-", "-", stdin=source, stdout=file)
    is_same(out, model)


@tap.case("a VHDX cannot be written to a pipe, and says so")
def _(folder):
    _, raw, _, _ = start(folder)
    command.fails("convert", "-O", "vhdx", raw, "-")


@tap.case("-f raw copies an image's own bytes")
def _(folder):
    _, _, image, out = start(folder)
    vhdx("convert", "-f", "raw", "-O", "raw", image, out)
    assert disks.sha256(image) == disks.sha256(out)


@tap.case("a destination's format is by its suffix, and -O counts over it")
def _(folder):
    _, raw, image, out = start(folder)
    for name, arguments, is_image in (("1.vhdx", [], True), ("2.avhdx", [], True), ("3.VHDX", [], True),
                                      ("4.img", [], False), ("5", [], False),
                                      ("6.vhdx", ["-O", "raw"], False), ("7.img", ["-O", "vhdx"], True)):
        path = out + name
        vhdx("convert", "--no-sync", *arguments, raw, path)
        with open(path, "rb") as file:
            assert (file.read(8) == b"vhdxfile") == is_image, name
    assert os.path.exists(image)


@tap.case("--threads 1 and 64, --direct and --no-sync make the same contents")
def _(folder):
    model, _, image, out = start(folder)
    for number, arguments in enumerate((["--threads", "1"], ["--threads", "64"], ["--direct"],
                                        ["--no-sync"], ["--no-holes"])):
        vhdx("convert", *arguments, image, f"{out}{number}.raw")
        is_same(f"{out}{number}.raw", model)
    st = os.stat(f"{out}4.raw")
    assert st.st_blocks * 512 >= st.st_size, "--no-holes left holes"


@tap.case("--no-holes: a VHDX without holes")
def _(folder):
    _, raw, _, out = start(folder)
    vhdx("convert", "--no-holes", "--type", "fixed", raw, out + ".vhdx")
    st = os.stat(out + ".vhdx")
    assert st.st_blocks * 512 >= st.st_size
    vhdx("compare", raw, out + ".vhdx")


class Loop:
    """A block device over a file."""

    def __init__(self, path, *options):
        done = subprocess.run([tap.find_tool("losetup"), "--show", "-f", *options, path],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise tap.Skip(f"losetup: {done.stderr}")
        self.device = done.stdout.strip()

    def __enter__(self):
        return self.device

    def __exit__(self, *_):
        subprocess.run([tap.find_tool("losetup"), "-d", self.device], check=True)


LOOP = (tap.root, tap.tool("losetup"))


def filled(folder, size, name="device"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(b"\xa5" * MIB)
        file.write(b"\xa5" * (size % MIB))
    return path


@tap.case("VHDX to a block device, whose old contents are gone", *LOOP)
def _(folder):
    model, _, image, _ = start(folder)
    with Loop(filled(folder, SIZE)) as device:
        vhdx("convert", "-O", "raw", image, device)
        vhdx("compare", image, device)
    is_same(os.path.join(folder, "device"), model)


@tap.case("a block device that is larger keeps what lies behind", *LOOP)
def _(folder):
    model, _, image, _ = start(folder)
    path = filled(folder, SIZE + MIB)
    with Loop(path) as device:
        vhdx("convert", image, device)
    with open(path, "rb") as file:
        file.seek(SIZE)
        assert file.read() == b"\xa5" * MIB
    os.truncate(path, SIZE)
    is_same(path, model)


@tap.case("a block device that is too small is refused before it is written", *LOOP)
def _(folder):
    _, _, image, _ = start(folder)
    path = filled(folder, SIZE - MIB)
    before = disks.sha256(path)
    with Loop(path) as device:
        command.fails("convert", image, device)
    assert disks.sha256(path) == before


@tap.case("a block device to VHDX", *LOOP)
def _(folder):
    _, raw, _, out = start(folder)
    with Loop(raw, "-r") as device:
        vhdx("convert", device, out + ".vhdx")
    vhdx("compare", raw, out + ".vhdx")


@tap.case("a VHDX that lies on a block device is read", *LOOP)
def _(folder):
    model, _, image, out = start(folder)
    with Loop(image, "-r") as device:
        vhdx("convert", device, out)
        assert vhdx_json("info", "--json", device)["virtual-size"] == SIZE
    is_same(out, model)


@tap.case("a block device is not read and written at once", *LOOP)
def _(folder):
    _, raw, _, _ = start(folder)
    before = disks.sha256(raw)
    with Loop(raw) as device:
        command.fails("convert", device, device)
    assert disks.sha256(raw) == before


def cached(path):
    """Bytes of a file that the page cache holds."""
    return int(command.run(["fincore", "-b", "-n", "-o", "RES", path]).out)


def drop_cached(path):
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


@tap.case("--direct leaves nothing of contents in the page cache, at either end", tap.tool("fincore"),
          *dict(smallfs.KINDS)["ext4"])
def _(folder):
    with smallfs.Mount("ext4", folder, 256 * MIB) as point:
        raw, disk, back = (os.path.join(point, name) for name in ("a.raw", "a.vhdx", "b.raw"))
        with open(raw, "wb") as file:
            file.write(noise("cached", MIB) * 40 + b"end")
        assert cached(raw) > 30 * MIB
        drop_cached(raw)
        # What is left: tables, and the last bytes, for which direct transfers are not made.
        for source, out in ((raw, disk), (disk, back)):
            drop_cached(source)
            vhdx("convert", "--direct", "--no-clone", source, out)
            assert cached(source) + cached(out) < MIB, (source, cached(source), cached(out))
        command.run(["cmp", "-n", str(40 * MIB + 3), raw, back])
        drop_cached(disk)
        with open("/dev/null", "wb") as null:
            vhdx("convert", "--direct", disk, "-", stdout=null)
        assert cached(disk) < MIB, cached(disk)


tap.main()
