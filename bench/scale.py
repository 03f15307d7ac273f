# SPDX-License-Identifier: MIT
"""How cost grows with a disk's size, which it must not, and with what is present: a million blocks, in sparse files."""
import functools
import os
import sys

from support.programs import ROOT
from support.row import Row, Sample
from support.samples import remove

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import bigdisk  # noqa: E402
from bigdisk import MIB  # noqa: E402

TITLE = "Scale: disks of 1 MiB blocks, empty, or with a million blocks"
GIB, TIB = 1 << 30, 1 << 40

SMALL = "1 GiB, empty"
BESIDE = "vhdx, 1 GiB"  # the name of its run
GROWTH = 1.5            # what an empty disk may cost of that, whatever its size
EMPTY_COMMAND = 0.02    # seconds, of which the start of a process is the most
MILLION = 1             # seconds
STEPS = {  # of a session: title; seconds on an empty disk, and with a million blocks; MiB
    "open": ("open", 0.005, 0.005, 8),
    "read": ("first read", 0.005, 0.005, 8),
    "allocate": ("first allocation, and a flush", 0.01, 0.25, 64),
    "close": ("close", 0.005, 0.005, 64),
}


class Disks:
    """Those of the table, made when they are first asked for."""

    def __init__(self, place, folder):
        self.place = place
        self.folder = folder
        self.count = place.size(10 ** 6, 10 ** 6, 1000)
        self.make = {
            SMALL: self._empty(GIB),
            "1 TiB, empty": self._empty(TIB),
            "64 TiB, empty": self._empty(64 * TIB),
            "1 TiB, full, in order": self._filled(TIB),
            "1 TiB, full, random order": self._filled(TIB, shuffled=True),
            "64 TiB, every other block, random order": self._filled(64 * TIB, order="every other", shuffled=True),
            "64 TiB, spread over all": self._filled(64 * TIB, order="spread", shuffled=True),
            "child of 1 TiB, full": self._child("1 TiB, full, random order"),
            "64 TiB, zeros written": self._zeros(place.size(64, 64, 2) * TIB),
        }
        self.paths = {}

    def path(self, name):
        if name not in self.paths:
            path = os.path.join(self.folder, f"{len(self.paths)}.vhdx")
            self.make[name](path)
            self.paths[name] = path
        return self.paths[name]

    def drop(self):
        remove(*self.paths.values())
        self.paths.clear()

    def _empty(self, size):
        return lambda path: bigdisk.created(self.place.vhdx, path, size)

    def _filled(self, size, **how):
        return lambda path: bigdisk.filled(self.place.vhdx, path, size, self.count, **how)

    def _child(self, parent):
        return lambda path: bigdisk.created(self.place.vhdx, path, 0, 1, "--parent", self.path(parent))

    def _zeros(self, size):
        return lambda path: bigdisk.written_out(bigdisk.created(self.place.vhdx, path, size), self.place.vhdx)


def free_offset(name):
    """Of a block that is not present: the last one of a disk that is full from the beginning on."""
    return TIB - MIB if name.startswith("1 TiB, full") else MIB


def step(place, disks, what, name):
    def run():
        words = place.quietly(place.tool("scaleops"), what, disks.path(name),
                              str(free_offset(name))).split()
        return Sample(float(words[0]), float(words[1]))
    return run


def row_of(title, name, make, goals, peers=()):
    """@make(disk's name) returns a run; an empty disk's cost is compared with that of a small one."""
    others = dict(peers)
    runs = {"vhdx": make(name), **others}
    empty, full, mib = goals
    is_empty = name.endswith("empty")
    if is_empty:
        runs[BESIDE] = make(SMALL)
    return Row(f"{title}: {name}", runs, peers=tuple(others), goal=GROWTH if is_empty else None, against=BESIDE,
               at_most=empty if is_empty else full, most_mib=mib)


def step_rows(place, disks):
    for what, (title, *goals) in STEPS.items():
        for name in ("1 TiB, empty", "64 TiB, empty", "64 TiB, every other block, random order"):
            yield row_of(title, name, functools.partial(step, place, disks, what), goals)


def command(place, disks, words, name, program=None):
    """The disk is the last word, and SAME in others."""
    path = disks.path(name)
    return functools.partial(place.timed, [program or place.vhdx, *(path if word == "SAME" else word for word in words),
                                           path])


def peers(place, disks, words, name):
    """Programs that do the same. qemu-img maps no VHDX, and compares each byte of it: an empty TiB takes minutes."""
    if words == ["info"]:
        if place.have("qemu-img"):
            yield "qemu-img", command(place, disks, ["info", "-f", "vhdx"], name, "qemu-img")
        if place.have("vhdiinfo"):
            yield "vhdiinfo", command(place, disks, [], name, "vhdiinfo")
    if words == ["check"] and place.have("qemu-img"):
        yield "qemu-img, no overlaps", command(place, disks, ["check", "-f", "vhdx"], name, "qemu-img")


EMPTY = ("64 TiB, empty",)
FULL = ("1 TiB, full, in order", "1 TiB, full, random order", "64 TiB, every other block, random order",
        "64 TiB, spread over all")
HEAVY = (FULL[0], FULL[3], "64 TiB, zeros written")  # not in a quick run
COMMANDS = {
    "info": (["info"], EMPTY + FULL[2:3]),
    "map": (["map"], EMPTY + FULL + ("child of 1 TiB, full", "64 TiB, zeros written")),
    "map --json": (["map", "--json"], EMPTY + FULL),
    "check": (["check"], EMPTY + FULL + ("64 TiB, zeros written",)),
    "check --json": (["check", "--json"], FULL[1:3]),
    "compact --dry-run": (["compact", "--dry-run"], EMPTY + FULL[1:3]),
    "repair --dry-run": (["repair", "--dry-run"], EMPTY + FULL[1:3]),
    "compare with itself": (["compare", "SAME"], EMPTY + FULL[1:3] + ("child of 1 TiB, full",)),
}


def command_rows(place, disks):
    for title, (words, names) in COMMANDS.items():
        for name in names:
            if name in HEAVY and place.quick and not place.smoke:
                continue
            yield row_of(title, name, functools.partial(command, place, disks, words),
                         (EMPTY_COMMAND, MILLION, 64), peers(place, disks, words, name))


def create_row(place, folder):
    path = os.path.join(folder, "new.vhdx")

    def run(size):
        remove(path)
        return place.timed([place.vhdx, "create", "-q", "--block-size=1M", path, size])
    yield Row("create: 64 TiB, dynamic", {"vhdx": lambda: run("64T"), BESIDE: lambda: run("1G")}, peers=(),
              goal=GROWTH, against=BESIDE, at_most=0.01)
    run("64T")
    yield Row("create: 64 TiB, dynamic: room on storage", {"vhdx": lambda: os.stat(path).st_blocks * 512 / MIB},
              unit="MiB", at_most=1, rounds=1)
    remove(path)


def rows(place):
    # Files of 1 TiB, most of each a hole; and in memory, so that no device has a part in it.
    folder = place.folder("tmpfs")
    if not folder:
        return
    disks = Disks(place, folder)
    try:
        yield from create_row(place, folder)
        yield from step_rows(place, disks)
        yield from command_rows(place, disks)
    finally:
        disks.drop()
