#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The programs in examples/ do what their first lines say."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import disks
import script
import tap
from command import run, vhdx, vhdx_json
from disks import MIB, Model, noise


def example(name, *words, **how):
    return run([os.environ[f"VHDX_EXAMPLE_{name.upper()}"], *words], **how)


def chain(folder):
    """A child of a parent, and the contents of both; the child's log is dirty."""
    model = Model(64 * MIB)
    model.write(3 * MIB + 700, noise("example", 300000))
    parent, child = (os.path.join(folder, name) for name in ("parent.vhdx", "child.avhdx"))
    vhdx("convert", model.save(os.path.join(folder, "model.raw")), parent)
    vhdx("create", "-q", "--parent", parent, child)
    changed = Model(64 * MIB, model)
    changed.write(3 * MIB + 4096, b"\7" * 4096)
    changed.write(40 * MIB, b"\10" * 512)
    script.vhdxio(child, lines=[f"write {3 * MIB + 4096} 4096 7", f"write {40 * MIB} 512 8", "flush", "kill"], status=-9)
    return model, changed, parent, child


@tap.case("read_range prints what a guest would read, through chain and log, and changes nothing")
def _(folder):
    images, out = (os.path.join(folder, name) for name in ("images", "out"))
    os.mkdir(images)
    _, changed, _, child = chain(images)
    before = disks.snapshot(images)
    with open(out, "wb") as file:
        example("read_range", child, str(3 * MIB), str(2 * MIB), stdout=file)
    with open(out, "rb") as file:
        assert file.read() == changed.read(3 * MIB, 2 * MIB)
    assert not disks.changes(before, disks.snapshot(images))
    assert f"read_range: {child}: " in example("read_range", child, str(64 * MIB), "1", status=1).err
    none = os.path.join(folder, "none")
    assert f"read_range: {none}: cannot be opened: No such file" in example("read_range", none, "0", "1", status=1).err
    for number in "x", "-1", "1k", "", "99999999999999999999":
        assert "no number of bytes" in example("read_range", child, number, "1", status=1).err, number


@tap.case("copy_sparse copies the contents and leaves the rest as holes")
def _(folder):
    _, changed, _, child = chain(folder)
    raw = os.path.join(folder, "out.raw")
    example("copy_sparse", child, raw)
    assert disks.digest(raw) == changed.digest() and os.path.getsize(raw) == changed.size
    assert disks.allocated(raw) < 4 * MIB, disks.allocated(raw)
    example("copy_sparse", child, raw, status=1)
    assert os.path.getsize(raw) == changed.size
    damaged, half = os.path.join(folder, "damaged.vhdx"), os.path.join(folder, "half.raw")
    vhdx("convert", child, damaged)
    with open(damaged, "r+b") as file:  # its second block lies behind all files
        file.seek(vhdx_json("info", "--json", damaged)["vhdx"]["bat-offset"] + 8)
        file.write(((1 << 50) | 6).to_bytes(8, "little"))
    assert f"copy_sparse: {damaged}: " in example("copy_sparse", damaged, half, status=1).err
    assert not os.path.exists(half)


@tap.case("memory_storage gives the text back")
def _(_):
    out = example("memory_storage", "kept in memory").out.splitlines()
    assert out[0] == "kept in memory" and out[1].startswith("the image took "), out


@tap.case("incremental_backup makes a chain of backups that read as the disk did at each time")
def _(folder):
    model, changed, parent, child = chain(folder)
    monday, tuesday = (os.path.join(folder, name) for name in ("monday.avhdx", "tuesday.avhdx"))
    assert " are kept here" in example("incremental_backup", parent, child, monday).out
    raw = changed.save(os.path.join(folder, "now.raw"))
    example("incremental_backup", monday, raw, tuesday)
    for backup in monday, tuesday:
        vhdx("compare", backup, raw)
    assert os.path.getsize(tuesday) <= os.path.getsize(monday) < 16 * MIB
    vhdx("check", "--chain", tuesday)
    assert example("incremental_backup", parent, raw, monday, status=1).err


tap.main()
