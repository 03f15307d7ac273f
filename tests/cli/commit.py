#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx commit: what it merges, what stays, what it refuses, and that a stop leaves the chain as it was."""
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
import lockbytes
import samples
import tap
from command import VHDX, fails, vhdx
from disks import MIB, TIB, Model
from script import Script

SIZE = 24 * MIB
ZERO = "{00000000-0000-0000-0000-000000000000}"


def guid(path):
    return links.info(path)["data-write-guid"]


@tap.case("a child goes into its parent, and both read the same afterwards")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    before = guid(child.path), guid(base.path)
    assert vhdx("commit", child.path).out.startswith(f"Merged {child.path} into ")
    links.holds(base.path, child.model)
    links.holds(child.path, child.model)
    assert guid(child.path) == before[0] and guid(base.path) != before[1]
    parent = links.info(child.path)["parent"]
    assert parent["linkage"] == f"{{{guid(base.path)}}}" and parent["linkage2"] == ZERO, parent


@tap.case("links between go with it by --into, each of them")
def _(folder):
    for into in range(4):
        top = os.path.join(folder, str(into))
        os.mkdir(top)
        chain = links.make(top, f"disk{into}-", SIZE, 4)
        leaf = chain[-1]
        vhdx("commit", "-q", "--into", chain[into].path, leaf.path)
        links.holds(chain[into].path, leaf.model)
        links.holds(leaf.path, leaf.model)
        for below in chain[:into]:
            links.holds(below.path, below.model)


@tap.case("sectors of 4096 bytes, and a fixed parent")
def _(folder):
    for sector, kind in ((4096, "dynamic"), (4096, "fixed"), (512, "fixed")):
        base, child = links.make(folder, f"{kind}{sector}-", SIZE, 1, sector, kind)
        vhdx("commit", "-q", child.path)
        links.holds(base.path, child.model)
        assert links.info(base.path)["type"] == kind


@tap.case("a child in the middle of a chain: its own children read as before")
def _(folder):
    base, middle, leaf = links.make(folder, "disk", SIZE, 2)
    vhdx("commit", "-q", middle.path)
    links.holds(base.path, middle.model)
    links.holds(leaf.path, leaf.model)


@tap.case("--delete removes the merged files and no other")
def _(folder):
    base, _, leaf = links.make(folder, "disk", SIZE, 2)
    other = samples.dynamic(folder, "other.vhdx")[0]
    vhdx("commit", "-q", "--delete", "--into", base.path, leaf.path)
    assert sorted(os.listdir(folder)) == sorted([base.name, os.path.basename(other)])
    links.holds(base.path, leaf.model)


@tap.case("--delete of a symbolic link removes the file that it leads to")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    os.symlink(child.path, os.path.join(folder, "link"))
    vhdx("commit", "-q", "--delete", os.path.join(folder, "link"))
    assert sorted(os.listdir(folder)) == [base.name, "link"]


def refused(folder, *words, says, **how):
    before = disks.snapshot(folder)
    fails("commit", *words, says=says, **how)
    changed = disks.changes(before, disks.snapshot(folder))
    assert not changed, changed


@tap.case("another child of the parent stops it, and --force goes on")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    vhdx("create", "-q", "--parent", base.path, os.path.join(folder, "sibling.vhdx"))
    refused(folder, child.path, says="sibling.vhdx beside it, which the merge would break")
    vhdx("commit", "-q", "--force", child.path)
    links.holds(base.path, child.model)


@tap.case("another child of a link between stops it")
def _(folder):
    base, middle, leaf = links.make(folder, "disk", SIZE, 2)
    vhdx("create", "-q", "--parent", middle.path, os.path.join(folder, "sibling.vhdx"))
    refused(folder, "--into", base.path, leaf.path, says="disk1.vhdx: is also the parent of sibling.vhdx")
    vhdx("commit", "-q", leaf.path, "--force")


@tap.case("a child of the child stops only --delete")
def _(folder):
    base, middle, leaf = links.make(folder, "disk", SIZE, 2)
    refused(folder, "--delete", middle.path, says="disk2.vhdx beside it")
    vhdx("commit", "-q", middle.path)
    links.holds(leaf.path, leaf.model)
    links.holds(base.path, middle.model)


@tap.case("what cannot be merged is refused, and nothing is written")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    other = samples.dynamic(folder, "other")[0]
    refused(folder, base.path, says="has no parent .expected a differencing disk")
    refused(folder, "--into", other, child.path, says="is no ancestor of")
    refused(folder, "--into", child.path, child.path, says="is no ancestor of")
    refused(folder, "--into", os.path.join(folder, "none"), child.path, says="cannot be found")
    refused(folder, "--no-parent", child.path, says="without its parent")
    refused(folder, says="operand")
    with lockbytes.locked(base.path, *lockbytes.READER):
        refused(folder, child.path, says="in use by another process")


