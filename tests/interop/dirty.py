#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images that we leave when we are killed: what was flushed is there, whoever replays the log."""
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
from changes import create, judge, raw_of
from disks import GIB, MIB
from script import Script

KINDS = {
    "dynamic": ("--block-size", "1M"),
    "dynamic, blocks of 2 MiB": (),
    "fixed": ("--type", "fixed"),
}


def each_kind(name, *needs):
    """A case of each kind of disk without a parent: function(folder, path, script)."""
    def register(function):
        for kind, options in tap.in_turns(KINDS.items()):
            def run(folder, how=options):
                path = create(folder, 24 * MIB, *how)
                function(folder, path, Script(disks.Model(24 * MIB)))
            tap.add(f"{kind}: {name}", run, *needs)
        return function
    return register


@each_kind("killed after one write that was not flushed")
def _(folder, path, script):
    script.write(3 * MIB + 512, 8192)
    script.run(path, kill=True)
    judge(folder, path, script)


@each_kind("killed after a flush")
def _(folder, path, script):
    script.write(3 * MIB + 512, 8192)
    script.flush()
    script.run(path, kill=True)
    shown = judge(folder, path, script)
    assert shown["log-state"] in ("dirty", "empty"), shown["log-state"]


@each_kind("killed in the middle: flushed writes, and later ones that were not")
def _(folder, path, script):
    for block in range(8):
        script.write(block * 2 * MIB + 700, 3000)
    script.flush()
    for block in range(12):
        script.write(block * 2 * MIB + 70000, 3000)
        script.write(block * 2 * MIB, 1024)
    script.run(path, kill=True)
    judge(folder, path, script)


@each_kind("killed after writes with force unit access")
def _(folder, path, script):
    for block in (5, 0, 11):
        script.write(block * 2 * MIB, 4096, "fua")
    script.zero(5 * 2 * MIB, 2 * MIB, "fua")
    script.run(path, kill=True)
    judge(folder, path, script)


@each_kind("killed among trims, zeros, and writes into the space that they freed")
def _(folder, path, script):
    for block in range(12):
        script.write(block * 2 * MIB, 2 * MIB)
    script.flush()
    for turn in range(4):
        for block in range(turn, 12, 3):
            script.trim(block * 2 * MIB, 2 * MIB)
        script.zero((turn + 5) * 2 * MIB, 2 * MIB, "unmap")
        script.flush()
        for block in range(turn, 12, 3):
            script.write(block * 2 * MIB + 4096 * turn, 5000)
        if turn < 3:
            script.flush()
    script.run(path, kill=True)
    judge(folder, path, script)


@each_kind("killed in a second session, after the first was killed too")
def _(folder, path, script):
    for block in (0, 4):
        script.write(block * 2 * MIB, 4096)
        script.flush()
    script.run(path, kill=True)
    script.settle(raw_of(path, folder))
    for block in (9, 4, 2):
        script.write(block * 2 * MIB + 512, 4096)
        script.flush()
    script.run(path, kill=True)
    judge(folder, path, script)


@each_kind("killed before a clean close, after one")
def _(folder, path, script):
    script.write(0, MIB)
    script.reopen()
    script.write(6 * MIB, MIB)
    script.flush()
    script.write(12 * MIB, MIB)
    script.run(path, kill=True)
    judge(folder, path, script)


def wrapped(folder, path, script, count, stride):
    """@count allocations, each flushed, which is more than the log has room for; then a kill."""
    for number in range(count):
        script.write(number * stride + 512, 512)
        script.flush()
    script.run(path, kill=True)
    # QEMU replays those too: that must not do harm.
    retired = [e for e in vhdx_json("dump", "--json", "log", path)["entries"] if not e["active"]]
    assert len(retired) > 50, "no entries before the Tail"
    judge(folder, path, script)


@tap.case("killed when the log went round: 150 flushes of one page each", tap.whole)
def _(folder):
    size = 151 * MIB
    path = create(folder, size, "--block-size", "1M")
    wrapped(folder, path, Script(disks.Model(size)), 150, MIB)


@tap.case("killed when the log went round more than twice: 310 flushes", tap.whole)
def _(folder):
    size = 311 * MIB
    path = create(folder, size, "--block-size", "1M")
    wrapped(folder, path, Script(disks.Model(size)), 310, MIB)


