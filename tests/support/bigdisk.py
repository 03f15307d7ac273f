# SPDX-License-Identifier: MIT
"""Images of large disks, with any number of blocks, made in moments: the BAT is written as it shall be, and what it
names is a hole."""
import array
import json
import os
import random
import subprocess
import sys

MIB = 1 << 20
FULL = 6  # a state: the block is in the file
PAGE = 512  # entries

# Which block of the disk the block of the file with a number is, when there are `count` of `blocks`.
ORDERS = {
    "in order": lambda number, count, blocks: number,
    "every other": lambda number, count, blocks: 2 * number,
    "spread": lambda number, count, blocks: number * (blocks // count),
}


def created(vhdx, path, size, block_mib=1, *options):
    subprocess.run([vhdx, "create", "-q", "--force", f"--block-size={block_mib}M", *options, path,
                    *([] if "--parent" in options else [str(size)])], check=True)
    return path


def regions(vhdx, path):
    """{name: (offset, length)} of the regions in a file."""
    text = subprocess.run([vhdx, "dump", "region", "--json", path], check=True, stdout=subprocess.PIPE).stdout
    return {entry["name"]: (entry["file-offset"], entry["length"])
            for entry in json.loads(text)["region-tables"][0]["entries"]}


def written_out(path, vhdx):
    """The zeros of the BAT are not a hole any more."""
    bat, length = regions(vhdx, path)["BAT"]
    with open(path, "r+b") as file:
        file.seek(bat)
        for _ in range(length // MIB):
            file.write(bytes(MIB))
    return path


def filled(vhdx, path, size, count, block_mib=1, order="in order", shuffled=False, options=()):
    """A disk of @size bytes, of which @count blocks are in the file, whose places there are in the same order or
    @shuffled. Blocks are holes of the file."""
    created(vhdx, path, size, block_mib, *options)
    bat, length = regions(vhdx, path)["BAT"]
    start = max(os.path.getsize(path), bat + length) // MIB
    ratio = 4096 // block_mib
    blocks = -(-size // (block_mib * MIB))
    places = list(range(count))
    if shuffled:
        random.Random(1).shuffle(places)
    where = ORDERS[order]
    pages = {}  # of the BAT, by number
    for number, place in enumerate(places):
        block = where(number, count, blocks)
        page, entry = divmod(block + block // ratio, PAGE)
        if page not in pages:
            pages[page] = array.array("Q", bytes(8 * PAGE))
        pages[page][entry] = (start + place * block_mib) * MIB | FULL
    with open(path, "r+b") as file:
        file.truncate((start + count * block_mib) * MIB)
        for page, values in sorted(pages.items()):
            if sys.byteorder == "big":
                values.byteswap()
            file.seek(bat + page * 8 * PAGE)
            file.write(values)
    return path
