#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual: a page a verb that says what --help says, sound mdoc, and examples that run as they are written."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import shutil
import subprocess

import command
import manpage
import nbdserver
import samples
import script
import tap
from command import VHDX, run, vhdx
from disks import MIB, noise
from server import plain, served

TOP = os.path.join(HERE, os.pardir, os.pardir)


def summaries():
    """Verbs with the line that --help has for each."""
    return dict(re.findall(r"^ {2}(\w+) +(\S.*)$", run([VHDX, "--help"]).out, re.M))


def helped(verb):
    """The options of --help: the longest name of each, its value's name, and its short name."""
    found = {}
    for short, long, value in re.findall(r"^ {2}(?:(-\w)(?:, )?| {4})(--[\w-]+)?(?:\[?[ =]([\w.]+)\S*)?(?: {2}|$)",
                                         vhdx(verb, "--help").out, re.M):
        if not long and not short:
            continue  # below the options
        found[long or short] = (value if value[:1].isupper() else None, {short} if short and long else set())
    return found


def of_verbs():
    return [verb for verb in summaries() if verb not in ("mount",) or os.environ.get("VHDX_MOUNT")]


@tap.case("each verb has a page, which vhdx(1) lists with the words of --help")
def _(_):
    listed = re.findall(r"^\.It Xr vhdx-(\w+) 1\n(.*)\.$", manpage.text("vhdx.1"), re.M)
    assert dict(listed) == summaries(), (dict(listed), summaries())
    pages = {name[5:-2] for name in os.listdir(manpage.FOLDER) if re.fullmatch(r"vhdx-\w+\.1", name)}
    assert pages == set(summaries()), pages ^ set(summaries())


@tap.case("a verb's page has the options of its --help, with the same values, and no others")
def _(_):
    for verb in of_verbs():
        known, told = helped(verb), manpage.options(f"vhdx-{verb}.1")
        assert len(known) > 3, (verb, known)
        assert set(known) == set(told), (verb, set(known) ^ set(told))
        for name, (value, short) in known.items():
            assert told[name][0] == value, (verb, name, value, told[name])
            assert short <= told[name][1], (verb, name, short, told[name])


@tap.case("an option that a verb's page only names is described in vhdx(1)")
def _(_):
    common = set(manpage.options("vhdx.1", described=True))
    for verb in of_verbs():
        page = f"vhdx-{verb}.1"
        missing = set(manpage.options(page)) - set(manpage.options(page, described=True)) - common
        assert not missing, (page, missing)


@tap.case("the pages are sound mdoc", tap.tool("mandoc"))
def _(_):
    for name in os.listdir(manpage.FOLDER):
        if re.search(r"\.[137]$", name):
            assert not manpage.unsound(manpage.path(name)), manpage.unsound(manpage.path(name))


@tap.case("the page of problems lists the whole table, in sound mdoc")
def _(folder):
    page = os.path.join(folder, "vhdx-problems.7")
    table = os.path.join(TOP, "lib", "base", "problems.def")
    run([os.path.join(TOP, "scripts", "problems-page"), table, page])
    with open(table, encoding="ascii") as file:
        known = re.findall(r"^PROBLEM\((\d+), (\w+),", file.read(), re.M)
    with open(page, encoding="ascii") as file:
        listed = re.findall(r"^\.It (\d+) (\w+)$", file.read(), re.M)
    assert listed == known and len(known) > 100, (len(listed), len(known))
    if shutil.which("mandoc"):
        assert not manpage.unsound(page), manpage.unsound(page)


@tap.case("the pages name no page of ours that does not exist")
def _(_):
    pages = {name for name in os.listdir(manpage.FOLDER) if re.search(r"\.[137]$", name)} | {"vhdx-problems.7"}
    for name in pages - {"vhdx-problems.7"}:
        named = {f"{page}.{chapter}" for page, chapter in re.findall(r"^\.(?:It )?Xr (\S*vhdx\S*) (\d)", manpage.text(name), re.M)}
        assert named <= pages, (name, named - pages)


# ---- Examples ----

def written(path, size="16M", *options):
    vhdx("create", "-q", *options, path, size)
    script.vhdxio(path, lines=["write 1M 1M 7", "write 5M 64K 9"])


