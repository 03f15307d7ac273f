#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where parents are looked for, and what is said when they are not there or not the right ones."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import samples
import tap
from command import vhdx, vhdx_json
from image import ITEM_DISK_ID, named_guid

VERBS = (["map"], ["convert", "OUT"], ["compare", "SELF"])


def everywhere(folder, path, *arguments, fails=None, loud=False):
    """Verbs that read contents do, or all fail and say what."""
    out = os.path.join(folder, "out.raw")
    for verb, *more in VERBS:
        words = [verb, *arguments, path]
        words += [out] if more == ["OUT"] else [path] if more == ["SELF"] else []
        if fails:
            command.fails(*words, says=fails, status={1, 2})
            assert not os.path.exists(out)
        else:
            vhdx(*words, loud=loud)
            if os.path.exists(out):
                found = disks.digest(out)
                os.unlink(out)
    return None if fails else found


def apart(folder, *names):
    for name in names:
        os.mkdir(os.path.join(folder, name))
    return [os.path.join(folder, name) for name in names]


@tap.case("a missing parent: what was looked for is said, and --no-parent reads the rest")
def _(folder):
    child, parent, image = samples.family(folder)
    os.unlink(parent)
    everywhere(folder, child, fails="base.vhdx")
    for words in (["info"], ["info", "--chain"], ["check"], ["dump", "metadata"]):
        vhdx(*words, child)
    candidates = vhdx_json("info", "--json", child)["vhdx"]["parent"]["candidates"]
    assert candidates[0]["state"] == "missing" and candidates[0]["path"] == parent, candidates
    status, found = command.check(child, "--chain")
    assert status == 2 and "PARENT_NOT_FOUND" in found, (status, sorted(found))
    image.guest.pages.clear()
    image.guest.write(512, disks.noise("child", 512))
    assert everywhere(folder, child, "--no-parent") == image.guest.digest()


@tap.case("the parent is found beside the child")
def _(folder):
    child, parent, image = samples.family(folder)
    assert everywhere(folder, child) == image.guest.digest()
    shown = vhdx_json("info", "--json", child)
    assert shown["backing-filename"] == ".\\base.vhdx", shown["backing-filename"]
    assert os.path.samefile(shown["full-backing-filename"], parent)
    assert shown["vhdx"]["parent"]["candidates"][-1]["state"] == "opened"


@tap.case("from another working folder, and by a relative name")
def _(folder):
    child, _, image = samples.family(folder)
    os.chdir("/")
    assert everywhere(folder, child) == image.guest.digest()
    os.chdir(folder)
    assert everywhere(folder, "child.vhdx") == image.guest.digest()


@tap.case("through a link, the parent is looked for where the child really lies")
def _(folder):
    there, here = apart(folder, "there", "here")
    child, _, image = samples.family(there)
    link = os.path.join(here, "link.vhdx")
    os.symlink(child, link)
    assert everywhere(folder, link) == image.guest.digest()


@tap.case("--parent-dir, several times; and a folder that is not there does no harm")
def _(folder):
    here, one, two = apart(folder, "here", "one", "two")
    child, _, image = samples.family(two, here)
    everywhere(folder, child, fails="base.vhdx")
    everywhere(folder, child, "--parent-dir", one, fails="base.vhdx")
    expected = image.guest.digest()
    assert everywhere(folder, child, "--parent-dir", one, "--parent-dir", two) == expected
    assert everywhere(folder, child, "--parent-dir", two, "--parent-dir", one) == expected
    missing = os.path.join(folder, "missing")
    assert everywhere(folder, child, "--parent-dir", missing, "--parent-dir", two) == expected


@tap.case("a parent outside is not opened without --any-parent")
def _(folder):
    here, there = apart(folder, "here", "there")
    child, parent, image = samples.family(there, here, "..\\there\\base.vhdx")
    os.utime(parent, ns=(10 ** 18, 10 ** 18))
    everywhere(folder, child, fails="outside|any-parent")
    candidates = vhdx_json("info", "--json", child)["vhdx"]["parent"]["candidates"]
    assert candidates[0]["state"] == "outside", candidates
    assert os.stat(parent).st_atime_ns == 10 ** 18, "it was read"
    assert everywhere(folder, child, "--any-parent") == image.guest.digest()


@tap.case("a folder on the way that is left again need not be there")
def _(folder):
    for path in ("x\\..\\base.vhdx", ".\\x\\y\\..\\..\\base.vhdx", "x/../base.vhdx"):
        child, _, image = samples.family(folder, None, path)
        assert everywhere(folder, child) == image.guest.digest(), path


@tap.case("a folder that is not there is no way to the outside")
def _(folder):
    here, there = apart(folder, "here", "there")
    for path in ("x\\..\\..\\there\\base.vhdx", "x\\y\\..\\..\\..\\there\\base.vhdx",
                 "..\\x\\..\\there\\base.vhdx"):
        child, _, image = samples.family(there, here, path)
        everywhere(folder, child, fails="outside|any-parent")
        candidates = vhdx_json("info", "--json", child)["vhdx"]["parent"]["candidates"]
        assert candidates[0]["state"] == "outside", (path, candidates)
        assert everywhere(folder, child, "--any-parent") == image.guest.digest(), path


