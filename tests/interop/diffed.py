#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Children made by `vhdx diff`: others read what they were made from; killed at any moment, there is none."""
import itertools
import os
import random
import shutil
import subprocess
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
from changes import raw_of, reference_digest
from command import VHDX, vhdx, vhdx_json
from disks import GIB, MIB, TIB, Model, noise, scattered

MEMORY_MAX = 64 * MIB


def changed(name, model, size=None, pieces=10):
    """The model some time later: written, cleared and perhaps of another size."""
    chance, after = random.Random(name), Model(size or model.size, model)
    for number in range(pieces):
        at = chance.randrange(after.size)
        length = min(after.size - at, chance.choice((512, 700, 4096, 70000, MIB)))
        if chance.randrange(3):
            after.write(at, noise(f"{name} {number}", length))
        else:
            after.zero(at, length)
    return after


def save(folder, name, model, *options):
    """A disk of its own, with the model's contents."""
    raw = model.save(os.path.join(folder, "model.raw"))
    path = os.path.join(folder, name)
    vhdx("convert", "--no-sync", *options, raw, path)
    os.unlink(raw)
    return path


def judge(folder, path, model, usual=True):
    """Everybody reads the model's contents, and nobody finds a fault. @usual: all disks of the chain are of
    one size. 7-Zip reads no child beyond its parent's end, and the strict judge wants them so."""
    expected = model.digest()
    raw = raw_of(path, folder)
    assert (disks.digest(raw), os.path.getsize(raw)) == (expected, model.size), "we read something else"
    os.unlink(raw)
    assert reference_digest(path, folder) in (expected, None), "the reference reader sees other contents"
    if usual and peers.have("7zz"):
        assert peers.seven_digest(path) == (expected, model.size), "7-Zip reads other contents"
    status, found = command.check(path, "--chain")
    assert status == 0 and not set(found) - {"PARENT_SIZE"}, (status, found)
    if not judges.lint_there():
        judges.lint(path, "--type", "differencing")
        if usual:
            judges.lint(path, "--chain")


# ---- what others read

for sector, block in tap.sampled(itertools.product((512, 4096), (1, 2, 32)), 3):
    @tap.case(f"a raw file against a disk with sectors of {sector}: blocks of {block} MiB")
    def _(folder, logical=sector, size=block):
        before = scattered("before", 70 * MIB)
        after = changed(f"after {logical} {size}", before)
        base = save(folder, "base.vhdx", before, "--sector-size", str(logical))
        new, child = after.save(os.path.join(folder, "new.raw")), os.path.join(folder, "child.vhdx")
        vhdx("diff", "--block-size", f"{size}M", base, new, child)
        shown = vhdx_json("info", "--json", child)["vhdx"]
        assert shown["block-size"] == size * MIB and shown["logical-sector-size"] == logical, shown
        judge(folder, child, after)


@tap.case("disks with other blocks and sectors, longer and shorter ones")
def _(folder):
    before = scattered("before", 40 * MIB)
    base = save(folder, "base.vhdx", before, "--block-size", "4M")
    for number, size in enumerate((40 * MIB, 56 * MIB, 9 * MIB + 4096, 4096)):
        after = changed(f"sizes {number}", before, size)
        new = save(folder, "new.vhdx", after, "--force", "--block-size", "1M", "--sector-size", "4096")
        child = os.path.join(folder, f"child{number}.vhdx")
        vhdx("diff", base, new, child)
        judge(folder, child, after, usual=size == before.size)


@tap.case("contents that end within a sector are padded with zeros")
def _(folder):
    before = scattered("before", 8 * MIB)
    base = save(folder, "base.vhdx", before, "--sector-size", "4096")
    after = Model(8 * MIB, before)
    after.zero(6 * MIB + 100, 2 * MIB)
    new, child = after.save(os.path.join(folder, "new.raw")), os.path.join(folder, "child.vhdx")
    os.truncate(new, 6 * MIB + 100)
    vhdx("diff", base, new, child)
    judge(folder, child, Model(6 * MIB + 4096, after), usual=False)


