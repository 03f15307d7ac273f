# SPDX-License-Identifier: MIT
"""Random requests of 4 KiB through the library, against pread and pwrite on a raw file, by threads of one process.

Both are measured in one process, in slices of 20 ms that take turns, and the value of each is the median of its
slices. Reads and overwrites on the raw side go to the very bytes of the image that the disk keeps there: in
another file the same requests may take a tenth longer or shorter, by where in memory its pages are. An allocating
write goes to a block that has no space yet; the raw file is sparse there, and the places are the same."""
import json
import os
import subprocess

from support.row import Row, Sample
from support.samples import remove
from support.together import Together

TITLE = "Requests of 4 KiB through the library, in the page cache"
RAW = "raw file"
OPS = {"read": "reads", "write": "overwrites", "allocate": "allocating writes"}


def randomio(place, *words):
    done = subprocess.run([place.tool("randomio"), *map(str, words)], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return {name: Sample(side["rate"], cpu=side["cpu_ns"] * 1e-9)
            for name, side in (("vhdx", found), (RAW, found["against"]))}


def create(place, path, mib):
    place.quietly(place.vhdx, "create", "-q", "--force", "--block-size", "2M", path, f"{mib}M")


def pair(place, folder, op, threads):
    image, raw = os.path.join(folder, "disk.vhdx"), os.path.join(folder, "disk.raw")
    # What was allocated is thrown away again, which takes ext4 far longer.
    seconds = place.size(0.6, 0.2, 0.1) if op == "allocate" else place.size(1.2, 0.4, 0.1)
    words = ["--op", op, "--threads", threads, "--seconds", seconds]

    def present():
        return randomio(place, *words, "--within", image)

    def allocating():
        remove(image, raw)
        create(place, image, place.size(64, 32, 1) * 1024)
        return randomio(place, *words, "--against", raw, image)

    if op == "allocate":
        return Together(("vhdx", RAW), allocating)
    create(place, image, place.size(256, 64, 4))
    return Together(("vhdx", RAW), present)


def rows(place):
    for kind in "tmpfs", "ext4":
        folder = place.folder(kind)
        for op, name in OPS.items() if folder else ():
            for threads in place.size((1, 2, 4, 8), (1, 4), (1,)):
                yield Row(f"{name}, {threads} thread{'s' * (threads > 1)}, {kind}",
                          pair(place, folder, op, threads).runs(), unit="/s", limit=RAW, peers=(),
                          goal=None if op == "allocate" else 0.97, primes=False)
                remove(os.path.join(folder, "disk.vhdx"), os.path.join(folder, "disk.raw"))
