#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx replay of every image there is: our own, crafted and real ones. The disk stays what it was."""
import json
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import make
import tap

# Verbs that open the image alone, as replay does.
ALONE = ("--no-parent",)


def files(folder):
    """Every file's bytes."""
    return {path: disks.sha256(path) if os.path.getsize(path) < disks.GIB else disks.digest(path)
            for path in (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)}


def contents(path, arguments, folder):
    """(status, digest, size) of what a guest sees."""
    raw = os.path.join(folder, "out.raw")
    result = command.run([command.VHDX, "convert", "--no-sync", "-O", "raw", *arguments, path, raw],
                         status={0, 1, 2})
    if result.status:
        return result.status, None, None
    found = 0, disks.digest(raw), os.path.getsize(raw)
    os.unlink(raw)
    return found


def state(path):
    """The log's state, and its entries; (None, 0) of what cannot be opened."""
    result = command.run([command.VHDX, "info", "--json", *ALONE, path], status={0, 1, 2})
    shown = json.loads(result.out or "{}").get("vhdx", {})
    return (None, 0) if result.status else (shown["log-state"], shown["log-entries"])


def locked_reason(path):
    """The problems for which an image may not be written before repair."""
    return {name for name, found in command.check(path, *ALONE)[1].items()
            if found[0]["severity"] == "locked" and not name.startswith(("BLOCK", "BITMAP", "SPACE"))}


def judge_unchanged(path, top, words, status, says):
    before = disks.snapshot(top)
    result = command.run([command.VHDX, "replay", *words, path], status=status)
    assert re.search(says, result.out + result.err), result
    assert not disks.changes(before, disks.snapshot(top)), f"changed by replay {words}"


def judge_closed(path, before):
    """The headers of an image that was replayed: it is the same disk in a new file."""
    info = command.vhdx_json("info", "--json", *ALONE, path)["vhdx"]
    assert info["log-state"] == "clean", info
    assert info["data-write-guid"] == before["data-write-guid"], "another DataWriteGuid"
    assert info["file-write-guid"] != before["file-write-guid"], "the same FileWriteGuid"
    assert info["sequence-number"] == before["sequence-number"] + 3, info
    both = command.vhdx_json("dump", "--json", *ALONE, "header", path)["headers"]
    assert both[0]["valid"] and both[1]["valid"], both
    for key in ("file-write-guid", "data-write-guid", "log-guid"):
        assert both[0][key] == both[1][key], (key, both)


def judge(path, top, folder, arguments=()):
    log, entries = state(path)
    before = contents(path, arguments, folder)
    if log is None:
        judge_unchanged(path, top, ["--dry-run"], {1, 2}, "^vhdx replay: ")
        judge_unchanged(path, top, [], {1, 2}, "^vhdx replay: ")
        return
    if locked_reason(path):
        judge_unchanged(path, top, [], 2, "must be repaired before it can be written: ")
        return
    if log == "clean":
        judge_unchanged(path, top, ["--dry-run"], 0, "^Nothing to replay.$")
        judge_unchanged(path, top, [], 0, "Nothing to replay.")
        return
    word = "entry" if entries == 1 else "entries"
    judge_unchanged(path, top, ["--dry-run"], 0, f"^Would replay {entries} log {word}.$")
    identity = command.vhdx_json("info", "--json", *ALONE, path)["vhdx"]
    checked = command.check(path, *ALONE)
    others = {name: digest for name, digest in files(top).items() if name != path}
    result = command.run([command.VHDX, "replay", path], status={0, 1})
    if result.status: # far more than the file system holds
        assert re.search("cannot (grow|be replayed)", result.err), result
        assert state(path) == (log, entries)
        return
    assert result.out == f"Replayed {entries} log {word}.\n", result
    judge_closed(path, identity)
    assert contents(path, arguments, folder) == before, "other contents"
    assert {n: d for n, d in files(top).items() if n != path} == others, "another file was changed"
    status, found = command.check(path, *ALONE)
    assert status <= checked[0] and set(found) <= set(checked[1]) - {"LOG_DIRTY", "LOG_EMPTY"}, found
    judge_unchanged(path, top, [], 0, "Nothing to replay.")


def judge_own(case, folder):
    top = os.path.join(folder, "images")
    path = case.write(top)
    judge(path, top, folder, [a.format(folder=os.path.join(top, case.name)) for a in case.args])


def judge_crafted(case, folder):
    top = os.path.join(folder, "images")
    path = judges.unpack_crafted(case, top)
    judge(path, top, folder, [a.format(dir=os.path.join(top, case["name"])) for a in case["args"]])


def judge_real(image, folder):
    top = os.path.join(folder, "images")
    os.mkdir(top)
    path = judges.unpack_real(image, top)
    judge(path, top, folder)
    if not judges.lint_there() and image["creator"].startswith("Microsoft"):
        judges.lint(path)


OWN = make.cases().values()
for each in [*(one for one in OWN if one.log != "clean"), *tap.sampled(one for one in OWN if one.log == "clean")]:
    tap.add(f"own {each.name}", lambda folder, case=each: judge_own(case, folder))
for each in tap.sampled(judges.crafted(), 40):
    tap.add(f"crafted {each['name']}", lambda folder, case=each: judge_crafted(case, folder))
for each in judges.real():
    if each["dirty_log"] or each["file_size"] < 100 * disks.MIB:
        tap.add(f"real {each['name']}", lambda folder, image=each: judge_real(image, folder))

tap.main()
