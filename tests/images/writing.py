#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images of every origin, opened for writing: changed as asked and no worse, or refused and not changed."""
import json
import os
import random
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import make
import tap
from command import vhdx, vhdx_json
from disks import KIB, MIB
from script import Raw, Script, vhdxio

REFUSED = {"locked", "fatal", "foreign"}
COUNTED = {"damage", *REFUSED}
# Bytes of contents above which only a few operations are tried.
LARGE = 300 * MIB


def findings(path, arguments):
    """Names of what check counts as damage, and whether some of it forbids writing."""
    found = command.check(path, *arguments)[1]
    severities = {name: all_of[0]["severity"] for name, all_of in found.items()}
    return ({name for name, severity in severities.items() if severity in COUNTED},
            {name for name, severity in severities.items() if severity in REFUSED})


def try_convert(path, arguments, raw):
    return command.run([command.VHDX, "convert", "--no-sync", "--force", "-O", "raw", *arguments, path, raw],
                       status={0, 1, 2}).status == 0


def must_not_change(path, arguments, top, before, says=""):
    """Opening for writing, or the first change, fails, and not a byte is changed."""
    result = vhdxio(path, *arguments, lines=["write 0 512 1", "zero 0 512"], status=1)
    assert result.err.count("\n") == 1 and says in result.err, result
    assert not disks.changes(before, disks.snapshot(top)), "refused, and changed"


def operations(script, extents, chance):
    """Changes at the edges of what the image holds, and elsewhere."""
    size, sector = script.model.size, script.sector
    edges = [0, size - sector, *(e["start"] for e in chance.sample(extents, min(8, len(extents))))]
    for edge in edges:
        at = min(edge, size - sector) // sector * sector
        script.write(at, min(size - at, chance.choice((sector, 8 * sector, 100 * KIB))))
        if chance.random() < 0.5:
            script.flush()
    at = chance.choice(edges) // sector * sector
    script.zero(at, min(size - at, 3 * MIB), "unmap")
    at = chance.choice(edges) // sector * sector
    script.trim(at, min(size - at, 2 * MIB) // sector * sector)
    script.scatter(chance, 10)


def info(path, arguments):
    """What info says of the image; {} where it cannot be opened."""
    result = command.run([command.VHDX, "info", "--json", *arguments, path], status={0, 1, 2})
    return json.loads(result.out)["vhdx"] if result.status == 0 else {}


def judge_writing(path, arguments, top, folder):
    before, raw = disks.snapshot(top), os.path.join(folder, "out.raw")
    opens = vhdxio(path, "-r", *arguments, status={0, 1}, loud=True).status == 0
    was = info(path, arguments).get("log-state")
    readable = try_convert(path, arguments, raw)
    counted, refused = findings(path, arguments)
    if not opens or refused:
        must_not_change(path, arguments, top, before)
    elif "--no-parent" in arguments:
        must_not_change(path, arguments, top, before, "without its parent (EROFS)")
    elif (tried := vhdxio(path, *arguments, status={0, 1}, loud=True)).status:
        # A log that makes the file larger than it can be: the replay had begun.
        assert "that its log needs" in tried.err and info(path, arguments)["log-state"] == was, tried
        vhdx("compare", *arguments, path, raw)
    elif readable:
        judge_opened(path, arguments, before, top, was, raw)
        codes = judges.lint_codes(path)
        script = Script(Raw(raw), info(path, arguments)["logical-sector-size"])
        extents = vhdx_json("map", "--json", *arguments, path, loud=True)
        operations(script, extents, random.Random(os.path.basename(path)))
        script.run(path, *arguments, loud=True)
        judge_changed(path, arguments, script, folder)
        new = findings(path, arguments)[0] - counted | judges.lint_codes(path) - codes
        assert not new, f"new faults: {sorted(new)}"
    now = disks.snapshot(top)
    changed = [name for name in disks.changes(before, now) if name not in (path, os.path.dirname(path))]
    assert not changed, f"other files were changed: {changed}"


def judge_opened(path, arguments, before, top, was, raw):
    """Opened for writing and closed: at most a log is gone that was to be replayed."""
    assert info(path, arguments)["log-state"] == "clean"
    assert was != "clean" or not disks.changes(before, disks.snapshot(top)), "only opened, and changed"
    vhdx("compare", *arguments, path, raw, loud=True)


def judge_changed(path, arguments, script, folder):
    after = os.path.join(folder, "after.raw")
    vhdx("convert", "--no-sync", *arguments, path, after, loud=True)
    script.settle(after)
    assert info(path, arguments)["log-state"] == "clean"
    os.unlink(after)


def judge_own(case, folder):
    top = os.path.join(folder, "images")
    path = case.write(top)
    arguments = [a.format(folder=os.path.join(top, case.name)) for a in case.args]
    judge_writing(path, arguments, top, folder)


def judge_crafted(case, folder):
    top = os.path.join(folder, "images")
    path = judges.unpack_crafted(case, top)
    judge_writing(path, [a.format(dir=os.path.join(top, case["name"])) for a in case["args"]], top, folder)


def judge_real(image, folder):
    top = os.path.join(folder, "images")
    os.mkdir(top)
    judge_writing(judges.unpack_real(image, top), [], top, folder)


for each in tap.sampled(make.cases().values()):
    tap.add(f"{each.name}: {each.why}", lambda folder, case=each: judge_own(case, folder))
for each in judges.real():
    heavy = [tap.whole] if each["file_size"] > LARGE else []
    tap.add(each["name"], lambda folder, image=each: judge_real(image, folder), *heavy)
for each in tap.sampled(judges.crafted()):
    tap.add(f"crafted, {each['name']}: {each['why']}", lambda folder, case=each: judge_crafted(case, folder))
if not judges.real():
    tap.add("real and crafted images", None, judges.images)

tap.main()
