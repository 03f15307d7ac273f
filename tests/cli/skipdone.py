#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx convert --skip-done: what is complete is left as it is, what is not is copied, what is someone else's stays."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import shutil

import cephnode
import command
import disks
import killing
import samples
import tap
from command import VHDX, vhdx
from disks import MIB, noise
from mounts import Loop
from script import VHDXIO, vhdxio

NAMES = ("out.vhdx", "out.raw")


def once(source, out, *more, **how):
    return vhdx("convert", "--skip-done", *more, source, out, **how)


def same(source, out):
    vhdx("compare", source, out)


def left_alone(source, out, *more):
    """Another run does nothing but say so."""
    folder = os.path.dirname(out)
    before = disks.snapshot(folder)
    said = once(source, out, *more).out
    assert said == f"{out} is a complete copy of {source} already.\n", said
    assert not disks.changes(before, disks.snapshot(folder))


def refused(source, out, *more, says="exists already|block [0-9]+ is at .*expected within"):
    folder = os.path.dirname(out)
    before = disks.snapshot(folder)
    command.fails("convert", "--skip-done", *more, source, out, says=says, status={1, 2})
    assert not disks.changes(before, disks.snapshot(folder))


def changed(path, offset=MIB, seed=7):
    vhdxio(path, lines=[f"write {offset} 4K {seed}", "close"])


