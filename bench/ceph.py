# SPDX-License-Identifier: MIT
"""Into and out of Ceph RBD, against qemu-img and Ceph's own command: 1 GiB of random data in a disk of 4 GiB.

The cluster is that of CEPH_CONF, with a pool that BENCH_POOL names; bench/scale.sh starts one. Each image is made anew,
and the one before is gone by then."""
import contextlib
import os
import random

from support.row import Row, Sample
from support.samples import MIB, remove

TITLE = "Ceph RBD: 1 GiB of random data in a disk of 4 GiB"
LONGER = 8
POOL = os.environ.get("BENCH_POOL", "")
RUN_MIB = 16    # of data, each behind a hole three times as long
AT_ONCE = 8     # requests of an object each, for what librbd itself takes
MOST_MIB = 64   # beyond that


def sparse(path, mib):
    """A raw file with so much random data in it, four times as long."""
    chance = random.Random(1)
    with open(path, "wb") as file:
        for at in range(0, mib, min(RUN_MIB, mib)):
            file.seek(4 * at * MIB)
            for _ in range(min(RUN_MIB, mib)):
                file.write(chance.randbytes(MIB))
        file.truncate(4 * mib * MIB)
    return path


class Images:
    def __init__(self, place, mib):
        self.place = place
        self.mib = mib

    def drop(self, name):
        with contextlib.suppress(RuntimeError):
            self.place.quietly("rbd", "rm", "--no-progress", f"{POOL}/{name}")
        os.sync()

    def rate(self, sample):
        return Sample(self.mib / sample.value, sample.peak_mib, sample.cpu)

    def into(self, *command):
        """A run of what makes the image "new"."""
        def run():
            self.drop("new")
            return self.rate(self.place.timed(command))
        return run

    def out_of(self, *command):
        return lambda: self.rate(self.place.timed(command))


def beyond(place, command, direction):
    """The highest memory of a command, less that of Ceph's own bench with the same requests in flight."""
    def run():
        with contextlib.suppress(RuntimeError):
            place.quietly("rbd", "rm", "--no-progress", f"{POOL}/bench")
        place.quietly("rbd", "create", "--size", "1G", f"{POOL}/bench")
        words = ["--io-size=4M", f"--io-threads={AT_ONCE}", "--io-total=512M", "--rbd_cache=false", f"{POOL}/bench"]
        if direction == "read":
            place.quietly("rbd", "bench", "--io-type=write", *words)
        own = place.timed(["rbd", "bench", f"--io-type={direction}", *words])
        place.quietly("rbd", "rm", "--no-progress", f"{POOL}/bench")
        return max(command().peak_mib - own.peak_mib, 0)
    return run


def rows(place):
    folder = place.folder("tmpfs")
    if not folder or not POOL or not place.have("rbd"):
        return
    mib = place.size(1024, 256, 16)
    images = Images(place, mib)
    raw, vhdx = sparse(os.path.join(folder, "in.raw"), mib), os.path.join(folder, "in.vhdx")
    place.quietly(place.vhdx, "convert", "-q", "--no-sync", raw, vhdx)
    new, held = f"{POOL}/new", f"{POOL}/held"
    ours = images.into(place.vhdx, "convert", "-q", vhdx, f"rbd:{new}")
    try:
        if place.have("qemu-img"):
            yield Row("VHDX into RBD", {"vhdx": ours, "qemu-img": images.into(
                "qemu-img", "convert", "-m", "16", "-W", "-f", "vhdx", "-O", "raw", vhdx, f"rbd:{new}")},
                unit="MiB/s", goal=1.1, against="qemu-img")
        yield Row("VHDX into RBD, beside the raw file", {"vhdx": ours, "rbd import": images.into(
            "rbd", "import", "--no-progress", raw, new)}, unit="MiB/s", goal=1.4, against="rbd import")
        images.drop("held")
        place.quietly("rbd", "import", "--no-progress", raw, held)
        export = images.out_of(place.vhdx, "convert", "-q", f"rbd:{held}", "-")
        yield Row("RBD to standard output", {"vhdx": export, "rbd export": images.out_of(
            "rbd", "export", "--no-progress", held, "-")}, unit="MiB/s", goal=1.0, against="rbd export")
        yield Row("memory beyond librbd's own, into RBD", {"vhdx": beyond(place, ours, "write")}, unit="MiB",
                  at_most=MOST_MIB, rounds=3)
        yield Row("memory beyond librbd's own, out of RBD", {"vhdx": beyond(place, export, "read")}, unit="MiB",
                  at_most=MOST_MIB, rounds=3)
    finally:
        for name in "new", "held", "bench":
            images.drop(name)
        remove(raw, vhdx)