def damage(path, offset, length):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * length)


def file_system(folder):
    """A disk that holds ext4 and nothing else, as WSL2's do."""
    raw = os.path.join(folder, "ext4.raw")
    with open(raw, "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", raw], check=True)
    vhdx("convert", raw, os.path.join(folder, "ext4.vhdx"))
    os.unlink(raw)


def files(folder):
    """What the examples name."""
    there = os.path.join
    for name in ("disk", "base", "other", "sunday", "root", "resized", "fat", "damaged", "ruined", "dirty", "old"):
        written(there(folder, f"{name}.vhdx"))
    for child, parent in (("child", "base"), ("moved", "base"), ("checkpoint", "old"), ("middle", "root")):
        vhdx("create", "-q", "--parent", there(folder, f"{parent}.vhdx"), there(folder, f"{child}.avhdx"))
    vhdx("create", "-q", "--parent", there(folder, "middle.avhdx"), there(folder, "deep.avhdx"))
    for child in ("child", "checkpoint", "deep"):
        script.vhdxio(there(folder, f"{child}.avhdx"), lines=["write 2M 4K 3"])
    script.vhdxio(there(folder, "fat.vhdx"), lines=["write 1M 1M 0"])
    script.vhdxio(there(folder, "dirty.vhdx"), lines=["write 9M 4K 5", "flush", "kill"], status=-9)
    shutil.copy(there(folder, "dirty.vhdx"), there(folder, "dirty2.vhdx"))
    vhdx("create", "-q", "--type", "fixed", there(folder, "fixed.vhdx"), "4M")
    damage(there(folder, "damaged.vhdx"), 64 << 10, 64)  # the first header
    damage(there(folder, "ruined.vhdx"), 0, 1 << 20)  # the identifier, both headers, both region tables
    samples.write(folder, "disk.raw", noise("manual", 4 * MIB) + bytes(12 * MIB))
    samples.write(folder, "monday.raw", noise("monday", 2 * MIB) + bytes(14 * MIB))
    file_system(folder)


# What a block ends with, where that is not 0 alone: by how it begins.
EXPECTED = {
    "vhdx check damaged.vhdx": (2, 0),
    "vhdx salvage": (0, 2),
    "vhdx compare disk.vhdx disk.raw": (1,),
    "vhdx check --windows fixed.vhdx": (0, 2),
}

NEEDS = {
    "convert": ("qemu-img", "qemu-nbd", "sha256sum"),
    "serve": ("nbdkit", "nbdcopy", "nbdinfo"),
    "mount": ("fusermount3", "losetup"),
}
VERBS = ["check", "commit", "compact", "compare", "convert", "create", "diff", "dump", "info", "map", "mount", "rebase",
         "repair", "replay", "resize", "salvage", "serve"]


def expected(line):
    for text, statuses in EXPECTED.items():
        if line.startswith(text):
            return statuses
    return (0,)


def typed(folder):
    tools = os.path.join(folder, "tools")
    os.mkdir(tools)
    os.symlink(os.path.realpath(VHDX), os.path.join(tools, "vhdx"))
    return dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin")


def run_block(block, folder, env):
    statuses = expected(block)
    result = command.run(["bash", "-e", "-u", "-c", block], status=None, cwd=folder, env=env)
    assert result.status in statuses, f"{block}\n{result}"
    return result.out


def no_mount():
    return None if os.environ.get("VHDX_MOUNT") else "vhdx mount is not built"


def no_free_space():
    return None if os.environ.get("VHDX_FREESPACE") else "--free-space is not built"


# What of the command a verb's examples use, and who may run them.
USES = {"mount": (no_mount, tap.root), "convert": (nbdserver.client,), "serve": (served, plain),
        "compact": (no_free_space,)}


def add(name, verb, *needs):
    @tap.case(f"the examples of {name} run", tap.tool("bash", "mke2fs", *NEEDS.get(verb, ())), *needs)
    def _(folder):
        files(folder)
        env, blocks = typed(folder), manpage.examples(name)
        assert blocks or verb is None, name
        for block in blocks:
            run_block(block, folder, env)


for each in VERBS:
    add(f"vhdx-{each}.1", each, *USES.get(each, ()))
add("vhdx.1", None)


tap.main()
