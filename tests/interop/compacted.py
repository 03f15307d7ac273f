#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disks that were made smaller: others read what was there before; whole chains do; killed and run again, on a
full disk, the result is right."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import random
import shutil

import command
import disks
import judges
import killing
import peers
import tap
from changes import create, raw_of, reference_digest
from command import VHDX, vhdx, vhdx_json
from disks import GIB, KIB, MIB, TIB
from script import Script, vhdxio

READ_WHOLE = 5 * GIB
RAW_MOST = 8 * TIB


def judge(path, expected, folder, alone=True, lint=True):
    """The disk has these contents, whoever reads it, and nothing is wrong with its image."""
    known = vhdx_json("info", "--json", path)
    size = known["virtual-size"]
    if size <= RAW_MOST:
        assert disks.digest(raw_of(path, folder)) == expected, "we read something else"
        assert reference_digest(path, folder) in (expected, None), "the reference reader sees other contents"
    status, found = command.check(path)
    assert status == 0, (status, sorted(found))
    if lint and not judges.lint_there():
        judges.lint(path)
    if not alone or known["vhdx"]["logical-sector-size"] != 512:
        return
    if peers.have("qemu-img"):
        peers.qemu_check(path)
        assert size > READ_WHOLE or peers.qemu_digest(path, folder)[0] == expected, "QEMU reads something else"
    if peers.have("7zz") and not size % KIB:
        peers.seven_list(path, size)
        assert size > READ_WHOLE or peers.seven_digest(path)[0] == expected, "7-Zip reads something else"


