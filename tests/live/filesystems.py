#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real file systems on disks that are mounted: made, filled, trimmed, checked by their own programs, and
read again; and the images, judged afterwards."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import shutil
import signal

import command
import disks
import judges
import mounts
import tables
import tap
from command import run, vhdx, vhdx_json
from disks import GIB, MIB, allocated, noise
from mounts import FUSE, LOOP, Loop, Mount, Mounted

SIZE = 2 * GIB
# What every machine has that can build this.
TREE = "/usr/include"


def program(name, *words, **how):
    return run([tap.find_tool(name), *words], **how)


def create(folder, *options, size=SIZE, name="disk.vhdx"):
    path = os.path.join(folder, name)
    vhdx("create", *options, path, *([str(size)] if size else []))
    return path


def copy_tree(place):
    """Thousands of small files, links, and a few large ones."""
    shutil.copytree(TREE, os.path.join(place, "tree"), symlinks=True)
    os.mkdir(os.path.join(place, "large"))
    for number in range(4):
        with open(os.path.join(place, "large", str(number)), "wb") as file:
            file.write(noise(f"large {number}", 8 * MIB + number))


def hashes(place):
    found = {}
    for where, folders, files in os.walk(place):
        for name in files + folders:
            path = os.path.join(where, name)
            key = os.path.relpath(path, place)
            if os.path.islink(path):
                found[key] = os.readlink(path)
            elif os.path.isfile(path):
                found[key] = disks.sha256(path)
    return found


def mapped(path):
    return sum(e["length"] for e in vhdx_json("map", "--json", path) if e["data"])


def is_sound(path, *args):
    status, found = command.check(path, *args)
    assert status == 0 or status == 3 and set(found) <= {"SPACE_LEAKED", "SPACE_UNUSED"}, (status, found)
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"
    if not judges.lint_there():
        judges.lint(path)


class Kind:
    """A file system: how it is made, mounted and checked."""

    def __init__(self, make, check, mount=("mount",)):
        self.make, self.check, self.mount = make, check, mount

    def needs(self):
        return tap.tool(self.make[0], self.check[0], self.mount[0])


EXT4 = Kind(["mkfs.ext4", "-q", "-F"], ["e2fsck", "-fn"])
XFS = Kind(["mkfs.xfs", "-q", "-f"], ["xfs_repair", "-n"])
VFAT = Kind(["mkfs.vfat"], ["fsck.vfat", "-n"])
NTFS = Kind(["mkntfs", "-F", "-Q", "-q"], ["ntfsfix", "-n"], ["ntfs-3g"])


def kernel_has(name):
    def need():
        with open("/proc/filesystems", encoding="ascii") as known:
            if name in known.read().split():
                return None
        done = run(["modprobe", name], status=None) if tap.find_tool("modprobe") else None
        return None if done and not done.status else f"the kernel has no {name}"
    return need


def checked(kind, where):
    program(*kind.check, where)


def on_device(folder, device, kind):
    """Makes the file system and fills it; returns the hashes. What is deleted is trimmed."""
    program(*kind.make, device)
    with Mounted(folder, device, *kind.mount) as place:
        copy_tree(place)
        expected = hashes(place)
        write_deleted(place, 24)
        os.unlink(os.path.join(place, "deleted"))
        run(["sync", "-f", place])
        program("fstrim", place)
    checked(kind, device)
    return expected


def write_deleted(place, count):
    with open(os.path.join(place, "deleted"), "wb") as file:
        for number in range(count):
            file.write(noise(str(number), 4 * MIB))
        os.fsync(file.fileno())


def still_there(folder, path, kind, expected, *options):
    """Mounted anew, for reading."""
    with Mount(folder, path) as mount, Loop(mount.path(), "-r", *options) as device:
        checked(kind, device)
        with Mounted(folder, device, *kind.mount, "-o", "ro") as place:
            assert hashes(place) == expected, "other files"


def whole_story(folder, path, kind, *options):
    with Mount(folder, path, "-w") as mount, Loop(mount.path(), *options) as device:
        expected = on_device(folder, device, kind)
    is_sound(path)
    still_there(folder, path, kind, expected, *options)
    return expected


@tap.case("ext4 on a dynamic disk: filled, trimmed, checked, and the same files after a remount", *LOOP,
          EXT4.needs(), tap.tool("fstrim"))
def _(folder):
    whole_story(folder, create(folder), EXT4)


@tap.case("XFS on a dynamic disk: filled, trimmed, checked, and the same files after a remount", *LOOP,
          XFS.needs(), kernel_has("xfs"), tap.tool("fstrim"))
def _(folder):
    whole_story(folder, create(folder, "--block-size", "1M"), XFS)


