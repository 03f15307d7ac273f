#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx rebase: other parents, other ways to the same parent, what is refused, and what a stop leaves."""
import os
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import links
import samples
import tap
from command import VHDX, fails, vhdx, vhdx_json
from disks import MIB, TIB, Model
from script import Script

SIZE = 24 * MIB
WINDOWS = "C:\\vm\\disk0.vhdx"
VOLUME = "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\vm\\disk0.vhdx"


def parent_of(path, *words):
    return links.info(path, *words)["parent"]


def paths_of(path, *words):
    """What the locator says, without where the parent was looked for."""
    parent = parent_of(path, *words)
    return [parent.get(key) for key in ("relative-path", "absolute-win32-path", "volume-path")]


def refused(folder, *words, says, **how):
    before = disks.snapshot(folder)
    fails("rebase", *words, says=says, **how)
    changed = disks.changes(before, disks.snapshot(folder))
    assert not changed, changed


@tap.case("upon another disk the child reads as before, and so do its own children")
def _(folder):
    for sector in (512, 4096):
        _, child, leaf = links.make(folder, f"disk{sector}-", SIZE, 2, sector)
        other, = links.make(folder, f"other{sector}-", SIZE, 0, sector)
        guid = links.info(child.path)["data-write-guid"]
        result = vhdx("rebase", "--parent", other.path, child.path, loud=True)
        assert result.out == f"{child.path}: its parent is {other.path}.\n", result
        links.holds(child.path, child.model)
        links.holds(leaf.path, leaf.model)
        links.holds(other.path, other.model)
        assert links.info(child.path)["data-write-guid"] == guid
        assert parent_of(child.path)["relative-path"] == ".\\" + other.name


@tap.case("upon a disk that is smaller, and one that is larger")
def _(folder):
    for size in (9 * MIB + 512, 40 * MIB):
        _, child = links.make(folder, f"disk{size}-", SIZE, 1)
        other, = links.make(folder, f"other{size}-", size, 0)
        vhdx("rebase", "-q", "--parent", other.path, child.path)
        links.holds(child.path, child.model)


@tap.case("out of a long chain: upon each ancestor the leaf reads as before")
def _(folder):
    for upon in (2, 1, 0):
        top = os.path.join(folder, str(upon))
        os.mkdir(top)
        chain = links.make(top, f"disk{upon}-", SIZE, 5)
        vhdx("rebase", "-q", "--parent", chain[upon].path, chain[-1].path)
        for between in chain[upon + 1:-1]:
            os.unlink(between.path)
        links.holds(chain[-1].path, chain[-1].model)


@tap.case("whole blocks that the new parent alone holds become zeros without space")
def _(folder):
    base, child, other = (os.path.join(folder, name) for name in ("base", "child", "other"))
    for path in (base, other):
        vhdx("create", "-q", path, str(SIZE))
    vhdx("create", "-q", "--block-size", "1M", "--parent", base, child)
    script = Script(Model(SIZE))
    script.write(2 * MIB, 8 * MIB)
    script.run(other)
    before = os.path.getsize(child)
    vhdx("rebase", "-q", "--parent", other, child)
    links.holds(child, Model(SIZE))
    assert os.path.getsize(child) == before


@tap.case("what both parents read from one file is not looked at", tap.tool("strace"))
def _(folder):
    base, child = os.path.join(folder, "base"), os.path.join(folder, "child")
    middle = os.path.join(folder, "middle")
    vhdx("create", "-q", base, str(SIZE))
    script = Script(Model(SIZE))
    script.write(0, 8 * MIB)
    script.run(base)
    vhdx("create", "-q", "--parent", base, middle)
    vhdx("create", "-q", "--parent", middle, child)
    trace = os.path.join(folder, "trace")
    command.traced(trace, ["-e", "trace=pread64,preadv", "-y"],
                   [VHDX, "rebase", "-q", "--parent", base, child])
    with open(trace, encoding="utf-8") as file:
        read = sum(int(line.rsplit("=", 1)[1]) for line in file
                   if f"<{base}>" in line and line.rsplit("=", 1)[1].strip().isdigit())
    assert read < 3 * MIB, read
    links.holds(child, script.model)


@tap.case("--unsafe: a parent that was moved is found again, without the old place")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    where = os.path.join(folder, "elsewhere")
    os.mkdir(where)
    moved = shutil.move(base.path, where)
    refused(folder, "--parent", moved, child.path, says="no file .*disk0.vhdx")
    size = os.path.getsize(child.path)
    vhdx("rebase", "-q", "--unsafe", "--parent", moved, child.path)
    links.holds(child.path, child.model)
    assert os.path.getsize(child.path) == size
    assert parent_of(child.path)["relative-path"] == ".\\elsewhere\\disk0.vhdx"


@tap.case("--unsafe: another disk's contents show, and nothing is copied")
def _(folder):
    _, child = links.make(folder, "disk", SIZE, 1)
    other = samples.dynamic(folder, "other", SIZE)[0]
    size = os.path.getsize(child.path)
    vhdx("rebase", "-q", "--unsafe", "--parent", other, child.path)
    assert os.path.getsize(child.path) == size
    assert links.digest(child.path)[0] != child.model.digest()


