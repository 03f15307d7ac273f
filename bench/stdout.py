# SPDX-License-Identifier: MIT
"""What `vhdx convert X.vhdx -` brings through a pipe, against cat of the raw file through one."""
import contextlib
import dataclasses
import os

from support.row import Row
from support.samples import raw_and_vhdx, remove

TITLE = "Standard output, into a pipe to cat"


def piped(place, *command):
    """The highest memory is that of any process of the pipe."""
    script = 'set -o pipefail; "$@" | cat >/dev/null'
    return lambda: place.timed(["bash", "-c", script, "bash", *command])


@contextlib.contextmanager
def mounted(place, vhdx, point):
    """The disk as a file of libvhdi's mount."""
    os.mkdir(point)
    place.quietly("vhdimount", vhdx, point)
    try:
        yield os.path.join(point, "vhdi1")
    finally:
        place.quietly("fusermount", "-u", point)
        os.rmdir(point)


def rows(place):
    folder = place.folder("tmpfs")
    if not folder:
        return
    raw, vhdx = raw_and_vhdx(place, folder, place.size(1024, 256, 8))
    with contextlib.ExitStack() as stack:
        runs = {"vhdx": piped(place, place.vhdx, "convert", "-q", "-O", "raw", vhdx, "-")}
        if place.have("qemu-nbd") and place.have("nbdcopy"):
            # qemu-img writes to no pipe.
            runs["qemu-nbd, nbdcopy"] = piped(place, "nbdcopy", "--", "[", "qemu-nbd", "-r", "-f", "vhdx", vhdx, "]",
                                              "-")
        if place.have("vhdimount") and place.have("fusermount"):
            path = stack.enter_context(mounted(place, vhdx, os.path.join(folder, "mounted")))
            through = piped(place, "cat", path)
            # What cat takes is not what the mount takes.
            runs["vhdimount, cat"] = lambda: dataclasses.replace(through(), peak_mib=None, cpu=None)
        runs["cat"] = piped(place, "cat", raw)
        yield Row("VHDX to a pipe", runs, limit="cat", goal=1.1, most_mib=64)
    remove(raw, vhdx)