@tap.case("ext4 on a fixed disk", *LOOP, EXT4.needs(), tap.tool("fstrim"))
def _(folder):
    whole_story(folder, create(folder, "--type", "fixed", size=512 * MIB), EXT4)


@tap.case("ext4 on a disk with sectors of 4096 bytes", *LOOP, EXT4.needs(), tap.tool("fstrim"))
def _(folder):
    path = create(folder, "--sector-size", "4096")
    whole_story(folder, path, EXT4, "--sector-size", "4096")


@tap.case("ext4 on a child, whose parent stays as it is; and a child of a disk with files", *LOOP,
          EXT4.needs(), tap.tool("fstrim"))
def _(folder):
    parent = create(folder)
    expected = whole_story(folder, parent, EXT4)
    child = create(folder, "--parent", parent, size=0, name="child.vhdx")
    before = disks.snapshot(parent)
    with Mount(folder, child, "-w") as mount, Loop(mount.path()) as device:
        with Mounted(folder, device) as place:
            assert hashes(place) == expected
            shutil.rmtree(os.path.join(place, "tree"))
            with open(os.path.join(place, "large", "1"), "r+b") as file:
                file.write(noise("child", 100000))
            run(["sync", "-f", place])
            program("fstrim", place)
            changed = hashes(place)
        checked(EXT4, device)
    assert not disks.changes(before, disks.snapshot(parent))
    is_sound(child, "--chain")
    still_there(folder, child, EXT4, changed)
    still_there(folder, parent, EXT4, expected)


# ---- Partitions ----

