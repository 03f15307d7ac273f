#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx compact: what it saves and says, what it leaves alone, new images, signals, locks."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import shutil
import signal
import subprocess
import time

import command
import disks
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB
from script import vhdxio

HINT = ("free space inside the file system is not zeroed: run fstrim through 'vhdx mount -w', or use "
        "--free-space.\n")


def info(path, *words):
    return vhdx_json("info", "--json", *words, path)["vhdx"]


def make(folder, *options, name="x.vhdx", lines=("write 0 40M seed:1", "write 8M 16M 0")):
    """A disk of 100 MiB, of which 40 are present and 16 of these zeros."""
    path = os.path.join(folder, name)
    vhdx("create", "-q", *options, path, "100M")
    vhdxio(path, lines=lines)
    return path


def contents(path, folder):
    raw = os.path.join(folder, "contents.raw")
    vhdx("convert", "-q", "--force", path, raw)
    return disks.digest(raw)


def sound(path):
    status, found = command.check(path)
    assert status == 0, (status, found)


@tap.case("it says what it saved, as a dry run said before that wrote nothing")
def _(folder):
    path = make(folder)
    expected, before = contents(path, folder), disks.snapshot(path)
    said = vhdx("compact", "--dry-run", path).out
    assert said == ("Would shrink from 44 MiB to 28 MiB, 16 MiB less: 8 of 20 blocks held zeros, 0 what nothing "
                    "uses; 8 would move.\n"), said
    assert not disks.changes(before, disks.snapshot(path))
    said = vhdx("compact", path).out
    assert said == ("Shrunk from 44 MiB to 28 MiB, 16 MiB less: 8 of 20 blocks held zeros, 0 what nothing uses; "
                    "8 moved.\n"), said
    assert os.path.getsize(path) == 28 * MIB
    assert contents(path, folder) == expected
    sound(path)


@tap.case("where nothing is to be saved it says why, and writes nothing")
def _(folder):
    path = make(folder, lines=["write 0 6M seed:1"])
    before = disks.snapshot(path)
    for words in ((), ("--dry-run",)):
        assert vhdx("compact", *words, path).out == "Nothing to save: 6 MiB are in use; " + HINT
    assert not disks.changes(before, disks.snapshot(path))
    assert vhdx("compact", "-q", path).out == ""


@tap.case("JSON")
def _(folder):
    path = make(folder)
    for words in (("--dry-run",), ()):
        told = vhdx_json("compact", "--json", *words, path)
        assert told == {"filename": path, "dry-run": bool(words), "file-size-before": 44 * MIB,
                        "file-size-after": 28 * MIB, "blocks": 20, "zero-blocks": 8, "unused-blocks": 0,
                        "moved-blocks": 8, "kept-bytes": 24 * MIB, "other-bytes": 0, "fixed": False}, told


@tap.case("a fixed disk is left alone, and becomes a dynamic one in a new image")
def _(folder):
    path, new = make(folder, "--type", "fixed"), os.path.join(folder, "new.vhdx")
    expected, before = contents(path, folder), disks.snapshot(path)
    for words in ((), ("--dry-run",)):
        assert vhdx("compact", *words, path).out == (
            "Nothing to save: a fixed disk keeps all its blocks (--output NEW makes a dynamic one of it).\n")
    vhdx("compact", "--output", new, path)
    assert not disks.changes(before, disks.snapshot(path))
    assert (info(path)["type"], info(new)["type"]) == ("fixed", "dynamic")
    assert os.path.getsize(new) == 28 * MIB
    assert contents(new, folder) == expected
    sound(new)


@tap.case("a new image is the same disk, in order, and as large as a dry run says; the old one stays")
def _(folder):
    path, new = make(folder, "--block-size", "1M", "--log-size", "3M"), os.path.join(folder, "new.vhdx")
    expected, before = contents(path, folder), disks.snapshot(path)
    said = vhdx_json("compact", "--dry-run", "--json", "--output", new, path)
    assert not os.path.exists(new)
    done = vhdx_json("compact", "--json", "--output", new, path)
    assert said["file-size-after"] == done["file-size-after"] == os.path.getsize(new)
    assert not disks.changes(before, disks.snapshot(path))
    old, now = info(path), info(new)
    for key in ("type", "disk-id", "data-write-guid", "block-size", "log-length", "logical-sector-size",
                "physical-sector-size"):
        assert key in old and old[key] == now[key], (key, old.get(key), now.get(key))
    offsets = [e["offset"] for e in vhdx_json("map", "--json", new) if e["data"]]
    assert offsets == sorted(offsets)
    assert contents(new, folder) == expected
    sound(new)


@tap.case("a new image that exists, or whose folder does not, is refused")
def _(folder):
    path, new = make(folder), os.path.join(folder, "new.vhdx")
    with open(new, "wb") as file:
        file.write(b"something")
    before = disks.snapshot(folder)
    command.fails("compact", "--output", new, path, says="new.vhdx: exists already")
    command.fails("compact", "--output", path, path, says="x.vhdx: exists already")
    command.fails("compact", "--output", os.path.join(folder, "no", "new.vhdx"), path, says="[Nn]o such file")
    assert not disks.changes(before, disks.snapshot(folder))


def family(folder):
    base = make(folder, name="base.vhdx")
    child = os.path.join(folder, "child.vhdx")
    vhdx("create", "-q", "--parent", base, "--block-size", "1M", child)
    vhdxio(child, lines=["write 1M 8M seed:2", "write 30M 1M seed:3", "write 31M 4K seed:4", "write 1M 4M 0",
                         "write 32M 3M 0"])
    return base, child


