# SPDX-License-Identifier: MIT
"""Files that tables share: of random data, so that no block is zero, alike in every run; and new ones, as results."""
import os
import random

MIB = 1 << 20


def random_file(path, mib):
    """A raw file of so many MiB, in the page cache."""
    chance = random.Random(1)
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(chance.randbytes(MIB))
    return path


def raw_and_vhdx(place, folder, mib):
    """The paths of both, with the same contents; the programs that read them find them in the page cache."""
    raw = random_file(os.path.join(folder, "in.raw"), mib)
    vhdx = os.path.join(folder, "in.vhdx")
    place.quietly(place.vhdx, "convert", "-q", "-f", "raw", "-O", "vhdx", "--no-sync", raw, vhdx)
    return raw, vhdx


def remove(*paths):
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)


def new_file(place, command, sync=False):
    """A run of @command, whose last word names a file that it makes. The old one is gone before."""
    path = command[-1].removeprefix("of=")

    def run():
        remove(path)
        os.sync()  # what went before is not this one's to write
        return place.timed(command, then=["sync", path] if sync else None)
    return run
