#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images that Windows, Hyper-V, Disk2vhd and QEMU made, from the folder VHDX_TEST_IMAGES."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import tap
from disks import MIB

# Contents above this are hashed by what they hold only.
WHOLE_MAX = 300 * MIB


MANIFEST = judges.real()


def judge_info(image, path):
    info = command.vhdx_json("info", "--json", path)
    shown = info["vhdx"]
    assert info["format"] == "vhdx" and info["filename"] == path, info
    assert info["virtual-size"] == image["virtual_size"], info["virtual-size"]
    assert info["cluster-size"] == image["block_size"], info["cluster-size"]
    assert shown["type"] == image["type"], shown["type"]
    assert shown["file-size"] == image["file_size"], shown["file-size"]
    assert shown["block-size"] == image["block_size"], shown["block-size"]
    assert shown["logical-sector-size"] == image["logical_sector_size"], shown
    assert shown["physical-sector-size"] == image["physical_sector_size"], shown
    assert shown["creator"] == image["creator"], shown["creator"]
    assert info["dirty-flag"] == image["dirty_log"], shown["log-state"]
    assert (shown["log-state"] == "dirty") == image["dirty_log"], shown["log-state"]
    if image["parent"]:
        parent = os.path.join(os.path.dirname(path), os.path.basename(image["parent"]))
        assert os.path.samefile(info["full-backing-filename"], parent), info
        assert len(command.vhdx_json("info", "--json", "--chain", path)) == 2


# QEMU leaves gaps in its files. In the others they are holes.
LEAKS = {"qemu__qemu/iotest-dirtylog-10G-4M.vhdx"}


def judge_check(image, path):
    expected = (3, {"SPACE_LEAKED"}) if image["name"] in LEAKS else (0, set())
    for arguments in ([], ["--chain"]):
        status, found = command.check(path, *arguments)
        counted = {name for name, all_of in found.items()
                   if all_of[0]["severity"] not in ("note", "windows")}
        assert (status, counted) == expected, f"check {arguments}: exit {status}, {sorted(found)}"
        assert ("LOG_DIRTY" in found) == image["dirty_log"], sorted(found)


def judge_contents(image, path, folder):
    raw = os.path.join(folder, "out.raw")
    command.vhdx("convert", "--no-sync", "-O", "raw", path, raw)
    assert os.path.getsize(raw) == image["virtual_size"]
    assert disks.digest(raw) == image["guest_sparse_sha256"], "other contents"
    if image["virtual_size"] <= WHOLE_MAX:
        assert disks.sha256(raw) == image["guest_sha256"], "other contents, all bytes counted"
    command.vhdx("compare", path, raw)


def judge_map(image, path):
    """The map covers the disk without gaps, and is true of the file where that needs no log."""
    extents = command.vhdx_json("map", "--json", path)
    at = 0
    for extent in extents:
        assert extent["start"] == at and extent["length"] > 0, extent
        assert extent["zero"] != extent["data"] and (extent["data"] == ("offset" in extent)), extent
        at += extent["length"]
    assert at == image["virtual_size"], at


def judge(image, folder):
    top = os.path.join(folder, "images")
    os.mkdir(top)
    path = judges.unpack_real(image, top)
    before = disks.snapshot(top)
    judge_info(image, path)
    judge_check(image, path)
    judge_map(image, path)
    for structure in ("header", "region", "metadata", "log", "bat"):
        command.vhdx_json("dump", "--json", structure, path)
        command.vhdx("dump", structure, path)
    judge_contents(image, path, folder)
    changed = disks.changes(before, disks.snapshot(top))
    assert not changed, f"changed by reading: {changed}"


if not MANIFEST:
    tap.add("real images", None, judges.images)
for each in MANIFEST:
    tap.add(each["name"], lambda folder, image=each: judge(image, folder))

tap.main()
