#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`vhdx diff`: what it makes, what it refuses, and that a child appears whole or not at all."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import signal
import subprocess

import command
import disks
import samples
import smallfs
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB, noise
from lockbytes import READER, WRITER, locked
from nbdserver import Log, nbdkit, wait_until


def pair(folder, size=8 * MIB):
    """(base, new): a disk, and a raw file with other contents in part."""
    base, disk = samples.dynamic(folder, "base", size)
    model = disks.Model(size, disk.guest)
    model.write(3 * MIB + 512, noise("new", 5000))
    model.zero(0, MIB)
    return base, model.save(os.path.join(folder, "new.raw"))


def refuses(folder, *words, **how):
    before = disks.snapshot(folder)
    line = command.fails("diff", *words, **how)
    changed = disks.changes(before, {**disks.snapshot(folder), folder: before[folder]})
    assert not changed, f"changed: {changed}"
    return line


# ---- what it makes

@tap.case("a child of BASE that reads as NEW, without a word")
def _(folder):
    base, new = pair(folder)
    child = os.path.join(folder, "child.avhdx")
    before = disks.snapshot(folder)
    result = vhdx("diff", base, new, child)
    assert not result.out, result
    assert disks.changes(before, disks.snapshot(folder)) == [folder, child]
    vhdx("compare", new, child)
    shown = vhdx_json("info", "--json", child)
    assert shown["vhdx"]["type"] == "differencing", shown
    assert shown["full-backing-filename"] == base, shown
    assert shown["vhdx"]["disk-id"] == vhdx_json("info", "--json", base)["vhdx"]["disk-id"]


@tap.case("the child holds the sectors that differ, and no others")
def _(folder):
    base, new = pair(folder)
    child = os.path.join(folder, "child.vhdx")
    vhdx("diff", base, new, child)
    own = [(e["start"], e["length"], e["data"]) for e in vhdx_json("map", "--json", child)
           if not e["depth"]]
    # The base has 8192 bytes at 0; the new disk has 5000 at 3 MiB + 512.
    assert own == [(0, 8192, True), (3 * MIB + 512, 5120, True)], own


@tap.case("options say what the child is like")
def _(folder):
    base, new = pair(folder)
    child = os.path.join(folder, "child.vhdx")
    vhdx("diff", "--block-size", "32M", "--log-size", "4M", "--windows-path", "C:\\disks\\base.vhdx",
         "--no-sync", base, new, child)
    shown = vhdx_json("info", "--json", child)["vhdx"]
    assert (shown["block-size"], shown["log-length"]) == (32 * MIB, 4 * MIB), shown
    assert "C:\\\\disks\\\\base.vhdx" in vhdx("dump", "--json", "metadata", child).out
    os.unlink(child)
    vhdx("diff", "--no-holes", base, new, child)
    assert disks.allocated(child) >= os.path.getsize(child)


@tap.case("NEW's format is what it holds, or what -f says")
def _(folder):
    base, _ = pair(folder)
    child = os.path.join(folder, "child.vhdx")
    vhdx("diff", base, base, child)
    vhdx("compare", base, child)
    vhdx("diff", "--force", "-f", "raw", base, base, child)
    vhdx("compare", "-f", "raw", base, child)
    command.fails("diff", "-f", "vhdx", base, samples.write(folder, "x", noise("x", MIB)),
                  os.path.join(folder, "y.vhdx"), says="x: not a VHDX")


@tap.case("a child of a child, and a disk against its own parent")
def _(folder):
    leaf, base, image = samples.family(folder)
    for number, (a, b) in enumerate(((leaf, base), (base, leaf))):
        child = os.path.join(folder, f"new{number}.vhdx")
        vhdx("diff", a, b, child)
        vhdx("compare", b, child)
        chain = vhdx_json("info", "--json", "--chain", child)
        assert [os.path.basename(one["filename"]) for one in chain][1] == os.path.basename(a), chain
    assert image


@tap.case("a dirty base is not touched, and its log counts")
def _(folder):
    base, _ = samples.dirty(folder)
    new = samples.write(folder, "new.raw", noise("new", 8 * MIB))
    before = disks.snapshot(base)
    child = os.path.join(folder, "child.vhdx")
    vhdx("diff", base, new, child)
    assert not disks.changes(before, disks.snapshot(base))
    vhdx("compare", new, child)


