#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our own images, made here and now: info, check and convert of each answer as they must."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import make
import tap

UNCOUNTED = {"note", "windows"}


def golden():
    with open(os.path.join(HERE, "golden.txt"), encoding="ascii") as lines:
        return {name: (int(size), digest) for name, size, digest in map(str.split, lines)}


GOLDEN = golden()


def counted(found, windows=False):
    uncounted = UNCOUNTED - {"windows"} if windows else UNCOUNTED
    return {name for name, all_of in found.items() if all_of[0]["severity"] not in uncounted}


def judge_check(path, expected, arguments, windows=False):
    status, found = command.check(path, *arguments)
    wanted_status, wanted = expected
    assert counted(found, windows) == set(wanted), \
        f"check {arguments} counts {sorted(counted(found, windows))}, expected {sorted(wanted)}"
    assert status == wanted_status, f"check {arguments}: exit {status}, expected {wanted_status}"
    return found


def judge_info(case, path, arguments):
    if not case.opens:
        # What can be read of it is shown all the same.
        command.fails("info", *arguments, path, status={1, 2}, out=True)
        command.fails("map", *arguments, path, status={1, 2})
        return
    info = command.vhdx_json("info", "--json", *arguments, path, loud=True, status=case.info)
    guest = case.build()[0].guest
    assert info["format"] == "vhdx" and info["virtual-size"] == guest.size, info
    assert info["vhdx"]["log-state"] == case.log, info["vhdx"]["log-state"]


def judge_convert(case, path, arguments, folder):
    raw = os.path.join(folder, "out.raw")
    if not case.reads:
        command.fails("convert", "-O", "raw", *arguments, path, raw,
                      status={1, 2} if case.failure is None else case.failure)
        assert os.listdir(folder) == ["images"], "convert left something behind"
        return
    command.vhdx("convert", "--no-sync", "-O", "raw", *arguments, path, raw, loud=True)
    assert os.path.getsize(raw) == case.build()[0].guest.size, "another size"
    assert disks.digest(raw) == GOLDEN[case.name][1], "other contents"
    command.vhdx("compare", *arguments, path, raw, loud=True)
    os.unlink(raw)


def judge(case, folder):
    top = os.path.join(folder, "images")
    path = case.write(top)
    before = disks.snapshot(top)
    arguments = [a.format(folder=os.path.join(top, case.name)) for a in case.args]
    judge_info(case, path, arguments)
    found = judge_check(path, (case.status, case.found), arguments)
    assert case.notes <= set(found), f"check notes {sorted(found)}, expected {sorted(case.notes)}"
    if case.chain:
        judge_check(path, case.chain, arguments + ["--chain"])
    if case.windows:
        judge_check(path, case.windows, arguments + ["--windows"], windows=True)
    judge_convert(case, path, arguments, folder)
    for structure in ("header", "region", "metadata", "log", "bat"):
        command.run([command.VHDX, "dump", "--json", *arguments, structure, path], status={0, 1, 2})
    changed = disks.changes(before, disks.snapshot(top))
    assert not changed, f"changed by reading: {changed}"


@tap.case("golden.txt has what a guest sees in every image")
def _(folder):
    built = {}
    for name, case in make.cases().items():
        guest = case.build()[0].guest
        built[name] = (guest.size, guest.digest() if case.reads else "-")
    assert built == GOLDEN, \
        sorted(n for n in {*built, *GOLDEN} if built.get(n) != GOLDEN.get(n))


for each in make.cases().values():
    tap.add(f"{each.name}: {each.why}", lambda folder, case=each: judge(case, folder))

tap.main()
