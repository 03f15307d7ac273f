#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Killed at each system call that changes the file: we, and QEMU, whose image we then write on."""
import os
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import peers
import tap
from changes import create, judge, raw_of
from command import vhdx, vhdx_json
from disks import MIB
from script import VHDXIO, Script

SIZE = 24 * MIB
CALLS = ("pwrite64", "pwritev", "fdatasync", "ftruncate", "fallocate")
TRACED = (tap.tool("strace"), tap.whole)


def killed_at(call, number, argv, folder, **more):
    """Runs a program until it is about to make its call of that number. Returns (killed, output)."""
    result = command.killed_at(call, number, argv, folder, **more)
    assert result.status in (0, -9, 137), result
    return result.status != 0, result.out


# A flush, whole blocks trimmed, their space used again, overwrites, zeros, and a close.
OPERATIONS = [
    ("write", 3 * MIB + 512, 5000), ("write", 8 * MIB, 3 * MIB), ("flush",),
    ("trim", 8 * MIB, 2 * MIB), ("write", 15 * MIB + 4096, 4096), ("flush",),
    ("write", 8 * MIB + 4096, 512), ("write", 10 * MIB + 4096, 512), ("zero", 2 * MIB, 2 * MIB),
    ("flush",), ("write", 21 * MIB, 300000),
]


def lines():
    """What vhdxio is to do; it says how many flushes are done."""
    script, flushes = Script(disks.Model(SIZE)), 0
    for name, *arguments in OPERATIONS:
        getattr(script, name)(*arguments)
        if name == "flush":
            flushes += 1
            script.line(f"say {flushes}")
    return script.lines


def promised(model, flushes):
    """What the disk may hold when that many flushes were done, and it is not known what else was."""
    script = Script(model)
    for name, *arguments in OPERATIONS:
        if name == "flush" and not flushes:
            continue
        flushes -= name == "flush"
        getattr(script, name)(*arguments)
    script.killed()
    return script


def kill_everywhere(folder, path, model, qemu, step=1):
    """Runs the operations on copies of the disk, killed at each call in turn, or at some."""
    text, kills = "".join(f"{line}\n" for line in lines()).encode(), 0
    for call in CALLS:
        for number in range(1, 200, step):
            top = os.path.join(folder, "try")
            shutil.copytree(os.path.dirname(path), top)
            leaf = os.path.join(top, os.path.basename(path))
            killed, out = killed_at(call, number, [VHDXIO, leaf], folder, stdin=text)
            script = promised(disks.Model(SIZE, model), len(out.split()))
            if killed:
                kills += 1
                try:
                    judge(folder, leaf, script, qemu=qemu)
                except AssertionError as error:
                    raise AssertionError(f"killed at {call} {number}, flushes {out.split()}: {error}") from None
            shutil.rmtree(top)
            if not killed:
                break
        else:
            raise AssertionError(f"{call}: no end")
    assert kills > 20 // step, kills


@tap.case("dynamic: we are killed at each call", *TRACED)
def _(folder):
    os.mkdir(os.path.join(folder, "disk"))
    path = create(os.path.join(folder, "disk"), SIZE, "--block-size", "1M")
    kill_everywhere(folder, path, disks.Model(SIZE), qemu=True)


@tap.case("fixed: we are killed at each fourth call", *TRACED)
def _(folder):
    os.mkdir(os.path.join(folder, "disk"))
    path = create(os.path.join(folder, "disk"), SIZE, "--type", "fixed")
    kill_everywhere(folder, path, disks.Model(SIZE), qemu=True, step=4)


@tap.case("a child: we are killed at each call", *TRACED)
def _(folder):
    top = os.path.join(folder, "disk")
    os.mkdir(top)
    base, script = create(top, SIZE, name="base.vhdx"), Script(disks.Model(SIZE))
    script.seeds = 1000
    script.write(MIB, 15 * MIB)
    script.run(base)
    child = os.path.join(top, "child.vhdx")
    vhdx("create", "--parent", base, "--block-size", "1M", child)
    kill_everywhere(folder, child, script.model, qemu=False)


@tap.case("a file with recycled space: we are killed at each third call", *TRACED)
def _(folder):
    os.mkdir(os.path.join(folder, "disk"))
    path = create(os.path.join(folder, "disk"), SIZE, "--block-size", "1M")
    script = Script(disks.Model(SIZE))
    script.seeds = 1000
    script.write(0, SIZE)
    script.trim(0, SIZE - MIB)
    script.run(path)
    script.settle(raw_of(path, folder))
    kill_everywhere(folder, path, script.model, qemu=True, step=3)


@tap.case("QEMU is killed at each call, and we write on", *TRACED, tap.tool("qemu-io", "qemu-img"))
def _(folder):
    states = set()
    for call in ("pwrite64", "fdatasync"):
        for number in range(1, 60):
            path = os.path.join(folder, "disk.vhdx")
            command.run(["qemu-img", "create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, str(SIZE)])
            killed, _ = killed_at(call, number, ["qemu-io", "-f", "vhdx", "-c", "write -P 1 3M 64k",
                                                 "-c", "write -P 2 7M 4k", path], folder)
            states.add(write_on(folder, path))
            os.unlink(path)
            if not killed:
                break
    assert states == {"clean", "dirty", "corrupt"}, states


def write_on(folder, path):
    """QEMU's image, as it was left, is refused when its log is damaged, or written."""
    found = command.check(path)[1]
    if "LOG_NO_SEQUENCE" in found:  # QEMU set LogGuid before it wrote the first entry
        before = disks.snapshot(path)
        result = command.run([VHDXIO, "-c", "write 0 512 1", path], status=1)
        assert "LogGuid is set" in result.err and disks.snapshot(path) == before, result
        return "corrupt"
    state = vhdx_json("info", "--json", path)["vhdx"]["log-state"]
    model = disks.Model(SIZE)
    for at, length in ((3 * MIB, 65536), (7 * MIB, 4096)):  # what of it is there counts
        with open(raw_of(path, folder), "rb") as file:
            file.seek(at)
            model.write(at, file.read(length))
    script = Script(model)
    script.settle(raw_of(path, folder))
    for at in (3 * MIB + 512, 7 * MIB, 8 * MIB, 20 * MIB):
        script.write(at, 4096)
    script.run(path)
    script.settle(raw_of(path, folder))
    peers.qemu_check(path)
    assert peers.qemu_digest(path, folder)[0] == script.model.digest()
    return state


tap.main()
