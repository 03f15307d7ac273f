#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx compact --free-space on disks whose file systems were used: filled, emptied, unmounted or not."""
import os
import random
import shutil
import signal
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import killing
import tables
import tap
from command import VHDX, run, vhdx, vhdx_json
from disks import GIB, MIB, noise
from mounts import LOOP, Loop, Mount, Mounted


def built():
    return None if os.environ.get("VHDX_FREESPACE") else "built without --free-space"


NEEDS = (built, *LOOP, tap.tool("mkfs.ext4", "e2fsck"))


def program(name, *words, **how):
    return run([tap.find_tool(name), *words], **how)


def create(folder, *options, size=4 * GIB, name="disk.vhdx"):
    path = os.path.join(folder, name)
    vhdx("create", *options, path, *([str(size)] if size else []))
    return path


def fill(place, total, kept):
    """Files of @total bytes beside each other, some of which are to be kept."""
    top = os.path.join(place, "files")
    os.makedirs(top, exist_ok=True)
    chance, written, held, number = random.Random(total), 0, 0, 0
    while written < total:
        size = chance.choice((3000, 30000, 300000, 3000000, 11000000))
        name = "keep" if held < kept and chance.random() < 0.2 else "gone"
        with open(os.path.join(top, f"{name}.{number}"), "wb") as file:
            file.write((noise(str(number), 65536) * (size // 65536 + 1))[:size])
        written, held, number = written + size, held + size * (name == "keep"), number + 1
    run(["sync", "-f", place])


def delete(place, kind):
    top = os.path.join(place, "files")
    for name in os.listdir(top):
        if name.startswith(kind):
            os.unlink(os.path.join(top, name))
    run(["sync", "-f", place])


def hashes(place):
    return {os.path.join(where, name)[len(place):]: disks.sha256(os.path.join(where, name))
            for where, _, files in os.walk(place) for name in files}


def use(folder, path, total=200 * MIB, kept=10 * MIB, make=()):
    """A file system on the whole disk that was filled, then emptied; returns what it holds."""
    with Mount(folder, path, "-w") as mount, Loop(mount.path()) as device:
        program("mkfs.ext4", "-q", "-F", "-E", "nodiscard", *make, device)
        with Mounted(folder, device, "mount", "-o", "nodiscard") as place:
            fill(place, total, kept)
            delete(place, "gone")
            return hashes(place)


def is_sound(path):
    status, found = command.check(path, "--chain")
    assert status == 0, found
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"
    if not judges.lint_there():
        judges.lint(path)


def holds(folder, path, expected, name="disk"):
    """The file system is clean, and its files are what they were."""
    is_sound(path)
    with Mount(folder, path) as mount, Loop(mount.path(name), "-r") as device:
        program("e2fsck", "-fn", device)
        with Mounted(folder, device, "mount", "-o", "ro") as place:
            assert hashes(place) == expected, "other files"


def compact(path, *options):
    return vhdx_json("compact", "--json", *options, path)


def size_of(path):
    return os.path.getsize(path)


@tap.case("a disk whose files were deleted shrinks to near what it holds, and the files stay", *NEEDS)
def _(folder):
    path = create(folder, "--block-size", "1M")
    expected = use(folder, path)
    before = size_of(path)
    assert before > 200 * MIB, before
    compact(path)
    assert size_of(path) > before - 20 * MIB, "most is not zeros, and nobody said that it is free"
    before = disks.snapshot(path)
    told = compact(path, "--dry-run", "--free-space")
    assert not disks.changes(before, disks.snapshot(path))
    done = compact(path, "--free-space")
    assert done["unused-blocks"] > 150 and told["file-size-after"] == size_of(path) == done["file-size-after"]
    assert size_of(path) < 60 * MIB, size_of(path)
    holds(folder, path, expected)
    again = compact(path, "--free-space")
    assert not again["unused-blocks"] and not again["moved-blocks"], again


@tap.case("what was compacted can be written again, and compacted again", *NEEDS)
def _(folder):
    path = create(folder, "--block-size", "1M", size=GIB)
    use(folder, path, total=100 * MIB)
    compact(path, "--free-space")
    small = size_of(path)
    with Mount(folder, path, "-w") as mount, Loop(mount.path()) as device:
        with Mounted(folder, device, "mount", "-o", "nodiscard") as place:
            delete(place, "keep")
            fill(place, 90 * MIB, 9 * MIB)
            delete(place, "gone")
            expected = hashes(place)
    large = size_of(path)
    compact(path, "--free-space")
    assert size_of(path) < small + 20 * MIB < large, (small, large, size_of(path))
    holds(folder, path, expected)


@tap.case("blocks of 32 MiB: those go that are free as a whole", *NEEDS)
def _(folder):
    path = create(folder, "--block-size", "32M", size=2 * GIB)
    expected = use(folder, path, total=300 * MIB)
    before = size_of(path)
    done = compact(path, "--free-space")
    assert done["unused-blocks"] >= 3 and size_of(path) <= before - 3 * 32 * MIB, done
    holds(folder, path, expected)


@tap.case("into a new file", *NEEDS)
def _(folder):
    path, new = create(folder, "--block-size", "1M", size=GIB), os.path.join(folder, "new.vhdx")
    expected = use(folder, path, total=100 * MIB)
    before = disks.snapshot(path)
    compact(path, "--free-space", "--output", new)
    assert not disks.changes(before, disks.snapshot(path))
    assert size_of(new) < size_of(path) - 60 * MIB
    holds(folder, new, expected)


@tap.case("a fixed disk becomes a small dynamic one", *NEEDS)
def _(folder):
    path, new = create(folder, "--type", "fixed", size=512 * MIB), os.path.join(folder, "new.vhdx")
    expected = use(folder, path, total=100 * MIB, make=("-J", "size=4"))
    compact(path, "--free-space", "--output", new)
    assert size_of(new) < 60 * MIB, size_of(new)
    holds(folder, new, expected)


@tap.case("a child: what its file system frees goes, whoever held it; the parent stays as it is", *NEEDS)
def _(folder):
    parent = create(folder, "--block-size", "1M", size=GIB)
    with Mount(folder, parent, "-w") as mount, Loop(mount.path()) as device:
        program("mkfs.ext4", "-q", "-F", "-E", "nodiscard", device)
        with Mounted(folder, device, "mount", "-o", "nodiscard") as place:
            fill(place, 60 * MIB, 6 * MIB)
    child = create(folder, "--parent", parent, "--block-size", "1M", size=0, name="child.vhdx")
    before = disks.snapshot(parent)
    with Mount(folder, child, "-w") as mount, Loop(mount.path()) as device:
        with Mounted(folder, device, "mount", "-o", "nodiscard") as place:
            with open(os.path.join(place, "files", "gone.more"), "wb") as file:
                file.write(noise("more", MIB) * 50)
            run(["sync", "-f", place])
            delete(place, "gone")
            expected = hashes(place)
    large = size_of(child)
    compact(child, "--free-space")
    assert size_of(child) < large - 40 * MIB, (large, size_of(child))
    assert not disks.changes(before, disks.snapshot(parent))
    holds(folder, child, expected)


@tap.case("partitions: ext4 gives its free space, FAT beside it stays as it is, and is named", *NEEDS,
          tap.tool("mkfs.vfat"))
def _(folder):
    path = create(folder, "--block-size", "1M", size=GIB)
    table = tables.gpt(GIB // 512, 512, {1: (2048, 101 * 2048 - 1), 2: (101 * 2048, 1001 * 2048 - 1)})
    with Mount(folder, path, "-w") as mount, open(mount.path(), "r+b") as disk:
        for number, data in table.items():
            disk.seek(number * 512)
            disk.write(data)
    with Mount(folder, path, "-w") as mount:
        program("mkfs.vfat", mount.path("p1"))
        with open(mount.path("p1"), "r+b") as file:
            file.seek(50 * MIB)
            file.write(noise("not in any file", MIB) * 20)
        program("mkfs.ext4", "-q", "-F", "-E", "nodiscard", mount.path("p2"))
        with Loop(mount.path("p2")) as device, Mounted(folder, device, "mount", "-o", "nodiscard") as place:
            fill(place, 100 * MIB, 5 * MIB)
            delete(place, "gone")
            expected = hashes(place)
        vfat = disks.digest(mount.path("p1"))
    large = size_of(path)
    assert "Left alone: vfat in partition 1." in vhdx("compact", "--free-space", path).out
    assert size_of(path) < large - 60 * MIB, (large, size_of(path))
    holds(folder, path, expected, "p2")
    assert compact(path, "--free-space")["left-alone"] == "vfat in partition 1"
    with Mount(folder, path) as mount:
        assert disks.digest(mount.path("p1")) == vfat


@tap.case("a file system that was not unmounted is refused, and nothing is changed", *NEEDS)
def _(folder):
    path = create(folder, "--block-size", "1M", size=GIB)
    with Mount(folder, path, "-w") as mount:
        with Loop(mount.path()) as device:
            program("mkfs.ext4", "-q", "-F", device)
            with Mounted(folder, device) as place:
                fill(place, 20 * MIB, 5 * MIB)
                mount.process.send_signal(signal.SIGKILL)
                mount.process.wait()
    vhdx("replay", path)
    before = disks.snapshot(path)
    command.fails("compact", "--free-space", path,
                  says=r"the ext4 on the whole disk was not unmounted.*\(mount and unmount it, or run e2fsck on it, first\)")
    assert not disks.changes(before, disks.snapshot(path))


@tap.case("killed at any moment, and run again: always the same files, and in the end the smaller one", *NEEDS)
def _(folder):
    with killing.quick_folder(folder) as top:
        kill_compact(top)


def kill_compact(folder):
    model, work = os.path.join(folder, "model"), os.path.join(folder, "work")
    os.mkdir(model)
    use(folder, create(model, "--block-size", "1M", size=512 * MIB), total=50 * MIB, make=("-J", "size=4"))
    path, raw = os.path.join(work, "disk.vhdx"), os.path.join(folder, "files.raw")
    argv = [VHDX, "compact", "-q", "--free-space", path]
    expected, sizes = {}, set()

    def files():
        """What debugfs finds, for mounts would take too long."""
        vhdx("convert", "-q", "--force", path, raw)
        program("e2fsck", "-fn", raw)
        out = os.path.join(folder, "out")
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        program("debugfs", "-R", f"rdump /files {out}", raw)
        return hashes(out)

    def left():
        status, found = command.check(path)
        faults = {name for name, all_of_it in found.items() if all_of_it[0]["severity"] != "note"}
        assert status == 0 or status == 3 and faults == {"SPACE_LEAKED"}, (status, found)
        assert files() == expected

    def done():
        is_sound(path)
        assert files() == expected
        sizes.add(size_of(path))

    killing.copy_all(model, work)
    expected.update(files())
    assert expected
    killing.kill_often("free space", argv, lambda: killing.copy_all(model, work), left, done=done)
    assert max(sizes) < 40 * MIB, sizes


tap.main()
