#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Operations on whole disks, killed at random moments and run again: no contents are lost, and the second run
ends where one that was not killed does."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import killing
import tap
from changes import raw_of
from command import VHDX, vhdx, vhdx_json
from disks import MIB, Model, noise, scattered
from script import vhdxio

TRIES = killing.TRIES


def save(folder, name, model, *options):
    """A disk of its own, with the model's contents."""
    raw = model.save(os.path.join(folder, "model.raw"))
    path = os.path.join(folder, name)
    vhdx("convert", "-q", *options, raw, path)
    os.unlink(raw)
    return path


def later(name, model, size=None):
    """The model some time later: written and cleared, perhaps larger."""
    after = Model(size or model.size, model)
    for at, page in scattered(name, after.size, pieces=12).pages.items():
        after.write(at * disks.PAGE, page[:after.size - at * disks.PAGE])
    after.zero(after.size // 3, after.size // 8)
    return after


def child_of(folder, parent, name, model, *options):
    """A child that reads as the model."""
    raw = model.save(os.path.join(folder, "model.raw"))
    path = os.path.join(folder, name)
    vhdx("diff", "-q", *options, parent, raw, path)
    os.unlink(raw)
    return path


class Work:
    """A folder that is made anew from a model's before each trial; the contents are judged in another."""

    def __init__(self, folder):
        self.folder = folder
        self.model, self.work = os.path.join(folder, "model"), os.path.join(folder, "work")
        os.mkdir(self.model)
        self.judged = 0

    def fresh(self):
        killing.copy_all(self.model, self.work)

    def path(self, name):
        return os.path.join(self.work, name)

    def has(self, name):
        return os.path.exists(self.path(name))

    def reads_as(self, name, expected):
        assert disks.digest(raw_of(self.path(name), self.folder)) == expected, f"{name} has other contents"

    def is_valid(self, name, *allowed):
        """It has no faults but those that are allowed."""
        found = command.check(self.path(name))[1]
        faults = {n for n, all_of in found.items() if all_of[0]["severity"] != "note"}
        assert faults <= set(allowed), found

    def is_done(self, name):
        self.is_valid(name)
        assert vhdx_json("info", "--no-parent", "--json", self.path(name))["vhdx"]["log-state"] == "clean"
        self.judged += 1
        if self.judged % 5 == 1 and not judges.lint_there():
            judges.lint(self.path(name))


def compacted(folder):
    """Of 180 blocks with little in them, most of the first half become zeros, and the others move there."""
    work, model, zeros = Work(folder), Model(180 * MIB), [n for n in range(90) if n % 7]
    for number in range(180):
        model.write(number * MIB + number * disks.PAGE, noise(str(number), 8192))
    disk = save(work.model, "disk.vhdx", model, "--block-size", "1M")
    vhdxio(disk, lines=[f"write {number * MIB} {MIB} 0" for number in zeros])
    for number in zeros:
        model.zero(number * MIB, MIB)
    expected, sizes = model.digest(), set()

    def left():
        work.is_valid("disk.vhdx", "SPACE_LEAKED")
        work.reads_as("disk.vhdx", expected)

    def done():
        work.is_done("disk.vhdx")
        work.reads_as("disk.vhdx", expected)
        sizes.add(os.path.getsize(work.path("disk.vhdx")))

    work.fresh()
    left()
    argv = [VHDX, "compact", "-q", work.path("disk.vhdx")]
    killing.kill_often("compact", argv, work.fresh, left, done=done, tries=TRIES)
    work.fresh()
    command.run(argv)
    assert sizes == {os.path.getsize(work.path("disk.vhdx"))} and min(sizes) < 110 * MIB, sizes


def quick(check):
    def function(folder):
        with killing.quick_folder(folder) as top:
            check(top)
    return function


def committed(name, tries, grown=0, block="2M", links=1, options=()):
    """Chains of one child or more, merged into the first of them."""
    def check(folder):
        work, model = Work(folder), scattered(f"{name} base", 60 * MIB)
        path, names = save(work.model, "base.vhdx", model, "--block-size", "1M"), ["base.vhdx"]
        for link in range(links):
            model = later(f"{name} {link}", model, model.size + grown)
            names.append(f"child{link}.vhdx")
            path = child_of(work.model, path, names[-1], model, "--block-size", block)
        expected, leaf = model.digest(), names[-1]
        argv = [VHDX, "commit", "-q", *options, *(["--into", work.path(names[0])] if links > 1 else []),
                work.path(leaf)]

        def left():
            work.is_valid("base.vhdx", "SPACE_LEAKED")
            work.reads_as(leaf if work.has(leaf) else "base.vhdx", expected)

        def done():
            work.is_done("base.vhdx")
            work.reads_as("base.vhdx", expected)
            if "--delete" not in options:
                work.reads_as(leaf, expected)

        killing.kill_often(name, argv, work.fresh, left, done=done, tries=tries,
                           again=lambda: argv if work.has(leaf) else ["true"])
        if "--delete" in options:
            work.fresh()
            command.run(argv)
            assert os.listdir(work.work) == ["base.vhdx"], os.listdir(work.work)
    return check


def rebased(folder):
    work, model = Work(folder), scattered("old parent", 60 * MIB)
    old = save(work.model, "old.vhdx", model, "--block-size", "1M")
    save(work.model, "new.vhdx", later("new parent", model), "--block-size", "2M")
    expected = later("child", model)
    child_of(work.model, old, "child.vhdx", expected, "--block-size", "1M")
    expected = expected.digest()

    def left():
        work.is_valid("child.vhdx", "SPACE_LEAKED")
        work.reads_as("child.vhdx", expected)

    def done():
        work.is_done("child.vhdx")
        os.unlink(work.path("old.vhdx"))
        work.reads_as("child.vhdx", expected)

    argv = [VHDX, "rebase", "-q", "--parent", work.path("new.vhdx"), work.path("child.vhdx")]
    killing.kill_often("rebase", argv, work.fresh, left, done=done, tries=TRIES)


tap.add("compact: the contents stay, and the second run makes the file as small as one run does", quick(compacted))
for title, how in {
        "a child": {},
        "a child that is larger than its parent": {"grown": 9 * MIB + 512},
        "three links into the first, and deleted": {"links": 3, "block": "1M", "options": ("--delete",)},
}.items():
    tap.add(f"commit of {title}: the child reads as before until the parent does",
            quick(committed(title, TRIES // 3 + 1, **how)))
tap.add("rebase: the child reads as before, through the old parent or the new one", quick(rebased))
tap.main()
