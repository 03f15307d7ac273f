# SPDX-License-Identifier: MIT
"""`vhdx compact` against reading the file once (cat) and writing what moves (dd, synced), in the page cache; and
against qemu-img, which makes a new image instead.

Every other block of the disk holds zeros only, so half of the file goes and a quarter of it moves."""
import json
import os

from support.row import Row
from support.samples import MIB, new_file, remove

TITLE = "Compact, half of the blocks are zero"
BLOCK_MIB = 2


def make(place, path, mib):
    place.quietly(place.vhdx, "create", "-q", path, 2 * mib * MIB)
    lines = [f"write {at}M {min(256, mib)}M seed:1" for at in range(0, mib, 256)]
    lines += [f"write {at}M {BLOCK_MIB}M 0" for at in range(0, mib, 2 * BLOCK_MIB)]
    place.quietly(place.vhdxio, path, *(word for line in lines for word in ("-c", line)))


def moved_mib(place, path):
    told = json.loads(place.quietly(place.vhdx, "compact", "--json", "--dry-run", path))
    return told["moved-blocks"] * BLOCK_MIB


def rows(place):
    folder = place.folder("ext4")
    if not (folder and os.path.exists(place.vhdxio)):
        return
    model, copy, out = (os.path.join(folder, name) for name in ("model.vhdx", "x.vhdx", "out"))
    make(place, model, place.size(2048, 512, 16))
    moved = moved_mib(place, model)

    def cat():
        return place.timed(["cat", model])

    def cat_and_write():
        remove(out)
        os.sync()
        written = place.timed(["dd", f"if={model}", f"of={out}", f"bs={BLOCK_MIB}M", f"count={moved // BLOCK_MIB}",
                               "conv=fsync", "status=none"])
        return cat().value + written.value

    def compact():
        remove(copy)
        place.quietly("cp", "--reflink=never", "--sparse=never", model, copy)
        os.sync()
        return place.timed([place.vhdx, "compact", "-q", copy])

    yield Row("a dry run, which only looks", limit="cat", goal=1.1, most_mib=64, runs={
        "vhdx": lambda: place.timed([place.vhdx, "compact", "-q", "--dry-run", model]), "cat": cat})
    runs = {"vhdx": compact, "cat + dd": cat_and_write}
    if place.have("qemu-img"):
        runs["qemu-img convert"] = new_file(place, ["qemu-img", "convert", "-f", "vhdx", "-O", "vhdx", model, out],
                                            sync=True)
    yield Row("compact", runs, limit="cat + dd", goal=1.1, most_mib=64)
    remove(model, copy, out)