def use(path, script, name, block):
    """Data all over the disk, and blocks that hold zeros."""
    chance, size = random.Random(name), script.model.size
    for _ in range(12):
        at = chance.randrange(0, size // block + 1) * block
        script.write(min(at, size - 4096), 4096)
    for _ in range(6):
        at = chance.randrange(0, max(1, size // block)) * block
        script.write(at, 512)
        script.zero(at, min(block, size - at))
    script.write(size - 4096, 4096)
    script.run(path)


def compact(path, *words):
    """As much as a dry run says, and a second run finds nothing to do."""
    said = vhdx_json("compact", "--json", "--dry-run", *words, path)
    done = vhdx_json("compact", "--json", *words, path)
    del said["dry-run"], done["dry-run"]
    assert said == done, (said, done)
    assert os.path.getsize(path) == done["file-size-after"] <= done["file-size-before"]
    before = disks.sha256(path) if done["file-size-after"] < GIB else None
    assert vhdx_json("compact", "--json", path)["file-size-after"] == done["file-size-after"]
    assert before is None or disks.sha256(path) == before
    return done


SHAPES = [
    ("1 MiB blocks", ["--block-size", "1M"], 60 * MIB + 512, MIB),
    ("32 MiB blocks", ["--block-size", "32M"], 600 * MIB, 32 * MIB),
    ("4096-byte sectors", ["--sector-size", "4096", "--block-size", "1M"], 60 * MIB + 4096, MIB),
    ("no holes", ["--no-holes"], 60 * MIB, 2 * MIB),
    ("about 4 GiB", ["--block-size", "1M"], 4 * GIB + 512, MIB),
    ("chunks and pages of the BAT", ["--block-size", "1M"], 13 * GIB + MIB, MIB),
    ("64 TiB", [], 64 * TIB, 2 * MIB),
]

for shape, options, size, block in tap.sampled(SHAPES, 3):
    @tap.case(f"{shape}: made smaller, in place and as a new image; others read the same")
    def _(folder, options=tuple(options), size=size, block=block):
        path = create(folder, size, *options)
        script = Script(disks.Model(size), sector=4096 if "4096" in options else 512)
        for number in range(2):
            use(path, script, f"{size} {number}", block)
            new = os.path.join(folder, f"new{number}.vhdx")
            vhdx("compact", "-q", "--output", new, path)
            done = compact(path, *(["--no-holes"] if "--no-holes" in options else []))
            assert done["zero-blocks"], done
            for one in (path, new):
                judge(one, script.model.digest(), folder)


@tap.case("a BAT that was moved to the end moves into free space")
def _(folder):
    path, script = create(folder, 100 * GIB, "--block-size", "1M"), Script(disks.Model(100 * GIB))
    for at in range(40):
        script.write(at * MIB, 4096)
    script.run(path)
    vhdx("resize", "-q", path, "1T")
    script.model = disks.Model(TIB, script.model)
    for at in range(20):
        script.zero(at * MIB, MIB)
    use(path, script, "moved", MIB)
    place = vhdx_json("info", "--json", path)["vhdx"]
    compact(path)
    assert vhdx_json("info", "--json", path)["vhdx"] != place
    judge(path, script.model.digest(), folder)


for depth in tap.sampled((2, 5)):
    @tap.case(f"a chain of {depth} with other blocks in each: every link made smaller, the leaf reads the same")
    def _(folder, depth=depth):
        size, blocks = 90 * MIB + 4096, ["1M", "2M", "32M", "1M", "8M"]
        script = Script(disks.Model(size))
        paths = [create(folder, size, "--block-size", blocks[0], name="0.vhdx")]
        use(paths[0], script, "0", MIB)
        for number in range(1, depth):
            paths.append(os.path.join(folder, f"{number}.vhdx"))
            vhdx("create", "-q", "--parent", paths[-2], "--block-size", blocks[number], paths[-1])
            use(paths[-1], script, str(number), MIB << number)
        expected = script.model.digest()
        judge(paths[-1], expected, folder, alone=False)
        for path in random.Random(depth).sample(paths, depth):
            compact(path)
            judge(paths[-1], expected, folder, alone=False)
        for path in paths:  # each in its own place, made anew
            vhdx("compact", "-q", "--output", path + ".new", path)
            os.rename(path + ".new", path)
        judge(paths[-1], expected, folder, alone=False)


@tap.case("images of QEMU are made smaller", tap.tool("qemu-img", "qemu-io"))
def _(folder):
    path = os.path.join(folder, "dynamic.vhdx")
    command.run(["qemu-img", "create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "40M"])
    model = disks.Model(40 * MIB)
    for at in range(30):
        pattern = 0 if at % 3 else at + 1
        command.run(["qemu-io", "-f", "vhdx", "-c", f"write -P {pattern} {at}M 1M", path])
        model.write(at * MIB, bytes([pattern]) * MIB)
    done = compact(path)
    assert done["zero-blocks"] == 20, done
    judge(path, model.digest(), folder, lint=False)  # its tables are as QEMU makes them


@tap.case("images of Windows, Hyper-V, Disk2vhd and QEMU read the same afterwards", judges.images, tap.whole)
def _(folder):
    done = 0
    for image in judges.real():
        top = os.path.join(folder, "try")
        os.mkdir(top)
        path = judges.unpack_real(image, top)
        raw = os.path.join(folder, "before.raw")
        if not command.run([VHDX, "convert", "--force", "--no-sync", path, raw], status=None).status:
            new = os.path.join(top, "new.vhdx")
            result = vhdx("compact", "-q", path, status={0, 1, 2}, loud=True)
            if result.status == 0:
                done += 1
                vhdx("compact", "-q", "--output", new, path, loud=True)
                for one in (path, new):
                    vhdx("compare", one, raw, loud=True)
                    assert command.check(one)[0] in (0, 3), (image["name"], command.check(one))
        shutil.rmtree(top)
    assert done > 3, done


# ---- kills

class Task:
    """A folder with a disk from which much goes and in which much moves; a copy of it is made for each kill."""

    def __init__(self, folder):
        self.model, self.work = os.path.join(folder, "model"), os.path.join(folder, "work")
        self.folder = folder
        os.mkdir(self.model)
        base = create(self.model, 40 * MIB, name="base.vhdx")
        self.script = Script(disks.Model(40 * MIB))
        self.script.write(0, 39 * MIB)
        self.script.run(base)
        disk = os.path.join(self.model, "disk.vhdx")
        vhdx("create", "-q", "--parent", base, "--block-size", "1M", disk)
        for at in range(0, 30, 2):
            self.script.write(at * MIB, MIB)
            self.script.zero(at * MIB, MIB)
        for at in range(1, 36, 2):
            self.script.write(at * MIB + 8192, 4096 if at % 3 else MIB - 8192)
        self.script.run(disk)
        self.expected = self.script.model.digest()
        self.disk = os.path.join(self.work, "disk.vhdx")

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        command.run(["cp", "-r", "--sparse=always", self.model, self.work])

    def left(self):
        assert disks.digest(raw_of(self.disk, self.folder)) == self.expected, "other contents"
        status, found = command.check(self.disk)
        assert status in (0, 3), (status, sorted(found))

    def done(self):
        self.left()
        assert os.path.getsize(self.disk) == self.least
        assert command.check(self.disk)[0] == 0


@tap.case("a child, killed at 200 random moments and run again: the same contents, as small as it can be")
def _(folder):
    with killing.quick_folder(folder) as quick:
        task = Task(quick)
        task.fresh()
        task.least = vhdx_json("compact", "--json", "--dry-run", task.disk)["file-size-after"]
        killing.kill_often("compact a child", [VHDX, "compact", "-q", task.disk], task.fresh, task.left,
                           done=task.done)


@tap.case("killed at each call that changes the file, and run again: the same contents", tap.tool("strace"),
          tap.whole)
def _(folder):
    with killing.quick_folder(folder) as quick:
        task, kills = Task(quick), 0
        task.fresh()
        task.least = vhdx_json("compact", "--json", "--dry-run", task.disk)["file-size-after"]
        words = [VHDX, "compact", "-q", task.disk]
        for call in ("pwrite64", "pwritev", "fdatasync", "ftruncate", "fallocate"):
            for number in range(1, 200):
                task.fresh()
                result = command.killed_at(call, number, words, quick)
                task.left()
                kills += result.status != 0
                command.run(words)
                task.done()
                if result.status == 0:
                    break
        assert kills > 20, kills


@tap.case("a new image that is killed on the way is not there")
def _(folder):
    with killing.quick_folder(folder) as quick:
        task = Task(quick)
        new = os.path.join(task.work, "new.vhdx")

        def left():
            task.left()
            assert not [name for name in os.listdir(task.work) if name.startswith(".")]
            if os.path.exists(new):
                assert disks.digest(raw_of(new, quick)) == task.expected
        killing.kill_often("compact --output", [VHDX, "compact", "-q", "--output", new, task.disk], task.fresh, left,
                           again=(), tries=60)


# ---- a full disk

@tap.case("on a full file system it fails or goes well, and nothing is lost", tap.root)
def _(folder):
    point = os.path.join(folder, "small")
    os.mkdir(point)
    if command.run(["mount", "-t", "tmpfs", "-o", "size=40M", "none", point], status=None).status:
        raise tap.Skip("no mounts here")
    try:
        path = create(point, 200 * MIB, "--block-size", "1M")
        script = Script(disks.Model(200 * MIB))
        for at in range(20):  # holes, which blocks at the end move into
            script.write(at * MIB, 4096)
            script.zero(at * MIB, MIB, "unmap")
        for at in range(20, 40):
            script.write(at * MIB, MIB)
        script.run(path)
        vhdxio(path, lines=[f"write {at}M 4K seed:1" for at in range(20)] + [f"zero {at}M 1M unmap" for at in range(20)])
        with open(os.path.join(point, "filler"), "wb") as file:
            while True:
                try:
                    os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size + 64 * KIB)
                except OSError:
                    break
        expected = script.model.digest()
        new = os.path.join(point, "new.vhdx")
        command.fails("compact", "--output", new, path, says="[Nn]o space left")
        assert sorted(os.listdir(point)) == ["disk.vhdx", "filler"]
        result = vhdx("compact", path, status={0, 1}, loud=True)
        assert result.status == 0 or "No space left" in result.err, result
        assert command.check(path)[0] in (0, 3)
        assert disks.digest(raw_of(path, folder)) == expected
        os.unlink(os.path.join(point, "filler"))
        vhdx("compact", path)
        judge(path, expected, folder)
    finally:
        command.run(["umount", point])


tap.main()