@tap.case("children keep their parent, whichever of them becomes smaller, and nobody is warned")
def _(folder):
    base, child = family(folder)
    expected, guid = contents(child, folder), info(base)["data-write-guid"]
    told = vhdx_json("compact", "--json", child)
    assert told["zero-blocks"] == 7 and told["file-size-after"] < told["file-size-before"], told
    assert contents(child, folder) == expected
    vhdx("compact", base)
    assert info(base)["data-write-guid"] == guid
    assert contents(child, folder) == expected
    sound(base)
    sound(child)
    os.rename(base, base + ".away")
    vhdx("compact", child)  # needs no parent


@tap.case("a child in another folder finds its parent from there; in the same one it keeps its paths")
def _(folder):
    base, child = family(folder)
    expected = contents(child, folder)
    there = os.path.join(folder, "there")
    os.mkdir(there)
    here, moved = os.path.join(folder, "new.vhdx"), os.path.join(there, "child.vhdx")
    vhdx("compact", "--output", moved, child)
    assert info(moved, "--any-parent")["parent"]["relative-path"] == "..\\base.vhdx", info(moved, "--any-parent")
    raw = os.path.join(folder, "moved.raw")
    vhdx("convert", "-q", "--parent-dir", folder, moved, raw)
    assert disks.digest(raw) == expected
    vhdx("compact", "--output", here, child)
    assert contents(here, folder) == expected
    os.rename(here, child)  # it takes the place of the old one
    assert contents(child, folder) == expected
    sound(child)
    os.rename(base, base + ".away")
    command.fails("compact", "--output", os.path.join(there, "again.vhdx"), "--no-parent", child,
                  says="its parent must be found")
    vhdx("compact", "--output", here, "--no-parent", child)


@tap.case("a file without holes gets none, also a new one")
def _(folder):
    path, new = make(folder, "--no-holes"), os.path.join(folder, "new.vhdx")
    vhdx("compact", "--no-holes", "--output", new, path)
    vhdx("compact", "--no-holes", path)
    for one in (path, new):
        assert os.path.getsize(one) == 28 * MIB and disks.allocated(one) >= 28 * MIB, one
        assert contents(one, folder) == contents(path, folder)


@tap.case("an image that was not closed cleanly is replayed first")
def _(folder):
    path = make(folder)
    vhdxio(path, lines=["write 60M 6M seed:5", "write 60M 4M 0", "flush", "kill"], status=-signal.SIGKILL)
    expected = contents(path, folder)
    assert vhdx_json("compact", "--json", "--dry-run", path)["zero-blocks"] == 10
    assert vhdx_json("compact", "--json", path)["zero-blocks"] == 10
    assert contents(path, folder) == expected
    sound(path)


@tap.case("what cannot be written, or is in use, is refused with one line")
def _(folder):
    path = make(folder)
    command.fails("compact", "--force-share", path, says="for reading")
    command.fails("compact", path, path, says="one operand too many")
    command.fails("compact", os.path.join(folder, "no.vhdx"), says="[Nn]o such file")
    with subprocess.Popen([os.environ["VHDXIO"], path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        user.stdin.write(b"say ready\n")
        user.stdin.flush()
        user.stdout.readline()
        command.fails("compact", path, says="used by another process|in use|holds its lock")
        user.stdin.close()
        user.wait()
    vhdx("compact", path)


@tap.case("a damaged image is refused: it must be repaired first", tap.whole)
def _(folder):
    path = make(folder)
    place = info(path)["bat-offset"] if "bat-offset" in info(path) else 3 * MIB
    with open(path, "r+b") as file:  # two blocks in one place
        file.seek(place)
        first = file.read(8)
        file.seek(place + 8)
        file.write(first)
    before = disks.snapshot(path)
    command.fails("compact", path, says="overlaps", status=2)
    command.fails("compact", "--dry-run", path, says="overlaps", status=2)
    assert not disks.changes(before, disks.snapshot(path))


@tap.case("progress never falls, and ends at the whole")
def _(folder):
    path = make(folder)
    for words in (("--dry-run",), ("--output", os.path.join(folder, "new.vhdx")), ()):
        result = vhdx("compact", "--progress=json", *words, path, loud=True)
        lines = [json.loads(line) for line in result.err.splitlines()]
        assert lines[-1]["done"] == lines[-1]["total"] > 0, lines
        assert [one["done"] for one in lines] == sorted(one["done"] for one in lines)


@tap.case("a signal stops it; the image is valid, and a second run goes on")
def _(folder):
    model = make(folder, "--block-size", "1M", name="model.vhdx",
                 lines=["write 0 98M seed:1", *(f"write {at}M 1M 0" for at in range(0, 98, 2))])
    expected = contents(model, folder)
    stopped = 0
    for delay in range(0, 30, 3):
        for output in (False, True):
            path, new = os.path.join(folder, "x.vhdx"), os.path.join(folder, "new.vhdx")
            shutil.copy(model, path)
            process = command.start([VHDX, "compact", "-q", *(["--output", new] if output else []), path],
                                    stderr=subprocess.DEVNULL)
            time.sleep(delay / 1000)
            process.send_signal(signal.SIGINT)
            status = process.wait()
            assert status in (0, -signal.SIGINT), status
            stopped += status != 0
            assert os.path.exists(new) == (output and not status)
            assert command.check(path)[0] in (0, 3)
            assert contents(path, folder) == expected
            if not output:
                vhdx("compact", "-q", path)
                assert os.path.getsize(path) == 53 * MIB, os.path.getsize(path)
                assert contents(path, folder) == expected
            elif not status:
                os.unlink(new)
    assert stopped, "no signal came in time"


tap.main()