@tap.case("a disk of 6 GiB: several chunks, and around 4 GiB")
def _(folder):
    before = scattered("before", 6 * GIB)
    after = changed("after", before, pieces=30)
    for at in (4 * GIB - 512, 4 * GIB, 2 * GIB - 512, 6 * GIB - 512):
        after.write(at, noise(f"at {at}", 512))
    base, child = save(folder, "base.vhdx", before), os.path.join(folder, "child.vhdx")
    vhdx("diff", "--block-size", "1M", base, after.save(os.path.join(folder, "new.raw")), child)
    judge(folder, child, after)


@tap.case("five incremental backups, each a child of the one before", tap.tool("7zz"))
def _(folder):
    back_up(folder, growth=0)


@tap.case("five incremental backups of a disk that grows")
def _(folder):
    back_up(folder, growth=MIB)


def back_up(folder, growth):
    model = scattered("full", 30 * MIB)
    last, kept = save(folder, "full.vhdx", model), []
    for number in range(1, 6):
        model = changed(f"day {number}", model, model.size + growth)
        new, child = save(folder, "today.vhdx", model, "--force"), os.path.join(folder, f"day{number}.vhdx")
        vhdx("diff", "--block-size", f"{1 << number % 3}M", last, new, child)
        kept.append((child, model))
        last = child
    os.unlink(os.path.join(folder, "today.vhdx"))
    for child, then in kept:
        judge(folder, child, then, usual=not growth)
        assert os.path.getsize(child) < 40 * MIB, os.path.getsize(child)


@tap.case("nothing differs: the child holds nothing")
def _(folder):
    model = scattered("same", 30 * MIB)
    base, child = save(folder, "base.vhdx", model), os.path.join(folder, "child.vhdx")
    for new in (base, save(folder, "other.vhdx", model, "--block-size", "1M")):
        vhdx("diff", "--force", base, new, child)
        assert vhdx_json("check", "--json", child)["allocated-clusters"] == 0
        judge(folder, child, model)


@tap.case("64 TiB are diffed by what they hold, in less than 64 MiB", tap.whole)
def _(folder):
    paths = [os.path.join(folder, name) for name in ("base.vhdx", "new.vhdx", "child.vhdx")]
    vhdx("create", "--block-size", "1M", paths[0], "64T")
    vhdx("convert", "--no-sync", scattered("few", 32 * TIB // 1024, 6).save(
        os.path.join(folder, "few.raw")), paths[1])
    process, peak = command.watched([VHDX, "diff", "--block-size", "1M", *paths], stderr=subprocess.PIPE)
    err = process.communicate()[1]
    assert process.returncode == 0 and not err, err
    memory = peak()
    assert memory < MEMORY_MAX, f"{memory / MIB:.1f} MiB"
    vhdx("compare", paths[1], paths[2])


# ---- killed

def prepare(folder):
    before = scattered("before", 100 * MIB)
    after = changed("after", before, pieces=80)
    return save(folder, "base.vhdx", before), after.save(os.path.join(folder, "new.raw"))


@tap.case("killed at any moment: there is no child, or a right one; and the next run makes one")
def _(folder):
    base, new = prepare(folder)
    top = os.path.join(folder, "out")
    child = os.path.join(top, "child.vhdx")

    def fresh():
        shutil.rmtree(top, ignore_errors=True)
        os.mkdir(top)

    def right():
        vhdx("compare", "--any-parent", new, child)
        assert command.check(child)[0] == 0

    def left():
        if os.path.exists(child):
            right()
            os.unlink(child)
        assert not os.listdir(top), os.listdir(top)

    killing.kill_often("diff", [VHDX, "diff", "-q", base, new, child], fresh, left, done=right)


@tap.case("killed at any moment with --force: the child is the old one or the new one")
def _(folder):
    base, new = prepare(folder)
    child = os.path.join(folder, "child.vhdx")

    def left():
        same = [vhdx("compare", other, child, status={0, 1}).status == 0 for other in (base, new)]
        assert any(same), "neither the old contents nor the new ones"
        assert command.check(child)[0] == 0

    killing.kill_often("diff --force", [VHDX, "diff", "-q", "--force", base, new, child],
                       lambda: vhdx("diff", "-q", "--force", base, base, child), left,
                       done=lambda: vhdx("compare", new, child), tries=killing.TRIES // 4)


tap.main()
