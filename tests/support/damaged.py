# SPDX-License-Identifier: MIT
"""Images for the make.py of tests/images/damage/KIND to damage, and the writing of them.

`save` writes what is damaged into the folder that make.py was given: the first image as disk.vhdx, with what its
guest could read before the damage as guest.raw, any others under their own names."""
import os
import struct
import sys

from disks import MIB, noise
from image import FULL, PARTIAL, ZERO, Entry, Image


def sound(**more):
    """A dynamic disk of 8 MiB: blocks 0, 1, 3 and 7 hold data, block 4 is ZERO, the others were never written."""
    disk = Image("disk", 8 * MIB, **more)
    for block in (0, 1, 3, 7):
        disk.full(block, {0: noise(f"first of {block}", 8192), MIB - 512: noise(f"last of {block}", 512)})
    disk.state(4, ZERO)
    return disk


def family():
    """A child of 8 MiB and its parent: of the child, blocks 1 and 2 are there in part and block 5 as a whole."""
    base = Image("base", 8 * MIB, 2 * MIB)
    base.full(0, {0: noise("base 0", 2 * MIB)})
    base.full(2, {0: noise("base 2", 2 * MIB)})
    disk = Image("disk", 8 * MIB, parent=base)
    disk.partial(1, {4096: noise("child 1", 8192)})
    disk.partial(2, {MIB - 512: noise("child 2", 512)})
    disk.full(5, {0: noise("child 5", MIB)})
    return disk, base


def dirty(size=8 * MIB, block=1, **more):
    """(disk, page) of a disk with a block whose entry stands only in that page of its BAT, for a log entry."""
    disk = Image("disk", size, **more)
    disk.full(0, {0: noise("zero", 8192)})
    disk.full(block, {512: noise("pending", 8192)})
    index = disk.payload_index(block)
    page = disk.bat_page(index // 512)
    del disk.bat[index]
    disk.begin_log()
    return disk, page


def for_both(tables_or_headers, **fields):
    for one in tables_or_headers:
        for name, value in fields.items():
            setattr(one, name, value)


def patch(disk, offset, data):
    """Bytes that the file gets at @offset when all else was written."""
    disk.patches = [*getattr(disk, "patches", []), (offset, data)]


def save(disk, *others, length=None):
    """Writes the images, the first cut or extended to @length if that is given."""
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for image in others:
        image.write(folder)
    path = disk.write(folder, "disk.vhdx")
    with open(path, "r+b") as file:
        for offset, data in getattr(disk, "patches", []):
            file.seek(offset)
            file.write(data)
        if length is not None:
            file.truncate(length)
    disk.guest.save(os.path.join(folder, "guest.raw"))


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


__all__ = ["FULL", "PARTIAL", "ZERO", "MIB", "Entry", "Image", "dirty", "family", "for_both", "noise",
           "patch", "save", "sound", "u32", "u64"]