@tap.case("a folder that is left again and is a link to the outside leads there")
def _(folder):
    here, there, below = apart(folder, "here", "there", "there/below")
    child, _, _ = samples.family(there, here, "down\\..\\base.vhdx")
    os.symlink(below, os.path.join(here, "down"))
    everywhere(folder, child, fails="outside|any-parent")


@tap.case("create warns of a child that lies elsewhere than its parent")
def _(folder):
    here, there, parents = apart(folder, "here", "there", "there/parents")
    parent = os.path.join(parents, "base.vhdx")
    vhdx("create", parent, "4M")
    made = vhdx("create", "--parent", parent, os.path.join(here, "child.vhdx"), loud=True)
    assert made.err.count("\n") == 1 and "warning" in made.err and "base.vhdx" in made.err, made
    for near in (parents, there):
        vhdx("create", "--parent", parent, os.path.join(near, "child.vhdx"))


@tap.case("a link to the outside is outside")
def _(folder):
    here, there = apart(folder, "here", "there")
    child, parent, image = samples.family(there, here)
    os.symlink(parent, os.path.join(here, "base.vhdx"))
    everywhere(folder, child, fails="outside|any-parent")
    assert everywhere(folder, child, "--any-parent") == image.guest.digest()


@tap.case("a folder linked to the outside is outside")
def _(folder):
    here, there = apart(folder, "here", "there")
    child, _, image = samples.family(there, here, ".\\down\\base.vhdx")
    os.symlink(there, os.path.join(here, "down"))
    everywhere(folder, child, fails="outside|any-parent")
    assert everywhere(folder, child, "--any-parent") == image.guest.digest()


for name in ("/etc/passwd", "\\\\server\\share\\base.vhdx", "\\etc\\passwd", "..\\..\\..\\..\\etc\\passwd",
             "C:\\base.vhdx\\..\\..\\etc\\passwd", "/dev/stdin", "\\proc\\self\\fd\\0", ".", "..", ".\\",
             "nbd://localhost/x"):
    @tap.case(f"a parent named {name} is not opened")
    def _(folder, path=name):
        child, parent, _ = samples.family(folder, None, path)
        os.unlink(parent)
        everywhere(folder, child, fails="child.vhdx")


@tap.case("a parent that is no regular file is not opened, and does not stop the command")
def _(folder):
    child, parent, _ = samples.family(folder)
    os.unlink(parent)
    os.mkfifo(parent)
    everywhere(folder, child, fails="base.vhdx")
    everywhere(folder, child, "--any-parent", fails="base.vhdx")


@tap.case("another parent is refused; --ignore-id-mismatch takes it, loudly")
def _(folder):
    child, parent, image = samples.family(folder)
    for header in image.parent.headers:
        header.data_guid = named_guid("changed")
    image.parent.write(folder)
    everywhere(folder, child, fails="base.vhdx")
    candidates = vhdx_json("info", "--json", child)["vhdx"]["parent"]["candidates"]
    assert candidates[0]["state"] == "mismatch", candidates
    result = vhdx("map", "--ignore-id-mismatch", child, loud=True)
    assert "warning" in result.err and "base.vhdx" in result.err, result
    assert result.err.count("\n") == 1, result
    assert everywhere(folder, child, "--ignore-id-mismatch", loud=True) == image.guest.digest()
    assert os.path.exists(parent)


@tap.case("the right parent in a --parent-dir counts over a wrong one beside the child")
def _(folder):
    here, there = apart(folder, "here", "there")
    child, _, image = samples.family(there, here)
    expected = image.guest.digest()
    for header in image.parent.headers:
        header.data_guid = named_guid("another")
    image.parent.write(here)
    assert everywhere(folder, child, "--parent-dir", there) == expected


@tap.case("check --chain counts the parent's faults, check alone does not")
def _(folder):
    child, _, image = samples.family(folder)
    image.parent.headers[0].damaged = True
    image.parent.write(folder)
    assert command.check(child)[0] == 0
    status, found = command.check(child, "--chain")
    assert status == 2 and "HEADER_CHECKSUM" in found, (status, sorted(found))
    assert found["HEADER_CHECKSUM"][0]["file"].endswith("base.vhdx"), found


@tap.case("another Virtual Disk ID than the parent's is a note of check --chain")
def _(folder):
    child, _, image = samples.family(folder)
    image.parent.item(ITEM_DISK_ID).data = named_guid("another disk")
    image.parent.write(folder)
    status, found = command.check(child, "--chain")
    assert status == 0 and found["PARENT_DISK_ID"][0]["severity"] == "note", (status, found)
    assert "PARENT_DISK_ID" not in command.check(child)[1]


@tap.case("info --chain shows every image once, the child first")
def _(folder):
    child, parent, _ = samples.family(folder)
    shown = vhdx_json("info", "--json", "--chain", child)
    assert [os.path.basename(i["filename"]) for i in shown] == ["child.vhdx", "base.vhdx"], shown
    text = vhdx("info", "--chain", child).out
    assert text.count("child.vhdx") >= 1 and parent in text, text


@tap.case("map shows the depth that data come from")
def _(folder):
    child, _, _ = samples.family(folder)
    data = [(e["start"], e["length"], e["depth"]) for e in vhdx_json("map", "--json", child) if e["data"]]
    assert data[:3] == [(0, 512, 1), (512, 512, 0), (1024, 2 * disks.MIB - 1024, 1)], data


tap.main()
