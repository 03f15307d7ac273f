#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Resized disks: others read what was there before; killed at any moment and run again, the result is right."""
import os
import random
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import killing
import peers
import tap
from changes import create, raw_of, reference_digest
from command import VHDX, vhdx, vhdx_json
from disks import GIB, KIB, MIB, TIB
from script import Script

# Others read every byte, holes or not.
READ_WHOLE = 5 * GIB
# What file systems can hold in one file.
RAW_MOST = 8 * TIB


def size_of(path):
    return vhdx_json("info", "--json", path)["virtual-size"]


def judge_by_others(path, model, folder):
    """Both know sectors of 512 bytes only, 7-Zip an even number of them."""
    expected, small = model.digest(), model.size <= READ_WHOLE
    if vhdx_json("info", "--json", path)["vhdx"]["logical-sector-size"] != 512:
        return
    if peers.have("qemu-img"):
        peers.qemu_check(path)
        assert peers.qemu_info(path)["virtual-size"] == model.size
        assert not small or peers.qemu_digest(path, folder)[0] == expected, "QEMU reads something else"
    if peers.have("7zz") and not model.size % KIB:
        peers.seven_list(path, model.size)
        assert not small or peers.seven_digest(path)[0] == expected, "7-Zip reads something else"


def judge(path, model, folder, child=False):
    """The disk has these contents, whoever reads it, and nothing is wrong with its image."""
    assert size_of(path) == model.size
    if model.size <= RAW_MOST:
        raw, expected = raw_of(path, folder), model.digest()
        assert os.path.getsize(raw) == model.size and disks.digest(raw) == expected, "we read something else"
        assert reference_digest(path, folder) in (expected, None), "the reference reader sees other contents"
    status, found = command.check(path)
    assert status in (0, 3), (status, sorted(found))
    assert not {"BAT_PADDING", "FIXED_NOT_PRESENT", "FILE_TRAILING_SPACE"} & set(found), sorted(found)
    if not judges.lint_there():
        judges.lint(path)
    if not child:
        judge_by_others(path, model, folder)


def resize(path, script, size, *options):
    vhdx("resize", "-q", *options, path, str(size))
    script.model = disks.Model(size, script.model)


def change(path, script, name):
    """Writes at both ends, and elsewhere."""
    chance, size = random.Random(name), script.model.size
    script.write(size - min(size, 8 * KIB), min(size, 8 * KIB))
    script.scatter(chance, 6, kinds=("write", "write", "zero"))
    script.run(path)


def cut_off(path, script, size):
    script.line(f"zero {size} {script.model.size - size} unmap")
    script.model.zero(size, script.model.size - size)
    script.run(path)
    resize(path, script, size, "--shrink")


SHAPES = [
    ("1 MiB blocks", ["--block-size", "1M"], 20 * MIB + 512),
    ("32 MiB blocks", ["--block-size", "32M"], 60 * MIB),
    ("4096-byte sectors", ["--sector-size", "4096", "--block-size", "1M"], 20 * MIB + 4096),
    ("fixed", ["--type", "fixed", "--block-size", "1M"], 10 * MIB + 512),
    ("fixed, 4096-byte sectors", ["--type", "fixed", "--sector-size", "4096"], 10 * MIB),
    ("no holes", ["--no-holes"], 10 * MIB),
]

for shape, options, first in tap.sampled(SHAPES, 2):
    @tap.case(f"{shape}: grown, changed, shrunk, grown; others read the same")
    def _(folder, options=tuple(options), first=first):
        unit = 4096 if "4096" in options else 512
        path, script = create(folder, first, *options), Script(disks.Model(first), sector=unit)
        change(path, script, "a")
        for size in (first + unit, 64 * MIB, 200 * MIB + unit):
            resize(path, script, size)
            judge(path, script.model, folder)
            change(path, script, str(size))
        judge(path, script.model, folder)
        for size in (150 * MIB + unit, 16 * MIB):
            cut_off(path, script, size)
            judge(path, script.model, folder)
        resize(path, script, 90 * MIB)
        judge(path, script.model, folder)