def partitioned(folder, sector=512):
    """A GPT disk with two partitions of 400 MiB."""
    path = create(folder, "--sector-size", str(sector), size=GIB)
    unit = MIB // sector
    table = tables.gpt(GIB // sector, sector, {1: (unit, 401 * unit - 1), 2: (401 * unit, 801 * unit - 1)})
    with Mount(folder, path, "-w") as mount, open(mount.path(), "r+b") as disk:
        for number, data in table.items():
            disk.seek(number * sector)
            disk.write(data)
    return path


def fill_little(place):
    os.mkdir(os.path.join(place, "headers"))
    for name in sorted(os.listdir(TREE)):
        if os.path.isfile(os.path.join(TREE, name)):
            shutil.copy(os.path.join(TREE, name), os.path.join(place, "headers", name.lower()))
    with open(os.path.join(place, "large"), "wb") as file:
        file.write(noise(place[-3:], 20 * MIB + 1))
    return hashes(place)


def two_partitions(folder, kinds):
    """Made on the files themselves, mounted by loop devices, both at once."""
    path = partitioned(folder)
    expected = {}
    with Mount(folder, path, "-w") as mount:
        for name, kind in kinds.items():
            program(*kind.make, mount.path(name))
        with Loop(mount.path("p1")) as one, Loop(mount.path("p2")) as two, \
                Mounted(folder, one, *kinds["p1"].mount) as first, \
                Mounted(folder, two, *kinds["p2"].mount) as second:
            expected = {"p1": fill_little(first), "p2": fill_little(second)}
        for name, kind in kinds.items():
            checked(kind, mount.path(name))
    is_sound(path)
    with Mount(folder, path) as mount:
        for name, kind in kinds.items():
            with Loop(mount.path(name), "-r") as device, \
                    Mounted(folder, device, *kind.mount, "-o", "ro") as place:
                assert hashes(place) == expected[name], f"other files in {name}"


@tap.case("FAT and NTFS on the files of partitions, in use at the same time", *LOOP, VFAT.needs(),
          NTFS.needs(), kernel_has("vfat"))
def _(folder):
    two_partitions(folder, {"p1": VFAT, "p2": NTFS})


@tap.case("NTFS on a partition's file, by ntfs-3g, beside FAT on another's", *FUSE, VFAT.needs(),
          NTFS.needs(), tap.root)
def _(folder):
    path = partitioned(folder)
    with Mount(folder, path, "-w") as mount:
        program(*VFAT.make, mount.path("p1"))
        program(*NTFS.make, mount.path("p2"))
        with Mounted(folder, mount.path("p2"), "ntfs-3g") as place:
            expected = fill_little(place)
        checked(VFAT, mount.path("p1"))
    is_sound(path)
    with Mount(folder, path) as mount:
        checked(VFAT, mount.path("p1"))
        with Mounted(folder, mount.path("p2"), "ntfs-3g", "-o", "ro") as place:
            assert hashes(place) == expected


@tap.case("FAT on a partition's file, by mtools", *FUSE, VFAT.needs(), tap.tool("mcopy"))
def _(folder):
    path = partitioned(folder)
    source, back = os.path.join(folder, "source"), os.path.join(folder, "back")
    os.mkdir(source)
    os.mkdir(back)
    expected = fill_little(source)
    with Mount(folder, path, "-w") as mount:
        program(*VFAT.make, mount.path("p2"))
        run(["mcopy", "-s", "-i", mount.path("p2"), *(os.path.join(source, n) for n in os.listdir(source)), "::"])
        checked(VFAT, mount.path("p2"))
    is_sound(path)
    with Mount(folder, path) as mount:
        run(["mcopy", "-s", "-n", "-i", mount.path("p2"), "::*", back])
    assert hashes(back) == expected


@tap.case("ext4 on the files of partitions", *LOOP, EXT4.needs())
def _(folder):
    two_partitions(folder, {"p1": EXT4, "p2": EXT4})


@tap.case("mount -o loop of a partition's file needs no offset", *LOOP, EXT4.needs())
def _(folder):
    path = partitioned(folder)
    with Mount(folder, path, "-w") as mount:
        program(*EXT4.make, mount.path("p2"))
        with Mounted(folder, mount.path("p2"), "mount", "-o", "loop") as place:
            expected = fill_little(place)
        mounts.wait_for(lambda: not program("losetup", "-j", mount.path("p2")).out, "the loop device's end")
    with Mount(folder, path) as mount:
        with Mounted(folder, mount.path("p2"), "mount", "-o", "ro,loop") as place:
            assert hashes(place) == expected
        mounts.wait_for(lambda: not program("losetup", "-j", mount.path("p2")).out, "the loop device's end")


@tap.case("a partition of a disk with sectors of 4096 bytes, by losetup --sector-size", *LOOP, EXT4.needs())
def _(folder):
    path = partitioned(folder, 4096)
    with Mount(folder, path, "-w") as mount:
        with Loop(mount.path("p1"), "--sector-size", "4096") as device:
            program(*EXT4.make, device)
            with Mounted(folder, device) as place:
                expected = fill_little(place)
            checked(EXT4, device)
            with Mounted(folder, device, "mount", "-o", "ro") as place:
                assert hashes(place) == expected
    is_sound(path)


# ---- Space ----

def trims(folder, kind):
    path = create(folder, "--block-size", "1M")
    with Mount(folder, path, "-w") as mount, Loop(mount.path()) as device:
        program(*kind.make, device)
        with Mounted(folder, device) as place:
            run(["sync", "-f", place])
            empty = allocated(path)
            write_deleted(place, 32)
            run(["sync", "-f", place])
            full = allocated(path)
            os.unlink(os.path.join(place, "deleted"))
        # XFS frees what is deleted when it likes, and at the latest when it is unmounted.
        with Mounted(folder, device) as place:
            program("fstrim", place)
            trimmed = allocated(path)
    assert full - empty >= 120 * MIB and full - trimmed >= 100 * MIB, (empty, full, trimmed)
    assert mapped(path) < full - 100 * MIB, (mapped(path), full)
    is_sound(path)


@tap.case("fstrim gives the space of deleted files back, and vhdx map shows it: ext4", *LOOP, EXT4.needs(),
          tap.tool("fstrim"))
def _(folder):
    trims(folder, EXT4)


@tap.case("fstrim gives the space of deleted files back, and vhdx map shows it: XFS", *LOOP, XFS.needs(),
          kernel_has("xfs"), tap.tool("fstrim"))
def _(folder):
    trims(folder, XFS)


@tap.case("blkdiscard gives all space back", *LOOP, EXT4.needs(), tap.tool("blkdiscard"))
def _(folder):
    path = create(folder)
    with Mount(folder, path, "-w") as mount, Loop(mount.path()) as device:
        on_device(folder, device, EXT4)
        before = allocated(path)
        program("blkdiscard", "-f", device)
        assert allocated(path) < before // 10 and allocated(path) < 8 * MIB, (before, allocated(path))
    assert not mapped(path), mapped(path)
    is_sound(path)


# ---- A crash ----

@tap.case("ext4 whose mount is killed comes back by its journal, with all that was synced", *LOOP,
          EXT4.needs())
def _(folder):
    path = create(folder)
    with Mount(folder, path, "-w") as mount:
        with Loop(mount.path()) as device:
            program(*EXT4.make, device)
            with Mounted(folder, device) as place:
                copy_tree(place)
                expected = hashes(place)
                run(["sync", "-f", place])
                with open(os.path.join(place, "unsynced"), "wb") as file:
                    file.write(bytes(MIB))
                mount.process.send_signal(signal.SIGKILL)
                mount.process.wait()
    vhdx("replay", path)
    is_sound(path)
    with Mount(folder, path, "-w") as mount, Loop(mount.path()) as device:
        with Mounted(folder, device) as place:
            found = hashes(place)
        checked(EXT4, device)
    found.pop("unsynced", None)
    assert found == expected


if __name__ == "__main__":
    tap.main()
