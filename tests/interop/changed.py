#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images that we change: other programs read them with equal contents, and the strict judge finds nothing."""
import os
import random
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import peers
import tap
from command import vhdx, vhdx_json
from changes import create, raw_of, reference_digest
from disks import GIB, MIB
from image import Image
from script import Script, vhdxio

QEMU = tap.tool("qemu-img", "qemu-io")
# What trims leave: space inside the file, and at its end where that was the end when it was opened.
FREED = {"FILE_SPARSE", "SPACE_LEAKED", "SPACE_UNUSED", "FILE_TRAILING_SPACE"}


def judge_form(path, kind):
    """Closed cleanly, and without a fault by our own answer and by the judge's."""
    shown = vhdx_json("info", "--json", path)["vhdx"]
    assert shown["log-state"] == "clean" and shown["type"] == kind, shown
    status, found = command.check(path, "--chain")
    assert status in (0, 3) and not set(found) - FREED, (status, sorted(found))
    if not judges.lint_there():
        judges.lint(path, "--type", kind)
        if kind == "differencing":
            judges.lint(path, "--chain")


def judge(folder, path, script, kind="dynamic", sector=512, seven=True):
    judge_form(path, kind)
    raw = raw_of(path, folder)
    script.settle(raw)
    expected = script.model.digest(), script.model.size
    os.unlink(raw)
    if kind != "differencing" and sector == 512 and peers.have("qemu-img"):
        peers.qemu_check(path)
        assert peers.qemu_digest(path, folder) == expected, "qemu-img reads other contents"
    if seven and peers.have("7zz"):
        assert peers.seven_digest(path) == expected, "7-Zip reads other contents"
    if kind == "differencing":
        assert reference_digest(path, folder) in (expected[0], None), "the reference reader reads other contents"


# ---- sessions of every kind, on disks of every kind

SIZE = 24 * MIB


def make_child(folder, sector="512"):
    """A child of a child; each layer of the chain holds something. Its contents are in the model."""
    script = Script(disks.Model(SIZE), int(sector))
    base = create(folder, SIZE, "--sector-size", sector, name="base.vhdx")
    script.write(MIB + 4096, 5 * MIB)
    script.write(15 * MIB, 65536)
    script.run(base)
    path = base
    for name in ("middle.vhdx", "leaf.vhdx"):
        child = os.path.join(folder, name)
        vhdx("create", "--parent", path, "--block-size", "1M", child)
        path = child
        if name == "middle.vhdx":
            script.write(3 * MIB + 8192, 100 * 4096)
            script.zero(16 * MIB, MIB)
            script.run(path)
    return path, script


DISKS = {
    "dynamic": ("dynamic", 512, lambda folder: (create(folder, SIZE), None)),
    "dynamic, blocks of 1 MiB": ("dynamic", 512, lambda folder: (
        create(folder, SIZE, "--block-size", "1M"), None)),
    "dynamic, sectors of 4096": ("dynamic", 4096, lambda folder: (
        create(folder, SIZE, "--sector-size", "4096"), None)),
    "fixed": ("fixed", 512, lambda folder: (create(folder, SIZE, "--type", "fixed"), None)),
    "child": ("differencing", 512, make_child),
    "child, sectors of 4096": ("differencing", 4096, lambda folder: make_child(folder, "4096")),
}


def session(name):
    """A case of each kind of disk: function(script, path), which may run the script in parts."""
    def register(function):
        for title, (kind, sector, make) in tap.in_turns(DISKS.items()):
            def run(folder, what=kind, size=sector, build=make):
                path, script = build(folder)
                script = script or Script(disks.Model(SIZE), size)
                function(script, path)
                script.run(path)
                judge(folder, path, script, what, size)
            tap.add(f"{title}: {name}", run)
        return function
    return register


@session("one write")
def _(script, path):
    script.write(5 * MIB, 4096)