@tap.case("a child in another folder is found by its own path, when that may be opened; a warning says so")
def _(folder):
    base, new = pair(folder)
    os.mkdir(os.path.join(folder, "sub"))
    child = os.path.join(folder, "sub", "child.vhdx")
    result = vhdx("diff", base, new, child, loud=True)
    assert result.err.count("\n") == 1 and "warning" in result.err and "outside" in result.err, result
    vhdx("compare", "--parent-dir", folder, new, child)


@tap.case("a base that has a parent elsewhere is opened as the chain options say")
def _(folder):
    for name in ("a", "b"):
        os.mkdir(os.path.join(folder, name))
    leaf, base, _ = samples.family(os.path.join(folder, "b"), os.path.join(folder, "a"))
    new = samples.write(folder, "new.raw", noise("new", 8 * MIB))
    child = os.path.join(folder, "a", "new.vhdx")
    refuses(folder, leaf, new, child, says="base.vhdx")
    refuses(folder, "--no-parent", leaf, new, child, says="without its parent")
    vhdx("diff", "--parent-dir", os.path.join(folder, "b"), leaf, new, child)
    vhdx("compare", "--parent-dir", os.path.dirname(base), new, child)


@tap.case("--progress=json counts to the end")
def _(folder):
    base, new = pair(folder)
    result = vhdx("diff", "--progress=json", base, new, os.path.join(folder, "child.vhdx"), loud=True)
    last = json.loads(result.err.splitlines()[-1])
    assert last["done"] == last["total"] == 8 * MIB, last


# ---- what it refuses

@tap.case("an existing child is refused and untouched; --force replaces it")
def _(folder):
    base, new = pair(folder)
    child = samples.write(folder, "child.vhdx", b"precious")
    refuses(folder, base, new, child, says="child.vhdx: exists already")
    vhdx("diff", "--force", base, new, child)
    vhdx("compare", new, child)


@tap.case("what is compared is not replaced, by no name and not by --force")
def _(folder):
    leaf, base, _ = samples.family(folder)
    raw = samples.write(folder, "new.raw", noise("new", 8 * MIB))
    os.link(base, os.path.join(folder, "hard.vhdx"))
    os.symlink("new.raw", os.path.join(folder, "soft.raw"))
    for out in (leaf, base, raw, "hard.vhdx", "soft.raw"):
        refuses(folder, "--force", leaf, raw, out, cwd=folder, says="is what is compared")
    refuses(folder, "--force", base, leaf, base, says="is what is compared")


@tap.case("a child that another program uses is not replaced")
def _(folder):
    base, new = pair(folder)
    child = samples.write(folder, "child.vhdx", b"precious")
    for held in (READER, WRITER):
        with locked(child, *held):
            refuses(folder, "--force", base, new, child, says="child.vhdx: .*in use by another process")


@tap.case("what another program writes is not compared")
def _(folder):
    base, new = pair(folder)
    child = os.path.join(folder, "child.vhdx")
    for path in (base, new):
        with locked(path, *WRITER):
            refuses(folder, base, new, child, says=os.path.basename(path))
    with locked(base, *READER), locked(new, *READER):
        vhdx("diff", base, new, child)


@tap.case("contents without a size, or of no size")
def _(folder):
    base, _ = pair(folder)
    child, fifo = os.path.join(folder, "child.vhdx"), os.path.join(folder, "fifo")
    refuses(folder, base, "-", child, stdin=b"x" * 512, says="standard input: .*size")
    refuses(folder, base, samples.write(folder, "empty", b""), child, says="empty: is empty")
    os.mkfifo(fifo)
    with os.fdopen(os.open(fifo, os.O_RDWR), "wb"):
        command.fails("diff", base, fifo, child, says="fifo: .*size")
    assert not os.path.exists(child)


@tap.case("operands that are missing, wrong or too many")
def _(folder):
    base, new = pair(folder)
    child = os.path.join(folder, "child.vhdx")
    for words in ([], [base], [base, new], [base, new, child, "x"], [new, base, child],
                  [base, "nowhere", child], ["nowhere", new, child], [base, folder, child],
                  [folder, new, child], [base, new, folder], [base, new, "/no/such/folder/child"]):
        refuses(folder, *words, cwd=folder)


