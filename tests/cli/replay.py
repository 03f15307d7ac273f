#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx replay: what it prints, what it refuses, and that a refusal or a dry run writes nothing."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import subprocess

import command
import disks
import judges
import samples
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB, noise
from image import Entry
from lockbytes import DOES, FORBIDS, locked


def refused(path, says, status, *words, **how):
    """The command fails with one line, and no file changed."""
    before = disks.snapshot(os.path.dirname(path))
    line = command.fails("replay", *words, path, status=status, says=says, **how)
    changed = disks.changes(before, disks.snapshot(os.path.dirname(path)))
    assert not changed, f"changed by a refused replay: {changed}"
    return line


def dirty_child(folder):
    """(child's path, parent's path): both must be replayed."""
    child, parent, image = samples.family(folder)
    for each in (image.parent, image):
        each.begin_log()
        each.append(Entry(1, [each.bat_page()]))
        each.write(folder)
    return child, parent


@tap.case("a dirty image is replayed, once")
def _(folder):
    path, disk = samples.dirty(folder)
    assert vhdx("replay", path).out == "Replayed 1 log entry.\n"
    raw = path + ".raw"
    vhdx("convert", path, raw)
    assert disks.digest(raw) == disk.guest.digest()
    assert command.check(path)[0] == 0
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"
    before = disks.snapshot(folder)
    assert vhdx("replay", path).out == "Nothing to replay.\n"
    assert not disks.changes(before, disks.snapshot(folder)), "changed by replaying a clean image"


@tap.case("--dry-run writes nothing and says what would be done")
def _(folder):
    path = samples.dirty(folder)[0]
    os.chmod(path, 0o444)
    before = disks.snapshot(folder)
    for _ in range(2):
        assert vhdx("replay", "--dry-run", path).out == "Would replay 1 log entry.\n"
    assert not disks.changes(before, disks.snapshot(folder))
    clean = samples.dynamic(folder)[0]
    assert vhdx("replay", "--dry-run", clean).out == "Nothing to replay.\n"


@tap.case("several entries are counted")
def _(folder):
    path, disk = samples.dirty(folder)
    disk.append(Entry(2, [], tail=0))
    disk.append(Entry(3, [], tail=0))
    disk.write(folder)
    assert vhdx("replay", "--dry-run", path).out == "Would replay 3 log entries.\n"
    assert vhdx("replay", path).out == "Replayed 3 log entries.\n"


@tap.case("--json, and --quiet")
def _(folder):
    path = samples.dirty(folder)[0]
    assert vhdx_json("replay", "--json", "--dry-run", path) == {
        "filename": path, "dry-run": True, "replayed-entries": 1}
    assert vhdx("replay", "-q", "--dry-run", path).out == ""
    assert vhdx_json("replay", "--json", path) == {
        "filename": path, "dry-run": False, "replayed-entries": 1}
    assert vhdx_json("replay", "--json", path)["replayed-entries"] == 0
    assert vhdx("replay", "--quiet", path).out == ""


@tap.case("a child is replayed without its parent, and its parent not with it")
def _(folder):
    child, parent = dirty_child(folder)
    raw = os.path.join(folder, "child.raw")
    vhdx("convert", child, raw)
    was, digest = disks.digest(raw), disks.sha256(parent)
    os.rename(parent, parent + ".away")
    assert vhdx("replay", child).out == "Replayed 1 log entry.\n"
    os.rename(parent + ".away", parent)
    assert disks.sha256(parent) == digest
    vhdx("convert", "--force", child, raw)
    assert disks.digest(raw) == was


@tap.case("a parent keeps its children, and is warned of them")
def _(folder):
    child, parent = dirty_child(folder)
    result = vhdx("replay", parent, loud=True)
    assert result.out == "Replayed 1 log entry.\n"
    assert result.err == (f"vhdx replay: warning: {parent}: is the parent of child.vhdx beside it: to "
                          "change its contents breaks that child\n"), result
    vhdx("map", child)
    assert command.check(child, "--chain")[0] == 0


@tap.case("a child that names its parent by linkage2 is warned of")
def _(folder):
    parent, image = samples.family(folder)[1:]
    image.locator["parent_linkage2"] = image.locator["parent_linkage"]
    image.locator["parent_linkage"] = "{11111111-2222-3333-4444-555555555555}"
    image.write(folder)
    assert "is the parent of child.vhdx" in vhdx("replay", parent, loud=True).err
    image.locator["parent_linkage2"] = "{11111111-2222-3333-4444-555555555556}"
    image.write(folder)
    vhdx("replay", parent)