@session("writes, with flushes between them")
def _(script, path):
    chance = random.Random(1)
    for _ in range(40):
        script.write(chance.randrange(SIZE // 4096 - 64) * 4096, chance.randrange(1, 64) * 4096)
        if chance.random() < 0.3:
            script.flush()


@session("writes at any byte, over blocks' ends")
def _(script, path):
    chance = random.Random(2)
    for _ in range(40):
        length = chance.randrange(1, 3 * MIB if chance.random() < 0.2 else 9000)
        script.write(chance.randrange(SIZE - length), length)


@session("the last sector, and the first")
def _(script, path):
    script.write(SIZE - script.sector, script.sector)
    script.write(0, script.sector)


@session("whole blocks written, trimmed, and written again")
def _(script, path):
    for turn in range(3):
        for block in range(0, SIZE // MIB, 2):
            script.write(block * MIB, 2 * MIB)
        script.flush()
        script.trim(4 * MIB, 12 * MIB)
        script.flush()
        script.write((5 + turn) * MIB + 4096, 4096)


@session("zeros, whole blocks and parts, with and without leave to unmap")
def _(script, path):
    script.write(0, SIZE)
    script.zero(2 * MIB, 4 * MIB)
    script.zero(8 * MIB, 4 * MIB, "unmap")
    script.zero(13 * MIB + 777, 100000)
    script.zero(17 * MIB + 4096, 8192, "unmap", "fua")


@session("parts of blocks trimmed")
def _(script, path):
    script.write(0, 10 * MIB)
    for at in range(0, 12 * MIB, MIB):
        script.trim(at + 8192, 65536)
    script.trim(18 * MIB + 4096, 4096)


@session("recycled space: trimmed and allocated elsewhere, many times")
def _(script, path):
    chance = random.Random(4)
    for _ in range(30):
        block = chance.randrange(SIZE // (2 * MIB))
        script.trim(block * 2 * MIB, 2 * MIB)
        script.write(chance.randrange(SIZE // 512 - 8) * 512 // 4096 * 4096, 4096)
        if chance.random() < 0.5:
            script.flush()


@session("30 sessions")
def _(script, path):
    chance = random.Random(5)
    for _ in range(30):
        script.scatter(chance, 3)
        script.reopen()


@session("random operations, with --no-holes")
def _(script, path):
    script.scatter(random.Random(6), 100)
    script.run(path, "--no-holes")


for number in range(1, 1 + max(1, 4 // tap.sampling())):
    @session(f"random operations, seed {number}")
    def _(script, path, seed=number):
        chance = random.Random(seed)
        for _ in range(3):
            script.scatter(chance, chance.randrange(1, 80), most=chance.choice((5000, 300000, 4 * MIB)))
            script.reopen()


# ---- what is not changed, and what a session changes in the headers

UNCHANGED = {
    "opened and closed": [],
    "read": ["read 0 1M"],
    "flushed": ["flush"],
    "read, flushed, and reopened": ["read 3M 64K", "flush", "reopen", "extents 0 24M", "flush"],
    "empty requests": ["write 4096 0 1", "zero 0 0", "trim 24M 0"],
    "refused requests": ["fails EINVAL write 24M 1 1", "fails EINVAL zero 23M 2M", "fails EINVAL trim 25M 1"],
}


for what, lines in UNCHANGED.items():
    for title, (kind, sector, make) in tap.in_turns(DISKS.items()):
        @tap.case(f"{title}: {what}: not a byte is changed")
        def _(folder, build=make, script_lines=tuple(lines)):
            path, _ = build(folder)
            before = disks.sha256(path), os.stat(path).st_mtime_ns
            vhdxio(path, lines=script_lines)
            assert (disks.sha256(path), os.stat(path).st_mtime_ns) == before, "changed"


@tap.case("zeros and trims where nothing is write nothing")
def _(folder):
    path = create(folder, 64 << 40)
    before = disks.sha256(path), os.stat(path).st_mtime_ns
    vhdxio(path, lines=["trim 0 64T", "zero 0 64T", "zero 0 64T unmap", "zero 512 1G unmap", "trim 4096 5G"])
    assert (disks.sha256(path), os.stat(path).st_mtime_ns) == before, "changed"


def guids(path):
    shown = vhdx_json("info", "--json", path)["vhdx"]
    return shown["file-write-guid"], shown["data-write-guid"], shown["sequence-number"]


@tap.case("a session that changes the disk changes both write GUIDs, once")
def _(folder):
    path = create(folder, SIZE)
    seen = [guids(path)]
    for lines in (["write 0 4096 1", "flush", "write 8M 4096 1"], ["write 4096 1 2"], ["trim 8M 2M"]):
        vhdxio(path, lines=["info", *lines, "info"])
        seen.append(guids(path))
    for place in (0, 1, 2):
        values = [one[place] for one in seen]
        assert len(set(values)) == len(values), values
    vhdxio(path, lines=["read 0 4096", "flush"])
    assert guids(path) == seen[-1]


@tap.case("opening an image for writing that another names as its parent warns; the child is then refused")
def _(folder):
    path = create(folder, SIZE, name="base.vhdx")
    child = os.path.join(folder, "child.vhdx")
    vhdx("create", "--parent", path, child)
    vhdx("map", child)
    result = vhdxio(path, loud=True)
    assert "child.vhdx" in result.err and result.err.count("\n") == 1, result
    vhdx("map", child)
    vhdxio(path, lines=["write 0 512 1"], loud=True)
    command.fails("map", child, status={1, 2})


@tap.case("a parent's block is written in part: bits that its place in the bitmap had before do not count")
def _(folder):
    parent = Image("base", SIZE, 2 * MIB)
    parent.full(1, {0: disks.noise("base", 2 * MIB)})
    child = Image("child", SIZE, 2 * MIB, parent=parent)
    child.partial(3, {512: disks.noise("child", 512)})
    child.set_bits(1, range(0, 4096, 3))
    parent.write(folder)
    path, script = child.write(folder), Script(child.guest)
    script.write(2 * MIB + 4096, 4096)
    script.run(path)
    judge(folder, path, script, "differencing")


# ---- large disks, in random order


def large(script, pieces):
    """Writes in random order, on both sides of each 4 GiB among them."""
    size = script.model.size
    chance = random.Random(size)
    places = [(at - 70000, 140000) for at in range(4 * GIB, size, 4 * GIB)] + [(0, 4096), (size - 512, 512)]
    for _ in range(pieces):
        length = chance.choice((512, 4096, 65536, chance.randrange(1, 300000)))
        places.append((chance.randrange(size - length), length))
    chance.shuffle(places)
    for number, (offset, length) in enumerate(places):
        script.write(offset, length)
        if number % 10 == 9:
            script.flush()


for mib in (1, 2, 32):
    @tap.case(f"dynamic over 8 GiB in random order, blocks of {mib} MiB", tap.whole)
    def _(folder, block=mib):
        size = 9 * GIB + 3 * MIB
        path, script = create(folder, size, "--block-size", f"{block}M"), Script(disks.Model(size))
        large(script, 60)
        script.run(path)
        judge(folder, path, script, seven=False)


@tap.case("dynamic over 4 GiB in random order, through 7-Zip", tap.tool("7zz"), tap.whole)
def _(folder):
    size = 4 * GIB + 64 * MIB
    path, script = create(folder, size, "--block-size", "1M"), Script(disks.Model(size))
    large(script, 60)
    script.run(path)
    judge(folder, path, script)


@tap.case("fixed over 4 GiB in random order", tap.whole)
def _(folder):
    size = 4 * GIB + 64 * MIB
    path = create(folder, size, "--type", "fixed", "--block-size", "32M")
    script = Script(disks.Model(size))
    large(script, 60)
    script.run(path)
    judge(folder, path, script, "fixed", seven=False)


@tap.case("a child over 4 GiB in random order: bits in two bitmap blocks", tap.whole)
def _(folder):
    size = 4 * GIB + 64 * MIB
    base, script = create(folder, size, name="base.vhdx"), Script(disks.Model(size))
    large(script, 30)
    script.run(base)
    path = os.path.join(folder, "child.vhdx")
    vhdx("create", "--parent", base, path)
    large(script, 30)
    script.run(path)
    judge(folder, path, script, "differencing")


@tap.case("8 threads write stamps over 5 GiB; they are read back by us and by qemu-img", QEMU, tap.whole)
def _(folder):
    path = create(folder, 5 * GIB, "--block-size", "1M")
    vhdxio(path, "--threads", "8", lines=["random 7 600 256K 5G flush 40", "verify 7 600 256K 5G"])
    vhdxio(path, "-r", "--threads", "8", lines=["verify 7 600 256K 5G"])
    judge_form(path, "dynamic")
    raw = raw_of(path, folder)
    assert peers.qemu_digest(path, folder) == (disks.digest(raw), 5 * GIB)


# ---- in turns with others


@tap.case("QEMU's images: we write into them, and QEMU reads", QEMU)
def _(folder):
    for kind, options in (("dynamic", "block_size=1M"), ("dynamic", "block_size=8M,block_state_zero=off"),
                          ("fixed", "subformat=fixed,block_size=2M")):
        path, script = os.path.join(folder, "theirs.vhdx"), Script(disks.Model(SIZE))
        command.run(["qemu-img", "create", "-f", "vhdx", "-o", options, path, str(SIZE)])
        script.scatter(random.Random(options), 60)
        script.run(path)
        script.settle(raw_of(path, folder))
        peers.qemu_check(path)
        assert peers.qemu_digest(path, folder)[0] == script.model.digest(), (kind, options)
        os.unlink(path)


for kind in ("dynamic", "fixed"):
    @tap.case(f"{kind}: we and QEMU write in turns", QEMU)
    def _(folder, what=kind):
        chance = random.Random(what)
        path, script = create(folder, SIZE, "--type", what), Script(disks.Model(SIZE))
        for turn in range(1, 5):
            script.scatter(chance, 30)
            script.run(path)
            script.settle(raw_of(path, folder))
            words = []
            for number in range(10):
                byte, at = turn * 16 + number, chance.randrange(SIZE // 4096 - 32) * 4096
                length = chance.randrange(1, 32) * 4096
                words += ["-c", f"write -P {byte} {at} {length}"]
                script.model.write(at, bytes([byte]) * length)
            command.run(["qemu-io", "-f", "vhdx", *words, path])
            script.settle(raw_of(path, folder))
            assert peers.qemu_digest(path, folder)[0] == script.model.digest()
        status, found = command.check(path)
        assert status in (0, 3), (status, sorted(found))


tap.main()