for option, wrong in (("--block-size", ("0", "512K", "3M", "512M", "x")), ("-f", ("", "qcow2")),
                      ("--log-size", ("0", "1500K", "2G")),
                      ("--windows-path", ("", "base.vhdx", "/disks/base.vhdx", "C:base"))):
    @tap.case(f"{option} refuses what it should")
    def _(folder, name=option, values=wrong):
        base, new = pair(folder)
        for value in values:
            refuses(folder, name, value, base, new, os.path.join(folder, "child.vhdx"))


@tap.case("a disk that cannot be read to its end: one line, and nothing is left")
def _(folder):
    base, new = pair(folder)
    bad, disk = samples.dynamic(folder, "bad")
    disk.bat[7] = 1 << 50 | 6
    disk.write(folder)
    child = os.path.join(folder, "child.vhdx")
    for words in ([base, bad, child], [bad, new, child]):
        refuses(folder, *words, status=2, says="bad.vhdx: ")
    samples.write(folder, "child.vhdx", b"precious")
    refuses(folder, "--force", base, bad, child, status=2)


# ---- full disks and signals

for kind, needs in smallfs.KINDS:
    @tap.case(f"a full {kind}: one line, and nothing is left or lost", *needs)
    def _(folder, what=kind):
        base = samples.dynamic(folder)[0]
        new = samples.write(folder, "x.raw", noise("raw", MIB) * 24)
        with smallfs.Mount(what, folder, 12 * MIB) as point:
            old = samples.write(point, "old.vhdx", b"precious")
            before, free = sorted(os.listdir(point)), smallfs.free(point)
            for more in ([], ["--no-holes"], ["--force"]):
                out = old if more == ["--force"] else os.path.join(point, "child.vhdx")
                command.fails("diff", *more, base, new, out, says="[Nn]o space left|[Tt]oo large")
                assert sorted(os.listdir(point)) == before, more
                assert smallfs.free(point) == free, more
            with open(old, "rb") as file:
                assert file.read() == b"precious"


def client():
    """Why NBD cannot be an operand here, or None."""
    result = command.run([VHDX, "compare", "nbd+unix:///?socket=/no/such", "-"], status=2)
    return "the command is built without NBD" if "without NBD" in result.err else None


NBD = (tap.tool("nbdkit"), client)


@tap.case("NEW behind NBD", *NBD)
def _(folder):
    base, new = pair(folder)
    child = os.path.join(folder, "child.vhdx")
    with nbdkit(folder, "file", new) as server:
        vhdx("diff", base, server.uri(), child)
    vhdx("compare", new, child)


def interrupted(folder, base, new, child, number):
    """Sends a signal in the middle. Returns what was in the folder then, and was printed."""
    log = os.path.join(folder, "nbd.log")
    with nbdkit(folder, "--filter=log", "--filter=delay", "file", new, "rdelay=300ms",
                "logfile=" + log) as server:
        process = subprocess.Popen([VHDX, "diff", "--force", base, server.uri(), child],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until("nothing is read", lambda: len(Log(log).of("Read")) > 2)
        there = sorted(os.listdir(os.path.dirname(child)))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == -number and not out, (process.returncode, out, err)
    return there, err.decode()


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
    @tap.case(f"{number.name} in the middle: nothing is left, and an old child is there", *NBD)
    def _(folder, sent=number):
        base, _ = pair(folder)
        new = samples.write(folder, "large.raw", noise("large", 64 * MIB))
        top = os.path.join(folder, "out")
        os.mkdir(top)
        child = os.path.join(top, "child.vhdx")
        for before in ([], ["child.vhdx"]):
            there, err = interrupted(folder, base, new, child, sent)
            assert there == before, there
            assert sorted(os.listdir(top)) == before, os.listdir(top)
            if sent != signal.SIGKILL:
                assert err.count("\n") == 1 and err.startswith("vhdx diff: "), err
            samples.write(top, "child.vhdx", b"precious")
        with open(child, "rb") as file:
            assert file.read() == b"precious"


tap.main()
