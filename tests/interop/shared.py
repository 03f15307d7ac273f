#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""On file systems that share blocks, convert takes no space for what it copies, and others read the result."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import script
import tap
from command import vhdx
from disks import MIB, noise
from mounts import Loop, Mounted, loop_devices

SYSTEMS = (("xfs", ["mkfs.xfs", "-q", "-m", "reflink=1"]), ("btrfs", ["mkfs.btrfs", "-q"]))
# More than all tables of an image and the file system's own, less than a tenth of the data.
LITTLE = 6 * MIB


class System:
    """A new file system of a kind, mounted; gives its folder."""

    def __init__(self, folder, make):
        self.folder = folder
        path = os.path.join(folder, "system")
        with open(path, "wb") as file:
            file.truncate(600 * MIB)
        command.run([tap.find_tool(make[0]), *make[1:], path])
        self.loop = Loop(path)

    def __enter__(self):
        try:
            self.mounted = Mounted(self.folder, self.loop.device)
        except AssertionError as error:
            self.loop.__exit__()
            raise tap.Skip(error) from None
        return self.mounted.__enter__()

    def __exit__(self, kind, *rest):
        try:
            self.mounted.__exit__(kind, *rest)
        finally:
            self.loop.__exit__()


def used(point):
    """Bytes, when all is written that is going to be."""
    os.sync()
    st = os.statvfs(point)
    return (st.f_blocks - st.f_bfree) * st.f_frsize


def shared(path):
    """Bytes of the file in blocks that another file has too."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    told = command.run([tap.find_tool("filefrag"), "-v", "-b4096", path]).out
    columns = [line.split(":") for line in told.splitlines() if "shared" in line.split(":")[-1]]
    return sum(int(column[3]) for column in columns) * 4096


def takes_little(point, before, data, path, *args):
    """That convert made @path of data that it shares."""
    command.vhdx("convert", *args, path)
    assert shared(path) >= data - LITTLE, (shared(path), data)
    assert used(point) - before <= LITTLE, (before, used(point))


def make_raw(path, size, places):
    """A file of that size with data in it, a MiB each, and in its last bytes."""
    with open(path, "wb") as file:
        for place in places:
            file.seek(place)
            file.write(noise(f"{path} {place}", MIB))
        file.truncate(size)
        file.seek(size - 700)
        file.write(noise("end", 700))
        file.flush()
        os.fsync(file.fileno())
    return path


for kind, words in SYSTEMS:
    needs = (tap.root, loop_devices, tap.tool(words[0], "mount", "umount", "filefrag"))

    @tap.case(f"{kind}: a disk and a raw file share their blocks, both ways", *needs)
    def _(folder, make=tuple(words)):
        with System(folder, make) as point:
            size = 1 << 30 | 513
            raw = make_raw(os.path.join(point, "in.raw"), size, range(MIB, 64 * MIB, MIB))
            image, back = (os.path.join(point, name) for name in ("disk.vhdx", "back.raw"))
            data, before = 63 * MIB, used(point)
            takes_little(point, before, data, image, raw)
            takes_little(point, used(point), data, back, image)
            vhdx("compare", raw, back)
            os.truncate(back, size)
            assert disks.digest(back) == disks.digest(raw)
            assert disks.allocated(back) <= data + MIB and disks.allocated(image) <= data + 8 * MIB
            assert command.check(image)[0] == 0
            if not judges.lint_there():
                judges.lint(image)
            if tap.find_tool("qemu-img"):
                command.run(["qemu-img", "compare", "-f", "raw", "-F", "vhdx", raw, image])

    @tap.case(f"{kind}: --direct shares too; --no-clone, --no-holes and fixed disks do not", *needs)
    def _(folder, make=tuple(words)):
        with System(folder, make) as point:
            raw = make_raw(os.path.join(point, "in.raw"), 80 * MIB, range(0, 40 * MIB, MIB))
            data = 40 * MIB
            takes_little(point, used(point), data, os.path.join(point, "a.vhdx"), "--direct", raw)
            takes_little(point, used(point), data, os.path.join(point, "a.raw"), "--direct", raw)
            for number, args in enumerate((["--no-clone"], ["--no-holes"], ["--type", "fixed"],
                                           ["--no-clone", "-O", "raw"], ["--no-holes", "-O", "raw"])):
                out, before = os.path.join(point, f"{number}.x"), used(point)
                vhdx("convert", *(args if "-O" in args else ["-O", "vhdx", *args]), raw, out)
                assert not shared(out), (args, shared(out))
                assert used(point) - before >= data - MIB, args
                vhdx("compare", raw, out)

    @tap.case(f"{kind}: a child shares with its own file and its parent's", *needs)
    def _(folder, make=tuple(words)):
        with System(folder, make) as point:
            raw = make_raw(os.path.join(point, "in.raw"), 100 * MIB, range(0, 60 * MIB, MIB))
            parent, child, out = (os.path.join(point, name) for name in ("p.vhdx", "c.vhdx", "out.raw"))
            vhdx("convert", "--block-size", "2M", raw, parent)
            vhdx("create", "--parent", parent, child)
            script.vhdxio(child, lines=["write 4M 2M seed:1", "write 10486272 300K seed:2", "write 22020096 512 seed:3",
                                        "zero 30M 4M"])
            before = used(point)
            vhdx("convert", child, out)
            assert shared(out) >= 54 * MIB, shared(out)  # 4 MiB are zeros
            assert used(point) - before <= LITTLE
            vhdx("compare", child, out)


tap.main()