@tap.case("a parent outside the child's folder: the way there, and a warning")
def _(folder):
    os.mkdir(os.path.join(folder, "a"))
    os.mkdir(os.path.join(folder, "b"))
    _, child = links.make(os.path.join(folder, "a"), "disk", SIZE, 1)
    other, = links.make(os.path.join(folder, "b"), "other", SIZE, 0)
    result = vhdx("rebase", "--parent", other.path, child.path, loud=True)
    assert "outside the folder" in result.err, result
    assert parent_of(child.path, "--any-parent")["relative-path"] == "..\\b\\other0.vhdx"
    links.holds(child.path, child.model, "--parent-dir", os.path.join(folder, "b"))


@tap.case("Windows and volume paths: given, kept for the same parent, dropped for another")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    other, = links.make(folder, "other", SIZE, 0)
    same = ["rebase", "-q", "--unsafe", "--parent", base.path]
    vhdx(*same, "--windows-path", WINDOWS, "--volume-path", VOLUME, child.path)
    assert paths_of(child.path) == [".\\disk0.vhdx", WINDOWS, VOLUME], paths_of(child.path)
    vhdx(*same, child.path)
    assert paths_of(child.path) == [".\\disk0.vhdx", WINDOWS, VOLUME]
    vhdx(*same, "--windows-path", "", child.path)
    assert paths_of(child.path) == [".\\disk0.vhdx", None, VOLUME]
    vhdx(*same, "--relative-path", "", child.path)
    assert paths_of(child.path) == [None, None, VOLUME]
    links.holds(child.path, child.model)
    refused(folder, *same[1:], "--relative-path", "", "--volume-path", "", child.path, says="every path")
    vhdx(*same, "--relative-path", "sub/../disk0.vhdx", child.path)
    assert paths_of(child.path) == ["sub\\..\\disk0.vhdx", None, VOLUME]
    links.holds(child.path, child.model)
    vhdx("rebase", "-q", "--parent", other.path, child.path)
    assert paths_of(child.path) == [".\\other0.vhdx", None, None]
    links.holds(child.path, child.model)


@tap.case("what cannot be a parent is refused, and nothing is written")
def _(folder):
    base, middle, leaf = links.make(folder, "disk", SIZE, 2)
    other, = links.make(folder, "other", SIZE, 0, 4096)
    new, = links.make(folder, "new", SIZE, 0)
    for words in ([], ["--unsafe"]):
        refused(folder, *words, "--parent", middle.path, middle.path, says="itself, of which a parent would")
        refused(folder, *words, "--parent", leaf.path, middle.path, says="itself, of which a parent would")
        refused(folder, *words, "--parent", other.path, leaf.path, says="(?i)sectors of 512", status=2)
        refused(folder, *words, "--parent", new.path, base.path, says="has no parent")
        refused(folder, *words, "--parent", os.path.join(folder, "none"), leaf.path, says="none: cannot be opened")
        refused(folder, *words, leaf.path, says="no new parent is given")
        for option, path in (("--windows-path", "disk0.vhdx"), ("--volume-path", "C:\\disk0.vhdx"),
                             ("--relative-path", "/disk0.vhdx")):
            refused(folder, *words, "--parent", new.path, option, path, leaf.path, says="path")
    refused(folder, "--no-parent", "--parent", new.path, leaf.path, says="without its parent")


for signal_number in (signal.SIGINT, signal.SIGTERM):
    @tap.case(f"{signal_number.name} in the middle: the child has its old parent and reads as before")
    def _(folder, number=signal_number):
        base, other = os.path.join(folder, "base.vhdx"), os.path.join(folder, "other.vhdx")
        for path in (base, other):
            vhdx("create", "-q", path, "1G")
        script = Script(Model(1 << 30))
        for block in range(0, 64):
            script.write(block * 2 * MIB + 4096, MIB)
        script.run(base)
        for tries in range(60):
            child = os.path.join(folder, f"child{tries}.vhdx")
            vhdx("create", "-q", "--parent", base, child)
            process = command.start([VHDX, "rebase", "-q", "--parent", other, child],
                                    stderr=command.subprocess.PIPE)
            time.sleep(0.004 * (tries % 20 + 1))
            process.send_signal(number)
            err, status = process.stderr.read(), process.wait(60)
            process.stderr.close()
            if b"interrupted" in err:
                break
        else:
            raise tap.Skip("it could not be stopped in the middle")
        assert status == -number, status
        links.holds(child, script.model)
        assert parent_of(child)["relative-path"] == ".\\base.vhdx"
        vhdx("rebase", "-q", "--parent", other, child)
        links.holds(child, script.model)


@tap.case("64 TiB that hold little: at most 64 MiB of memory")
def _(folder):
    base, child, other = (os.path.join(folder, name) for name in ("base", "child", "other"))
    for path in (base, other):
        vhdx("create", "-q", "--block-size", "1M", path, str(64 * TIB))
    for path, at in ((base, 3 * TIB), (other, 60 * TIB + 512)):
        script = Script(Model(64 * TIB))
        script.write(at, 4096)
        script.run(path)
    vhdx("create", "-q", "--block-size", "1M", "--parent", base, child)
    process, peak = command.watched([VHDX, "rebase", "-q", "--parent", other, child])
    assert process.wait(60) == 0
    assert peak() < 64 * MIB, peak()
    vhdx("compare", "-q", base, child)
    extents = vhdx_json("map", "--json", child)
    assert parent_of(child)["relative-path"] == ".\\other"
    assert [(e["start"], e["depth"]) for e in extents if e["data"]] == [
        (3 * TIB, 0), (60 * TIB, 1), (60 * TIB + 512, 0), (60 * TIB + 4608, 1)], extents


tap.main()
