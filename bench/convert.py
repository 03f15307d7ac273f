# SPDX-License-Identifier: MIT
"""`vhdx convert` against `qemu-img convert`, cp and clones, in both directions, on each file system.

qemu-img and cp do not sync what they write, ours does unless --no-sync is given: so all of them without, and all of
them with a sync of the new file at the end."""
import os

from support.row import Row
from support.samples import new_file, raw_and_vhdx, remove

TITLE = "Convert, random data in the page cache"
CLONES = ("xfs", "btrfs")
PEERS = ("qemu-img",)
MOST_MIB = 64


def runs(place, kind, source, path, out, sync):
    target = "vhdx" if source == "raw" else "raw"
    found = {"vhdx": new_file(place, [place.vhdx, "convert", "-q", "-f", source, "-O", target,
                                      *([] if sync else ["--no-sync"]), path, out])}
    if place.have("qemu-img"):
        found["qemu-img"] = new_file(place, ["qemu-img", "convert", "-f", source, "-O", target, path, out], sync)
    found["cp"] = new_file(place, ["cp", path, out], sync)
    for how in ("never", *(["always"] if kind in CLONES else [])):
        found[f"cp --reflink={how}"] = new_file(place, ["cp", f"--reflink={how}", path, out], sync)
    return found


def direct_runs(place, source, path, out):
    """All of it past the page cache. dd has no two requests in flight, so it is no limit."""
    target = "vhdx" if source == "raw" else "raw"
    found = {"vhdx": new_file(place, [place.vhdx, "convert", "-q", "--direct", "-f", source, "-O", target,
                                      path, out])}
    if place.have("qemu-img"):
        found["qemu-img"] = new_file(place, ["qemu-img", "convert", "-t", "none", "-T", "none", "-f", source,
                                             "-O", target, path, out], True)
    found["dd"] = new_file(place, ["dd", "bs=4M", "iflag=direct", "oflag=direct", "conv=fsync", "status=none",
                                   f"if={path}", f"of={out}"])
    return found


def rows(place):
    for kind in "ext4", *CLONES:
        folder = place.folder(kind)
        if folder:
            yield from on(place, kind, folder, place.size(1024, 128, 8))


def on(place, kind, folder, mib):
    raw, vhdx = raw_and_vhdx(place, folder, mib)
    out = os.path.join(folder, "out")
    goal = {"limit": "cp --reflink=always", "goal": 3.0} if kind in CLONES else \
        {"limit": "cp --reflink=never", "goal": 1.1}
    for source, path, name in ("raw", raw, "raw to VHDX"), ("vhdx", vhdx, "VHDX to raw"):
        for sync in (False, True) if kind == "ext4" else place.size((False, True), (False,), (False, True)):
            yield Row(f"{name}, {kind}" + (", synced" if sync else ""),
                      runs(place, kind, source, path, out, sync), peers=PEERS, most_mib=MOST_MIB, **goal)
        if kind == "ext4":
            yield Row(f"{name}, {kind}, --direct", direct_runs(place, source, path, out), goal=1.0,
                      against="qemu-img", peers=PEERS, most_mib=MOST_MIB)
    remove(raw, vhdx, out)
