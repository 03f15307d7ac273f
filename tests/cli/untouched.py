#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reading changes no byte and no time of any file, needs no right to write, and adds no file."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import samples
import tap
from command import vhdx
from image import named_guid
from script import vhdxio


def read_all(path, out, *arguments, **how):
    """Every verb that reads."""
    for words in (["info"], ["info", "--json", "--chain"], ["check", "--chain", "--windows"], ["map"],
                  ["dump", "header"], ["dump", "region"], ["dump", "metadata"], ["dump", "log"],
                  ["dump", "bat"]):
        vhdx(*words, *arguments, path, status={0, 2, 3}, **how)
    vhdx("compare", *arguments, path, path, **how)
    vhdx("convert", *arguments, path, out, **how)
    os.unlink(out)


def judge(folder, path, *arguments, **how):
    out = how.pop("out", None) or os.path.join(folder + ".out")
    before = disks.snapshot(folder)
    read_all(path, out, *arguments, **how)
    changed = disks.changes(before, disks.snapshot(folder))
    assert not changed, f"changed: {changed}"


@tap.case("a dynamic disk")
def _(folder):
    judge(folder, samples.dynamic(folder)[0])


@tap.case("a child and its parent")
def _(folder):
    judge(folder, samples.family(folder)[0])


@tap.case("a dirty disk: its log is replayed in memory")
def _(folder):
    path, disk = samples.dirty(folder)
    judge(folder, path)
    out = folder + ".out"
    vhdx("convert", path, out)
    assert disks.digest(out) == disk.guest.digest()
    os.unlink(out)


@tap.case("a dirty parent")
def _(folder):
    child, _, image = samples.family(folder)
    image.parent.begin_log(named_guid("log"))
    image.parent.log_guid = named_guid("log")
    from image import Entry
    image.parent.append(Entry(1, [image.parent.bat_page()]))
    image.parent.write(folder)
    judge(folder, child)


@tap.case("making a child does not write to its parent")
def _(folder):
    path = samples.dynamic(folder)[0]
    before = disks.snapshot(path)
    stat = os.stat(path)
    vhdx("create", "--parent", path, os.path.join(folder, "child.vhdx"))
    after = os.stat(path)
    assert disks.snapshot(path) == before
    assert (stat.st_mtime_ns, stat.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)


@tap.case("a read-only file in a read-only folder")
def _(folder):
    path = samples.family(folder)[0]
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o444)
    os.chmod(folder, 0o555)
    how = {}
    if not os.geteuid():
        how = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            command.run([command.VHDX, "--version"], **how)
        except PermissionError:
            raise tap.Skip("another user may not run the command here") from None
    top = folder + ".out"
    os.mkdir(top)
    os.chmod(top, 0o777)
    try:
        judge(folder, path, out=os.path.join(top, "out"), **how)
    finally:
        os.rmdir(top)
        os.chmod(folder, 0o755)


@tap.case("a damaged disk")
def _(folder):
    path, disk = samples.dynamic(folder)
    disk.headers[1].damaged = True
    disk.tables[0].damaged = True
    disk.bat[1] = 5
    disk.write(folder)
    judge(folder, path)


@tap.case("a file that is open for nothing but reading", tap.tool("strace"))
def _(folder):
    child = samples.family(folder)[0]
    trace = os.path.join(folder, "trace")
    for words in (["info"], ["check"], ["map"], ["dump", "bat"], ["compare", child]):
        result = command.traced(trace, ["-e", "trace=open,openat,openat2,pwrite64,pwritev,pwritev2,ftruncate,"
                                        "fallocate,utimensat,rename,renameat2,unlink,linkat"],
                                [command.VHDX, *words, child])
        assert result.status == 0, result
        with open(trace, encoding="utf-8") as lines:
            for line in lines:
                if ".vhdx" in line or "pwrite" in line or "ftruncate" in line or "fallocate" in line:
                    assert "O_RDONLY" in line or "readlink" in line, line
                assert "utimensat" not in line and "rename" not in line and "linkat" not in line, line


def judge_refused(folder, path, lines, says, *arguments):
    """Each of the @lines fails on the disk opened for writing, and changes nothing."""
    before = disks.snapshot(folder)
    for line in lines:
        result = vhdxio(path, *arguments, lines=[line], status=1)
        assert result.err.count("\n") == 1 and says in result.err, result
    changed = disks.changes(before, disks.snapshot(folder))
    assert not changed, f"changed: {changed}"


CHANGES = ["write 0 512 1", "write 2M 512 1", "zero 0 1M", "zero 2M 512", "trim 0 8M"]


@tap.case("a child without its parent, opened for writing: zeroing and trimming do not pretend to work")
def _(folder):
    judge_refused(folder, samples.family(folder)[0], CHANGES, "without its parent (EROFS)", "--no-parent")


@tap.case("a child whose bitmap is missing: a new one would hide the damage, and the data")
def _(folder):
    child, _, image = samples.family(folder)
    del image.bat[image.bitmap_index(0)]
    image.write(folder)
    judge_refused(folder, child, CHANGES[:2], "must be repaired before it can be written: ")


tap.main()
