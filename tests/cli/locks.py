#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files are locked against other programs, QEMU's and our own, by the bytes that QEMU locks."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import contextlib
import subprocess

import command
import disks
import samples
import tap
from command import VHDX, vhdx
from disks import MIB, noise
from lockbytes import READER, WRITER, locked

READING = (["info"], ["check"], ["map"], ["dump", "header"])


@tap.case("reading beside a writer is refused, unless --force-share is given")
def _(folder):
    path = samples.dynamic(folder)[0]
    with locked(path, *WRITER):
        in_use = {"says": "open for writing"}
        command.together(
            lambda how, *words: command.fails(*words, **how),
            *((in_use, *words, path) for words in READING),
            (in_use, "convert", path, os.path.join(folder, "x.raw")),
            ({"status": 2}, "compare", path, path),
            ({}, "create", "--parent", path, os.path.join(folder, "c.vhdx")))
        for words in READING:
            vhdx(*words, "--force-share", path)
        assert os.listdir(folder) == ["disk.vhdx"]
        vhdx("convert", "--force-share", path, os.path.join(folder, "x.raw"))
    vhdx("info", path)


@tap.case("readers do not keep readers out")
def _(folder):
    path = samples.dynamic(folder)[0]
    with locked(path, *READER):
        for words in READING:
            vhdx(*words, path)


@tap.case("a parent that is being written is not read")
def _(folder):
    child, parent, _ = samples.family(folder)
    with locked(parent, *WRITER):
        command.fails("map", child, says="base.vhdx")
        vhdx("map", "--force-share", child)


for who, places in (("reads", READER), ("writes", WRITER)):
    @tap.case(f"a destination that another program {who} is not replaced, --force or not")
    def _(folder, held=places):
        path = samples.dynamic(folder)[0]
        for out in (samples.dynamic(folder, "out")[0], samples.write(folder, "out.raw", b"precious")):
            before = disks.snapshot(folder)
            with locked(out, *held):
                command.fails("convert", "--force", path, out, says="in use by another process")
                command.fails("create", "--force", out, "4M", says="in use by another process")
            assert not disks.changes(before, {**disks.snapshot(folder), folder: before[folder]})
            assert sorted(os.listdir(folder)) == sorted(map(os.path.basename, set(before) - {folder}))
            vhdx("convert", "--force", path, out)


@tap.case("a raw source beside a writer is refused, unless --force-share is given")
def _(folder):
    raw = samples.write(folder, "x.raw", noise("raw", 2 * MIB))
    out = os.path.join(folder, "out.raw")
    with locked(raw, *WRITER):
        command.fails("convert", raw, out, says="x.raw: .*written by another process")
        assert os.listdir(folder) == ["x.raw"]
        vhdx("convert", "--force-share", raw, out)
        assert disks.digest(out) == disks.digest(raw)


@contextlib.contextmanager
def reading(path):
    """Our command in the middle of reading a disk."""
    with subprocess.Popen([VHDX, "convert", path, "-"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        try:
            yield
        finally:
            process.kill()


@tap.case("our own readers share", tap.tool("true"))
def _(folder):
    path = samples.dynamic(folder, size=64 * MIB)[0]
    with reading(path):
        vhdx("info", path)


@tap.case("while we read, QEMU reads too, and cannot write", tap.tool("qemu-io", "qemu-img"))
def _(folder):
    path = samples.dynamic(folder, size=64 * MIB)[0]
    with reading(path):
        command.run(["qemu-img", "info", path])
        result = command.run(["qemu-io", "-f", "vhdx", "-c", "write 0 512", path], status=1)
        assert "lock" in result.err, result
    command.run(["qemu-io", "-r", "-f", "vhdx", "-c", "read 0 512", path])


@tap.case("while we read with --force-share, QEMU may write", tap.tool("qemu-io"))
def _(folder):
    path = samples.dynamic(folder, size=64 * MIB)[0]
    with subprocess.Popen([VHDX, "convert", "--force-share", path, "-"], stdout=subprocess.PIPE) as ours:
        ours.stdout.read(10)
        command.run(["qemu-io", "-f", "vhdx", "-c", "write 0 512", path])
        ours.kill()


@tap.case("while QEMU writes, we do not read", tap.tool("qemu-io"))
def _(folder):
    path = samples.dynamic(folder)[0]
    with subprocess.Popen(["qemu-io", "-f", "vhdx", path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as qemu:
        qemu.stdin.write(b"read 0 512\n")
        qemu.stdin.flush()
        qemu.stdout.readline()
        command.fails("info", path, says="open for writing")
        vhdx("info", "--force-share", path)
        qemu.stdin.close()
    vhdx("info", path)


tap.main()