@tap.case("a child: grown, shrunk below its parent, grown again: its parent does not show")
def _(folder):
    base = create(folder, 32 * MIB, name="base.vhdx")
    script = Script(disks.Model(32 * MIB))
    script.write(0, 31 * MIB)
    script.run(base)
    child = os.path.join(folder, "child.vhdx")
    vhdx("create", "--parent", base, "--block-size", "1M", child)
    change(child, script, "child")
    resize(child, script, 70 * MIB)
    judge(child, script.model, folder, child=True)
    cut_off(child, script, 12 * MIB + 4096)
    judge(child, script.model, folder, child=True)
    for size in (12 * MIB + 8192, 29 * MIB, 50 * MIB):
        resize(child, script, size)
        judge(child, script.model, folder, child=True)
        change(child, script, str(size))
    judge(child, script.model, folder, child=True)


SIZES = [
    ("4 GiB", (4 * GIB - 512, 4 * GIB, 4 * GIB + 512, 4 * GIB + MIB)),
    ("chunks and pages of the BAT", (512 * MIB, 512 * MIB + 512, 8 * GIB, 8 * GIB + MIB)),
    ("a BAT that must move", (131040 * MIB, 131041 * MIB, 400 * GIB, 3 * TIB)),
    ("the largest disk", (32 * TIB, 64 * TIB - 512, 64 * TIB)),
]

for name, sizes in tap.sampled(SIZES, 2):
    @tap.case(f"sizes about {name}")
    def _(folder, sizes=sizes):
        path, script = create(folder, 100 * MIB, "--block-size", "1M"), Script(disks.Model(100 * MIB))
        change(path, script, "first")
        for size in sizes:
            resize(path, script, size)
            script.write(size - 4096, 4096)
            script.run(path)
            judge(path, script.model, folder)
        for size in (*reversed(sizes[:-1]), 100 * MIB):
            cut_off(path, script, size)
            judge(path, script.model, folder)


@tap.case("images of QEMU are resized", tap.tool("qemu-img", "qemu-io"))
def _(folder):
    for kind in ("dynamic", "fixed"):
        path = os.path.join(folder, f"{kind}.vhdx")
        command.run(["qemu-img", "create", "-q", "-f", "vhdx", "-o", f"subformat={kind},block_size=1M", path, "20M"])
        command.run(["qemu-io", "-f", "vhdx", "-c", "write -P 7 19M 1M", path])
        script = Script(disks.Model(20 * MIB))
        script.model.write(19 * MIB, b"\7" * MIB)
        for size in (50 * MIB, 300 * GIB):
            if kind == "dynamic" or size < GIB:
                resize(path, script, size)
        raw = raw_of(path, folder)
        assert disks.digest(raw) == script.model.digest()
        peers.qemu_check(path)
        assert command.check(path)[0] in (0, 3)


@tap.case("images of Windows, Hyper-V, Disk2vhd and QEMU are grown and shrunk back", judges.images, judges.lint_there,
          tap.whole)
def _(folder):
    done = 0
    for image in judges.real():
        top = os.path.join(folder, "try")
        os.mkdir(top)
        path = judges.unpack_real(image, top)
        info = vhdx_json("info", "--json", path, status={0, 1, 2})["vhdx"]
        size = info.get("virtual-size") or image["virtual_size"]
        raw = os.path.join(folder, "before.raw")
        if command.run([VHDX, "convert", "--force", "--no-sync", path, raw], status=None).status:
            shutil.rmtree(top)
            continue
        codes = judges.lint_codes(path)
        grown = (size + 300 * MIB + 4095) // 4096 * 4096
        result = vhdx("resize", "-q", path, str(grown), status={0, 1, 2}, loud=True)
        if result.status == 0:
            done += 1
            vhdx("compare", path, raw, status=0, loud=True)
            assert not judges.lint_codes(path) - codes, (image["name"], judges.lint_codes(path) - codes)
            vhdx("resize", "-q", "--shrink", path, str(size), loud=True)
            vhdx("compare", path, raw, loud=True)
            assert size_of(path) == size
            assert not judges.lint_codes(path) - codes, (image["name"], judges.lint_codes(path) - codes)
        shutil.rmtree(top)
    assert done > 3, done