def overwritten(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


for each in NAMES:
    @tap.case(f"{each}: a complete copy is left as it is, and one line says so")
    def _(folder, name=each):
        source, out = samples.dynamic(folder)[0], os.path.join(folder, name)
        assert not once(source, out).out
        same(source, out)
        left_alone(source, out)
        assert not once(source, out, "-q").out
        left_alone(source, out, "--force")

    @tap.case(f"{each}: of a source that was written or resized since, a new copy replaces the old one")
    def _(folder, name=each):
        source, out = samples.dynamic(folder)[0], os.path.join(folder, name)
        once(source, out)
        for change in (lambda: changed(source), lambda: vhdx("resize", "-q", source, "+1M")):
            change()
            assert not once(source, out).out
            same(source, out)
            left_alone(source, out)

    @tap.case(f"{each}: a copy that was replaced, cut or written since is refused, and stays; --force replaces it")
    def _(folder, name=each):
        source, out = samples.dynamic(folder)[0], os.path.join(folder, name)
        other = samples.dynamic(folder, "other", 16 * MIB)[0]

        def replace():
            vhdx("convert", "--force", other, out)

        for change in (replace, lambda: os.truncate(out, os.stat(out).st_size - MIB),
                       lambda: overwritten(out, os.stat(out).st_size - 4096, b"theirs")):
            once(source, out, "--force")
            left_alone(source, out)
            change()
            refused(source, out)
        once(source, out, "--force")
        same(source, out)

    @tap.case(f"{each}: a copy that was written since is refused although it has its old time and size; other permissions are no writing")
    def _(folder, name=each):
        source, out = samples.dynamic(folder)[0], os.path.join(folder, name)
        once(source, out)
        was = os.stat(out)
        overwritten(out, was.st_size - 4096, b"theirs")
        os.utime(out, ns=(was.st_atime_ns, was.st_mtime_ns))
        refused(source, out)
        once(source, out, "--force")
        left_alone(source, out)
        # Contents that did not change with the file are found the same, and recorded again.
        os.chmod(out, 0o600)
        assert "complete copy" in once(source, out).out
        left_alone(source, out)

    @tap.case(f"{each}: a copy without a record, or with one that is cut short, is compared and recorded")
    def _(folder, name=each):
        source, out = samples.dynamic(folder)[0], os.path.join(folder, name)
        once(source, out)
        inode, record = os.stat(out).st_ino, out + ".done"
        with open(record, "rb") as file:
            whole = file.read()
        other = whole.replace(b"inode", b"innode")
        for part in (None, b"", whole[:9], whole[:30], other, other + b"more\n" * 1000):
            os.unlink(record)
            if part is not None:
                samples.write(folder, os.path.basename(record), part)
            assert "complete copy" in once(source, out).out, part
            with open(record, "rb") as file:
                assert file.read() == whole, part
        assert os.stat(out).st_ino == inode

    @tap.case(f"{each}: killed at any system call, the next run ends right", tap.tool("strace"), tap.whole)
    def _(folder, name=each):
        with killing.quick_folder(folder) as quick:
            source, out = samples.dynamic(quick)[0], os.path.join(quick, name)
            words, kills = [VHDX, "convert", "--skip-done", source, out], 0
            for call in ("openat", "linkat", "rename,renameat,renameat2", "pwrite64", "write", "fdatasync", "fsync"):
                for number in range(1, 200):
                    for path in (out, out + ".done"):
                        if os.path.exists(path):
                            os.unlink(path)
                    result = command.killed_at(call, number, words, folder)
                    if not result.status:
                        break
                    assert result.status in (-9, 137), result
                    kills += 1
                    once(source, out)
                    same(source, out)
                    left_alone(source, out)
            assert kills > 20, kills


@tap.case("without the option nothing is recorded")
def _(folder):
    source = samples.dynamic(folder)[0]
    vhdx("convert", source, os.path.join(folder, "out.raw"))
    assert sorted(os.listdir(folder)) == ["disk.vhdx", "out.raw"]


@tap.case("a raw file is no copy where a VHDX is wanted, and no VHDX where a raw file is")
def _(folder):
    source, out = samples.dynamic(folder)[0], os.path.join(folder, "out")
    once(source, out)
    refused(source, out, "-O", "vhdx")
    once(source, out, "-O", "vhdx", "--force")
    refused(source, out)
    left_alone(source, out, "-O", "vhdx")


@tap.case("a copy of another type, with other sizes or with holes is none, whether it has a record or not")
def _(folder):
    source, out = samples.dynamic(folder)[0], os.path.join(folder, "out.vhdx")
    plain = ["--type", "dynamic", "--block-size", "1M", "--log-size", "1M", "--sector-size", "512",
             "--physical-sector-size", "4096"]
    for others in (["--type", "fixed"], ["--block-size", "2M"], ["--log-size", "2M"], ["--sector-size", "4096"],
                   ["--physical-sector-size", "512"]):
        for first, second in ((plain, others), (others, [])):
            once(source, out, *first, "--force")
            left_alone(source, out, *first)
            refused(source, out, *second)
            os.unlink(out + ".done")
            refused(source, out, *second)
            assert not once(source, out, *second, "--force").out
            same(source, out)
            left_alone(source, out, *second)
    left_alone(source, out, *plain)


for each in NAMES:
    @tap.case(f"{each}: a copy with holes is none where there may be no holes, one without is one where there may")
    def _(folder, name=each):
        source, out = os.path.join(folder, "disk.vhdx"), os.path.join(folder, name)
        vhdx("create", "-q", source, "8M")
        once(source, out)
        refused(source, out, "--no-holes")
        os.unlink(out + ".done")
        refused(source, out, "--no-holes")
        assert not once(source, out, "--no-holes", "--force").out
        for more in ("--no-holes", "-q", "--no-holes"):
            inode = os.stat(out).st_ino
            once(source, out, more)
            left_alone(source, out, *(["--no-holes"] if more == "--no-holes" else []))
            assert os.stat(out).st_ino == inode


@tap.case("a child is known by its own contents and by its parent's")
def _(folder):
    child, parent, _ = samples.family(folder)
    out = os.path.join(folder, "out.raw")
    once(child, out)
    same(child, out)
    left_alone(child, out)
    changed(child, 5 * MIB)
    once(child, out)
    same(child, out)
    left_alone(child, out)
    vhdxio(parent, lines=["write 1M 4K 7", "close"], loud=True)
    command.fails("convert", "--skip-done", child, out, says="base.vhdx", status=2)


@tap.case("a child of which a parent was exchanged, near or far, has other contents")
def _(folder):
    def change(at, *more):
        source, out = os.path.join(folder, "3.vhdx"), os.path.join(folder, "out.raw")
        vhdx("rebase", "-q", "--unsafe", "--parent", *more, os.path.join(folder, f"{at}.vhdx"), loud=True)
        assert not once(source, out).out, at
        same(source, out)
        left_alone(source, out)

    names = [os.path.join(folder, f"{name}.vhdx") for name in ("0", "1", "2", "3", "other")]
    vhdx("create", "-q", names[0], "8M")
    for parent, child in zip(names[:3], names[1:4]):
        vhdx("create", "-q", "--parent", parent, child)
    vhdx("create", "-q", names[4], "8M")
    changed(names[4])
    once(names[3], os.path.join(folder, "out.raw"))
    change(1, names[4])
    change(1, names[0])
    change(3, names[1])
    change(3, names[4])


@tap.case("a source that is written during the copy, without a lock, is refused, and the copy not recorded",
          tap.tool("strace"))
def _(folder):
    child, parent, _ = samples.family(folder)
    for path, change in ((child, os.utime), (parent, lambda path: overwritten(path, MIB - 9, b"x")),
                         (child, lambda path: os.truncate(path, os.stat(path).st_size + MIB))):
        out = os.path.join(folder, "out.raw")
        with command.stopped_at("linkat", [VHDX, "convert", "--skip-done", child, out], folder,
                                lambda: os.path.exists(out)) as process:
            change(path)
        assert process.status == 1 and "child.vhdx: was written to meanwhile" in process.err, process
        assert process.err.count("\n") == 1 and not os.path.exists(out + ".done"), process
        same(child, out)
        assert "complete copy" in once(child, out).out
        os.unlink(out)
        os.unlink(out + ".done")


@tap.case("what lies where the record would be, and is none, is refused and stays")
def _(folder):
    source, out = samples.dynamic(folder)[0], os.path.join(folder, "out.raw")
    for theirs in (b"my notes\n", b"vhdx convert: completed\n", b"\0", noise("theirs", 5000)):
        samples.write(folder, "out.raw.done", theirs)
        refused(source, out, says="out.raw.done: is no record")
        refused(source, out, "--force", says="out.raw.done: is no record")
        assert not os.path.exists(out)
    os.unlink(out + ".done")
    os.mkfifo(out + ".done")
    command.fails("convert", "--skip-done", source, out, says="out.raw.done: is no record")


@tap.case("a link where the record would be is refused, and what it leads to is neither made nor changed")
def _(folder):
    source, out = samples.dynamic(folder)[0], os.path.join(folder, "out.raw")
    once(source, os.path.join(folder, "other.raw"))
    for target in ("nowhere", "other.raw.done", "out.raw.done"):
        os.symlink(target, out + ".done")
        refused(source, out, says="out.raw.done: is no record")
        refused(source, out, "--force", says="out.raw.done: is no record")
        assert not os.path.exists(out)
        os.unlink(out + ".done")
        once(source, out)
        os.unlink(out)
        os.unlink(out + ".done")


@tap.case("a copy of another disk is not replaced, one of the same disk elsewhere is")
def _(folder):
    source, out = samples.dynamic(folder)[0], os.path.join(folder, "out.raw")
    twin = os.path.join(folder, "twin.vhdx")
    once(source, out)
    shutil.copyfile(source, twin)
    left_alone(twin, out)
    changed(twin)
    assert not once(twin, out).out
    same(twin, out)
    other = os.path.join(folder, "other.vhdx")
    vhdx("create", "-q", other, "8M")
    refused(other, out)


@tap.case("a source that was not closed cleanly is known by the time of its last change too")
def _(folder):
    source, out = samples.dirty(folder)[0], os.path.join(folder, "out.raw")
    once(source, out)
    left_alone(source, out)
    inode = os.stat(out).st_ino
    os.utime(source)
    assert not once(source, out).out
    same(source, out)
    vhdx("replay", source)
    assert not once(source, out).out
    left_alone(source, out)
    assert os.stat(out).st_ino != inode or os.stat(out).st_nlink == 1


@tap.case("a source that was not closed cleanly is known by a time at the epoch or before it, too")
def _(folder):
    source, out = samples.dirty(folder)[0], os.path.join(folder, "out.raw")
    for time in (-2 * 10 ** 9, -10 ** 9, 0, 1):
        os.utime(source, ns=(time, time))
        assert os.stat(source).st_mtime_ns == time
        assert not once(source, out).out, time
        left_alone(source, out)


@tap.case("a block device that was not closed cleanly is refused: its node has no time of its contents", tap.root,
          tap.tool("losetup"))
def _(folder):
    source, out = samples.dirty(folder)[0], os.path.join(folder, "out.raw")
    with Loop(source) as device:
        command.fails("convert", "--skip-done", device, out, says="was not closed cleanly, and nothing says when")
    assert not os.path.exists(out)


@tap.case("a destination of the source's own chain is refused")
def _(folder):
    child, parent, _ = samples.family(folder)
    for out in (child, parent):
        refused(child, out, "-O", "vhdx", says="is the source, or a part of its chain")
    os.symlink(child, os.path.join(folder, "link.vhdx"))
    refused(child, os.path.join(folder, "link.vhdx"), says="is the source, or a part of its chain|exists already")


@tap.case("what has no identity, or no place for a record, is refused in one line")
def _(folder):
    source, raw = samples.dynamic(folder)[0], samples.write(folder, "x.raw", noise("raw", MIB))
    out = os.path.join(folder, "out.raw")
    refused(raw, out, says="x.raw: has no identity .expected a VHDX|x.raw: has no identity to tell it by")
    for flag in ("--no-parent", "--ignore-id-mismatch", "--force-share"):
        refused(source, out, flag, says=flag)
    refused(source, out, "--no-sync", says="leave out --no-sync")
    for name in ("-", "nbd://localhost/none", "/dev/null"):
        command.fails("convert", "--skip-done", source, name, says="no place for a record")
    os.mkdir(out + ".done")
    refused(source, out, says="out.raw.done: ")


@tap.case("a block device is refused and not touched", tap.root, tap.tool("losetup"))
def _(folder):
    source, room = samples.dynamic(folder)[0], samples.write(folder, "room", noise("room", 16 * MIB))
    before = disks.sha256(room)
    with Loop(room) as device:
        command.fails("convert", "--skip-done", source, device, says="no place for a record")
    assert disks.sha256(room) == before


@tap.case("a copy that another process writes to is neither taken for complete nor replaced")
def _(folder):
    source, out = samples.dynamic(folder)[0], os.path.join(folder, "out.vhdx")
    once(source, out)
    process = command.subprocess.Popen([VHDXIO, "--count", out],
                                       stdin=command.subprocess.PIPE, stdout=command.subprocess.PIPE)
    try:
        process.stdin.write(b"write 1M 4K 3\nflush\ncounts\n")
        process.stdin.flush()
        process.stdout.readline()
        refused(source, out, says="in another process|in use|exists")
    finally:
        process.communicate(b"close\n")
    changed(source)
    refused(source, out)


@tap.case("an RBD image is known by its metadatum: skipped when complete, else refused; --force replaces it",
          cephnode.installed, cephnode.client)
def _(folder):
    source, out = samples.dynamic(folder)[0], f"rbd:{cephnode.POOL}/out"
    with cephnode.Cluster() as cluster:
        how = {"env": cluster.env}
        # One that was made without the option has no record.
        vhdx("convert", source, out, **how)
        command.fails("convert", "--skip-done", source, out, says="exists already", **how)
        once(source, out, "--force", **how)
        guid = command.vhdx_json("info", "--json", source)["vhdx"]["data-write-guid"]
        assert guid in cluster.rbd("image-meta", "get", f"{cephnode.POOL}/out", "vhdx.source")
        assert "complete copy" in once(source, out, **how).out
        assert "complete copy" in once(source, out, "--force", **how).out
        # One that was resized is no copy any more, nor is one whose metadatum is someone else's and long.
        for spoil in (("resize", f"{cephnode.POOL}/out", "--no-progress", "--size", "9M"),
                      ("resize", f"{cephnode.POOL}/out", "--no-progress", "--size", "7M", "--allow-shrink"),
                      ("image-meta", "set", f"{cephnode.POOL}/out", "vhdx.source", "x" * 3000)):
            cluster.rbd(*spoil)
            command.fails("convert", "--skip-done", source, out, says="exists already", **how)
            assert not once(source, out, "--force", **how).out
            assert "complete copy" in once(source, out, **how).out
        changed(source)
        command.fails("convert", "--skip-done", source, out, says="exists already", **how)
        assert not once(source, out, "--force", **how).out
        vhdx("compare", source, out, **how)
        assert "complete copy" in once(source, out, **how).out
        assert cluster.images() == ["out"]


tap.main()