@tap.case("a parent that was changed since is refused, even with --ignore-id-mismatch")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    script = Script(base.model)
    script.write(0, 512)
    script.run(base.path, loud=True)
    refused(folder, child.path, says="is not the image that it was made from", status=2)
    refused(folder, "--ignore-id-mismatch", child.path, says="unchanged, to be merged into", status=2)


@tap.case("a parent that is smaller grows")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1)
    size = SIZE + 9 * MIB + 512
    vhdx("resize", child.path, str(size), loud=True)
    model = Model(size, child.model)
    script = Script(model)
    script.seeds = 77
    script.write(SIZE - MIB, 3 * MIB)
    script.run(child.path)
    vhdx("commit", "-q", child.path)
    links.holds(base.path, model)
    links.holds(child.path, model)


@tap.case("dirty logs of both are replayed first")
def _(folder):
    base = os.path.join(folder, "base.vhdx")
    vhdx("create", "-q", base, str(SIZE))
    script = Script(Model(SIZE))
    script.write(MIB, 2 * MIB)
    script.flush()
    script.run(base, kill=True)
    child = os.path.join(folder, "child.vhdx")
    vhdx("create", "-q", "--parent", base, child)
    script.write(2 * MIB + 512, MIB)
    script.flush()
    script.run(child, kill=True)
    assert links.info(base)["log-state"] == links.info(child)["log-state"] == "dirty"
    vhdx("commit", "-q", child)
    links.holds(base, script.model)
    links.holds(child, script.model)
    assert links.info(base)["log-state"] == links.info(child)["log-state"] == "clean"


def stopped(folder, number, delay):
    """A commit of much gets a signal. Returns (base, child, its model, whether it was in the middle)."""
    base, child = os.path.join(folder, "base.vhdx"), os.path.join(folder, "child.vhdx")
    vhdx("create", "-q", base, "1G")
    vhdx("create", "-q", "--parent", base, child)
    script = Script(Model(1 << 30))
    for block in range(0, 64):
        script.write(block * 2 * MIB + 4096, MIB)
    script.run(child)
    process = command.start([VHDX, "commit", "-q", "--delete", child], stderr=command.subprocess.PIPE)
    time.sleep(delay)
    process.send_signal(number)
    err, status = process.stderr.read(), process.wait(60)
    process.stderr.close()
    assert status == -number or b"interrupted" not in err, (status, err)
    return base, child, script.model, b"interrupted" in err


for signal_number in (signal.SIGINT, signal.SIGTERM):
    @tap.case(f"{signal_number.name} in the middle: the child reads as before, nothing is removed, and the "
              "next run finishes")
    def _(folder, number=signal_number):
        for tries in range(60):
            top = os.path.join(folder, "try")
            os.mkdir(top)
            base, child, model, in_the_middle = stopped(top, number, 0.004 * (tries % 20 + 1))
            if in_the_middle:
                break
            shutil.rmtree(top)
        else:
            raise tap.Skip("it could not be stopped in the middle")
        links.holds(child, model)
        parent = links.info(child)["parent"]
        assert parent["linkage"] == f"{{{guid(base)}}}" and parent["linkage2"] == ZERO, parent
        vhdx("commit", "-q", "--delete", child)
        assert os.listdir(top) == ["base.vhdx"]
        links.holds(base, model)


@tap.case("64 TiB that hold little: at most 64 MiB of memory")
def _(folder):
    base, child = os.path.join(folder, "base.vhdx"), os.path.join(folder, "child.vhdx")
    vhdx("create", "-q", "--block-size", "1M", base, str(64 * TIB))
    vhdx("create", "-q", "--block-size", "1M", "--parent", base, child)
    script = Script(Model(64 * TIB))
    for at in (0, 5 * TIB + 512, 64 * TIB - 4096):
        script.write(at, 4096)
    script.run(child)
    process, peak = command.watched([VHDX, "commit", "-q", child])
    assert process.wait(60) == 0
    assert peak() < 64 * MIB, peak()
    vhdx("compare", "-q", base, child)
    extents = command.vhdx_json("map", "--json", base)
    assert [e["start"] // MIB for e in extents if e["data"]] == [0, 5 * TIB // MIB, 64 * TIB // MIB - 1]


tap.main()