@tap.case("killed when the log went round, with more pages in each flush", tap.whole)
def _(folder):
    size = 8 * GIB
    path, script = create(folder, size, "--block-size", "1M"), Script(disks.Model(size))
    chance = random.Random(3)
    for _turn in range(40):
        for _page in range(12):
            script.write(chance.randrange(size // MIB) * MIB, 4096)
        script.flush()
    script.run(path, kill=True)
    judge(folder, path, script)


@tap.case("killed after a flush of more pages than one sector of descriptors names", tap.whole)
def _(folder):
    size = 80 * GIB
    path, script = create(folder, size, "--block-size", "1M"), Script(disks.Model(size))
    for page in range(150):
        script.write(page * 512 * MIB + MIB, 512)
    script.flush()
    script.run(path, kill=True)
    judge(folder, path, script)


@tap.case("the file's growth is lost, and the log entry is not; QEMU 7.2 forgets to grow the file again")
def _(folder):
    path, script = create(folder, 24 * MIB, "--block-size", "1M"), Script(disks.Model(24 * MIB))
    script.write(3 * MIB + 512, 8192)
    script.flush()
    script.run(path, kill=True)
    head = vhdx_json("dump", "--json", "log", path)["entries"][-1]
    assert head["flushed-file-offset"] < head["last-file-offset"] < os.path.getsize(path), head
    # As if power had failed before that flush was over: the payload is lost, and its space is zeros.
    os.truncate(path, head["flushed-file-offset"])
    empty = Script(disks.Model(24 * MIB))
    judge(folder, path, empty, qemu=False)
    if not peers.have("qemu-img"):
        return
    result = command.run(["qemu-img", "check", "-f", "vhdx", "-r", "all", path], status=None)
    if os.path.getsize(path) < head["last-file-offset"]:
        assert "points after end of file" in result.err, result
    else:
        assert result.status == 0, result
        empty.settle(raw_of(path, folder))


@tap.case("killed with a log of 4 MiB")
def _(folder):
    path, script = create(folder, 24 * MIB, "--log-size", "4M"), Script(disks.Model(24 * MIB))
    script.scatter(random.Random(9), 60)
    script.run(path, kill=True)
    judge(folder, path, script)


@tap.case("killed with sectors of 4096")
def _(folder):
    path = create(folder, 24 * MIB, "--sector-size", "4096")
    script = Script(disks.Model(24 * MIB), sector=4096)
    script.scatter(random.Random(8), 60)
    script.run(path, kill=True)
    judge(folder, path, script, qemu=False)


@tap.case("killed with --no-holes")
def _(folder):
    path, script = create(folder, 24 * MIB, "--no-holes"), Script(disks.Model(24 * MIB))
    script.scatter(random.Random(7), 60)
    script.run(path, "--no-holes", kill=True)
    judge(folder, path, script)


for kind, options in KINDS.items():
    for seed in range(1, 1 + max(1, 6 // tap.sampling())):
        @tap.case(f"{kind}: killed twice among random operations, seed {seed}")
        def _(folder, how=options, number=seed):
            chance = random.Random(number)
            path, script = create(folder, 24 * MIB, *how), Script(disks.Model(24 * MIB))
            for _session in range(2):
                script.scatter(chance, chance.randrange(1, 80), most=chance.choice((5000, 300000, 4 * MIB)))
                script.run(path, kill=True)
                judge(folder, path, script)


def make_chain(folder, depth, sector=512, parent_block="2M"):
    """A chain of @depth children; returns the leaf's path and a script on it. Each layer holds something."""
    size = 24 * MIB
    options = ["--block-size", parent_block, "--sector-size", str(sector)]
    path, script = create(folder, size, *options, name="layer-0.vhdx"), Script(disks.Model(size), sector)
    for layer in range(depth + 1):
        if layer:
            child = os.path.join(folder, f"layer-{layer}.vhdx")
            vhdx("create", "--parent", path, "--block-size", "1M" if layer % 2 else "2M", child)
            path = child
        if layer < depth:
            for turn in range(12):
                script.write(turn * 2 * MIB + layer * 300 * 1024, 200 * 1024)
            script.zero((3 + layer) * 2 * MIB, 2 * MIB)
            script.run(path)
    return path, script


for seed in range(1, 1 + max(1, 6 // tap.sampling())):
    @tap.case(f"a child: killed twice among random operations, seed {seed}")
    def _(folder, number=seed):
        chance = random.Random(number)
        path, script = make_chain(folder, 1 + number % 2, 4096 if number % 5 == 0 else 512)
        for _session in range(2):
            script.scatter(chance, chance.randrange(1, 80), most=chance.choice((5000, 300000, 4 * MIB)))
            script.run(path, kill=True)
            judge(folder, path, script, qemu=False, lint=["--chain"])


@tap.case("a child: killed after its first write, and after blocks became whole")
def _(folder):
    path, script = make_chain(folder, 1)
    script.write(512, 512)
    script.flush()
    script.run(path, kill=True)
    judge(folder, path, script, qemu=False)
    for part in range(0, MIB, 64 * 1024):
        script.write(4 * MIB + part, 64 * 1024)
        script.flush()
    script.write(6 * MIB, 65536)
    script.run(path, kill=True)
    judge(folder, path, script, qemu=False)


@tap.case("a dirty parent below a child that is written")
def _(folder):
    path, script = make_chain(folder, 0)
    script.write(MIB, 70000)
    script.flush()
    script.run(path, kill=True)
    child = os.path.join(folder, "child.vhdx")
    vhdx("create", "--parent", path, child)
    before = disks.snapshot(path)
    script.write(MIB + 512, 512)
    script.run(child)
    assert disks.snapshot(path) == before, "the parent was changed"
    script.settle(raw_of(child, folder))


@tap.case("QEMU writes on where we were killed", tap.tool("qemu-io", "qemu-img"))
def _(folder):
    path, script = create(folder, 24 * MIB, "--block-size", "1M"), Script(disks.Model(24 * MIB))
    script.scatter(random.Random(77), 50)
    script.flush()
    script.run(path, kill=True)
    script.settle(raw_of(path, folder))
    command.run(["qemu-io", "-f", "vhdx", "-c", "write -P 7 5M 64k", "-c", "write -P 8 23M 1M", path])
    script.model.write(5 * MIB, b"\7" * 65536)
    script.model.write(23 * MIB, b"\10" * MIB)
    script.settle(raw_of(path, folder))
    assert peers.qemu_digest(path, folder)[0] == script.model.digest()


tap.main()