# ---- kills

class Task:
    """A disk, and how it is resized; a copy of it is made for each kill."""

    def __init__(self, folder, name, options, first, last, parent=False):
        self.folder, self.name, self.last = folder, name, last
        self.top = os.path.join(folder, name)
        os.mkdir(self.top)
        self.script = Script(disks.Model(first))
        if parent:
            base = create(self.top, first, name="base.vhdx")
            self.script.write(0, first - MIB)
            self.script.run(base)
            options = [*options, "--parent", base]
        self.path = os.path.join(self.top, "disk.vhdx")
        vhdx("create", *options, self.path, *([] if parent else [str(first)]))
        self.script.write(0, 100000)
        self.script.write(min(first, last) - 4096, 4096)
        if last < first:
            for at in range(last, first - 8192, MIB):
                self.script.write(at, 8192)
            self.script.zero(last, first - last)
        self.script.run(self.path)
        self.expected = {size: disks.Model(size, self.script.model).digest() for size in (first, last)}

    def words(self, path):
        return [VHDX, "resize", "-q", "--shrink", path, str(self.last)]

    def copy(self):
        top = os.path.join(self.folder, "try")
        killing.copy_all(self.top, top)
        return os.path.join(top, "disk.vhdx")

    def judge(self, path):
        """As the kill left it, the disk is old or new; then the command is run again."""
        size = size_of(path)
        assert size in (self.last, self.script.model.size), size
        raw = raw_of(path, self.folder)
        assert disks.digest(raw) == self.expected[size], "other contents after the kill"
        status, found = command.check(path)
        assert status in (0, 3), (status, sorted(found))
        command.run(self.words(path))
        assert size_of(path) == self.last
        assert disks.digest(raw_of(path, self.folder)) == self.expected[self.last], "other contents"
        status, found = command.check(path)
        assert status in (0, 3), (status, sorted(found))
        if size != self.last and not judges.lint_there():
            judges.lint(path)
        shutil.rmtree(os.path.dirname(path))
        return size


TASKS = [
    ("dynamic", ["--block-size", "1M"], 20 * MIB + 512, 90 * MIB, False),
    ("moved", ["--block-size", "1M"], 100 * MIB, 4 * TIB, False),
    ("fixed", ["--type", "fixed", "--block-size", "1M"], 10 * MIB + 512, 40 * MIB, False),
    ("shrunk", ["--block-size", "1M"], 40 * MIB, 10 * MIB + 512, False),
    ("fixed-shrunk", ["--type", "fixed", "--block-size", "1M"], 40 * MIB, 10 * MIB, False),
    ("child-shrunk", ["--block-size", "1M"], 30 * MIB, 10 * MIB + 4096, True),
]


def kill_task(folder, name, how):
    task = Task(folder, name, *how)
    path = task.copy()
    killing.kill_often(name, task.words(path), task.copy, lambda: task.judge(path), again=(),
                       tries=-(-killing.TRIES // len(TASKS)))


@tap.case("killed at 200 random moments and run again: the result is right")
def _(folder):
    with killing.quick_folder(folder) as top:
        for name, *how in tap.sampled(TASKS, 3):
            kill_task(top, name, how)


@tap.case("killed at each call that changes the file, and run again: the result is right", tap.tool("strace"),
          tap.whole)
def _(folder):
    for name, *how in TASKS:
        task, kills = Task(folder, name, *how), 0
        for call in ("pwrite64", "pwritev", "fdatasync", "ftruncate", "fallocate"):
            for number in range(1, 100):
                path = task.copy()
                result = command.killed_at(call, number, task.words(path), folder)
                task.judge(path)
                kills += result.status != 0
                if result.status == 0:
                    break
        assert kills > 8, (name, kills)


tap.main()