@tap.case("no-holes: the file is not made sparse")
def _(folder):
    path, disk = samples.dirty(folder)
    size = os.path.getsize(path)
    disk.append(Entry(2, [], tail=0, last=size + 8 * MIB))
    disk.write(folder)
    other = os.path.join(folder, "other.vhdx")
    with open(path, "rb") as source, open(other, "wb") as target:
        target.write(source.read())
    vhdx("replay", "--no-holes", other)
    assert os.path.getsize(other) == size + 8 * MIB
    assert os.stat(other).st_blocks * 512 >= size + 8 * MIB, os.stat(other)
    vhdx("replay", path)
    assert os.stat(path).st_blocks * 512 < size + 8 * MIB


@tap.case("an image that needs repair is refused, and why is told")
def _(folder):
    path, disk = samples.dirty(folder)
    disk.tables[1].entries.reverse()
    disk.write(folder)
    for words in ((), ("--dry-run",)):
        line = refused(path, "must be repaired before it can be written: region tables? .*problem 304",
                       2, *words)
        assert line.endswith(")"), line


@tap.case("a log that cannot be replayed is refused")
def _(folder):
    path, disk = samples.dynamic(folder)
    disk.begin_log()
    disk.write(folder)
    for words in ((), ("--dry-run",)):
        refused(path, "problem 401", 2, *words)


@tap.case("what is no image is refused")
def _(folder):
    path = samples.write(folder, "text.vhdx", b"This is no disk at all.\n" * 100)
    refused(path, "not a VHDX image", 1)
    command.fails("replay", folder, says="directory")
    command.fails("replay", os.path.join(folder, "missing.vhdx"), says="[Nn]o such file")


@tap.case("a file that may not be written is refused", tap.not_root)
def _(folder):
    path = samples.dirty(folder)[0]
    os.chmod(path, 0o444)
    refused(path, "cannot be opened for writing: Permission denied", 1)


@tap.case("another user's file is refused", tap.root)
def _(folder):
    path = samples.dirty(folder)[0]
    how = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        command.run([VHDX, "--version"], **how)
    except PermissionError:
        raise tap.Skip("another user may not run the command here") from None
    refused(path, "cannot be opened for writing: Permission denied", 1, **how)


@tap.case("a file that anybody uses is refused, --no-lock or not")
def _(folder):
    path = samples.dirty(folder)[0]
    for places in ((DOES,), (DOES + 1,), (FORBIDS + 1,), (FORBIDS,)):
        with locked(path, *places):
            command.together(refused, (path, "is in use by another process", 1),
                             (path, "is in use by another process", 1, "--no-lock"))
    vhdx("replay", path)


@tap.case("while QEMU has it open, a file is refused", tap.tool("qemu-io"))
def _(folder):
    path = samples.dynamic(folder)[0]
    for words in (["-r"], []):
        with subprocess.Popen(["qemu-io", *words, "-f", "vhdx", path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as qemu:
            qemu.stdin.write(b"read 0 512\n")
            qemu.stdin.flush()
            qemu.stdout.readline()
            refused(path, "is in use by another process", 1)
            qemu.stdin.close()
    vhdx("replay", path)


@tap.case("a full file system leaves the log as it is", tap.root, tap.tool("mount"))
def _(folder):
    top = os.path.join(folder, "full")
    os.mkdir(top)
    if command.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", top], status=None).status:
        raise tap.Skip("no mount here")
    try:
        path, disk = samples.dirty(top)
        disk.append(Entry(2, [], tail=0, last=64 * MIB))
        disk.write(top)
        raw = os.path.join(folder, "raw")
        vhdx("convert", path, raw)
        before = disks.digest(raw)
        command.fails("replay", "--no-holes", path, says="cannot grow .*No space left")
        vhdx("convert", "--force", path, raw)
        assert disks.digest(raw) == before
        assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "dirty"
        vhdx("replay", path)
        assert os.path.getsize(path) == 64 * MIB
    finally:
        command.run(["umount", top])


@tap.case("QEMU finds a replayed image clean, with the same contents", tap.tool("qemu-img"))
def _(folder):
    path = samples.dirty(folder)[0]
    raw = path + ".raw"
    vhdx("convert", path, raw)
    vhdx("replay", path)
    command.run(["qemu-img", "check", "-f", "vhdx", path])
    command.run(["qemu-img", "compare", "-f", "vhdx", "-F", "raw", path, raw])


@tap.case("the strict judge finds nothing in a replayed image", judges.lint_there)
def _(folder):
    path = samples.dirty(folder)[0]
    vhdx("replay", path)
    judges.lint(path)


tap.main()
