#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What RBD images are replaced, refused and asked for: names, options, exit codes, and what costs the cluster nothing."""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import bigdisk
import cephnode
import command
import disks
import samples
import tap
from cephnode import OBJECT, POOL
from command import VHDX, vhdx
from disks import GIB, KIB, MIB, TIB, noise
from image import Image
from script import vhdxio

IMAGE = f"{POOL}/x"
NAME = f"rbd:{IMAGE}"


def other(folder):
    """A disk that is not samples.dynamic()."""
    disk = Image("other", 12 * MIB)
    disk.full(3, {0: noise("other", 8192)})
    return disk.write(folder), disk.guest


@cephnode.case("an existing image is refused and untouched; --force replaces it", always=True)
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    path, model = other(folder)
    cluster.vhdx("convert", source, NAME)
    before = cluster.info(IMAGE)
    cluster.fails("convert", path, NAME, says=r"rbd:pool/x: .*exists.*--force")
    assert cluster.info(IMAGE) == before and cluster.images() == ["x"], cluster.images()
    cluster.vhdx("compare", source, NAME)
    cluster.vhdx("convert", "--force", path, NAME)
    assert cluster.images() == ["x"], cluster.images()
    cluster.holds(IMAGE, model)


@cephnode.case("an image with snapshots is not replaced, and loses nothing")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    cluster.vhdx("convert", source, NAME)
    cluster.rbd("snap", "create", "--no-progress", f"{IMAGE}@kept")
    cluster.fails("convert", "--force", other(folder)[0], NAME, says="snapshot")
    assert cluster.images() == ["x"], cluster.images()
    cluster.vhdx("compare", source, NAME)
    cluster.vhdx("compare", source, f"{NAME}@kept")


@cephnode.case("an image that somebody writes is not replaced, and loses nothing", tap.tool("qemu-io"))
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    cluster.vhdx("convert", source, NAME)
    with subprocess.Popen(["qemu-io", "-f", "raw", NAME], env=cluster.env, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as writer:
        cephnode.wait_until("the image is not opened", lambda: "watcher=" in cluster.rbd("status", IMAGE))
        cluster.fails("convert", "--force", other(folder)[0], NAME, says="open for writing at")
        writer.stdin.close()
    assert cluster.images() == ["x"], cluster.images()
    cluster.vhdx("compare", source, NAME)


@cephnode.case("compare ends with 0 for the same, 1 for a difference, 2 for trouble")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    path = other(folder)[0]
    cluster.vhdx("convert", source, NAME)
    cluster.vhdx("compare", source, NAME)
    cluster.vhdx("compare", NAME, source)
    cluster.vhdx("compare", NAME, NAME)
    cluster.vhdx("compare", path, NAME, status=1)
    cluster.vhdx("compare", NAME, path, status=1)
    cluster.fails("compare", source, f"rbd:{POOL}/none", status=2, says=f"rbd:{POOL}/none: ")
    cluster.fails("compare", f"rbd:{POOL}/none", source, status=2, says=f"rbd:{POOL}/none: ")


@cephnode.case("a failing source leaves no image, and with --force the old one")
def _(folder, cluster):
    broken, disk = samples.dynamic(folder)
    disk.bat[7] = 1 << 50 | 6
    disk.write(folder)
    path, model = other(folder)
    cluster.vhdx("convert", path, f"rbd:{POOL}/old")
    cluster.fails("convert", broken, NAME, status=2)
    cluster.fails("convert", "--force", broken, f"rbd:{POOL}/old", status=2)
    assert cluster.images() == ["old"], cluster.images()
    cluster.holds(f"{POOL}/old", model)


WRONG = {
    "a pool that is not there": ("rbd:nopool/x", "nopool"),
    "an image that is not there": (f"rbd:{POOL}/none", "none|No such|not found"),
    "a snapshot that is not there": (f"rbd:{POOL}/made@none", "snapshot|none"),
    "a namespace that is not there": (f"rbd:{POOL}/none/x", "namespace|none|No such"),
    "no image": (f"rbd:{POOL}", "rbd:POOL"),
    "no pool": ("rbd:/x", "rbd:POOL"),
    "nothing": ("rbd:", "rbd:POOL"),
    "an empty image": (f"rbd:{POOL}/", "rbd:POOL"),
    "an empty snapshot": (f"rbd:{POOL}/made@", "rbd:POOL"),
    "a part too many": (f"rbd:{POOL}/a/b/c", "rbd:POOL"),
}
for what, (wrong, said) in WRONG.items():
    @cephnode.case(f"one line says what is wrong with a source's name: {what}")
    def _(folder, cluster, name=wrong, says=said):
        cluster.rbd("create", "--size", "8M", f"{POOL}/made")
        cluster.fails("convert", name, os.path.join(folder, "out.raw"), status={1, 2}, says=says)
        assert not os.listdir(folder), os.listdir(folder)
        assert cluster.images() == ["made"], cluster.images()


@cephnode.case("one line says what is wrong with a destination's name, and nothing is made")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    cluster.rbd("create", "--size", "8M", f"{POOL}/made")
    cluster.rbd("snap", "create", "--no-progress", f"{POOL}/made@s")
    for name, says in (("rbd:nopool/x", "nopool"), (f"rbd:{POOL}/made@s", "snapshot"), (f"rbd:{POOL}/y@s", "snapshot"),
                       (f"rbd:{POOL}/none/x", "namespace|none"), (f"rbd:{POOL}", "rbd:POOL")):
        cluster.fails("convert", source, name, status={1, 2}, says=says)
        cluster.fails("convert", "--force", source, name, status={1, 2}, says=says)
    assert cluster.images() == ["made"], cluster.images()


@cephnode.case("the configuration is CEPH_CONF's or --ceph-conf's, and a client's own part of it that of --ceph-id")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    cluster.vhdx("convert", source, NAME)
    nowhere = {**cluster.env, "CEPH_CONF": os.path.join(folder, "none.conf")}
    cluster.fails("compare", source, NAME, status=2, env=nowhere, says="none.conf")
    vhdx("compare", "--ceph-conf", cluster.conf(), source, NAME, env=nowhere)
    with open(cluster.conf(), encoding="ascii") as file:
        text = file.read()
    where = next(line for line in text.splitlines() if line.startswith("mon_host"))
    # Port 9, where nobody listens, is what all others are told.
    own = samples.write(folder, "own.conf", (text.replace(where, "mon_host = [v2:127.0.0.1:9/0]") +
                                             f"\n[client.mover]\n{where}\n").encode())
    for verb, status in ("convert", 1), ("compare", 2):
        words = ["--timeout", "2", "--ceph-conf", own, source, f"rbd:{POOL}/{verb}"]
        cluster.fails(verb, *words, status=status, says="2 s|timed out|answer|onnect")
    cluster.vhdx("convert", "--ceph-conf", own, "--ceph-id", "mover", source, f"rbd:{POOL}/y")
    cluster.vhdx("compare", "--ceph-conf", own, "--ceph-id", "mover", NAME, f"rbd:{POOL}/y")


@cephnode.case("what a configuration lacks is said: monitors, or a key", always=True)
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    with open(cluster.conf(), encoding="ascii") as file:
        text = file.read()
    # Of the first, librados has a line of its own, and where it looks for monitors by DNS, the resolver a leak.
    env = command.no_search_for_leaks(cluster.env)
    for own, words, says in (("", [], "the configuration of Ceph names no monitor .*mon_host"),
                             (text + "\n[client]\nauth_client_required = cephx\nkeyring = /no/such\n",
                              ["--ceph-id", "mover"], "client.mover has no key .*/no/such")):
        conf = samples.write(folder, "own.conf", own.encode())
        result = command.run([VHDX, "convert", *words, "--ceph-conf", conf, source, NAME], env=env, status=1)
        assert re.search(f"^vhdx convert: {NAME}: {says}", result.err.splitlines()[-1]), str(result)
    assert not cluster.images(), cluster.images()


@cephnode.case("options of Ceph with wrong values are one line of usage")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    for value in ("0", "-1", "x", "99999999999"):
        cluster.fails("convert", "--timeout", value, source, NAME, says="timeout")
    cluster.fails("convert", "--ceph-conf", folder, source, NAME, says=os.path.basename(folder))
    cluster.fails("convert", "-O", "vhdx", source, NAME, status={1, 2}, says="vhdx|raw")
    assert not cluster.images(), cluster.images()


def sparse(folder, size=64 * GIB):
    """(path, raw) of a disk with three pieces far from each other."""
    path = bigdisk.created(VHDX, os.path.join(folder, "sparse.vhdx"), size)
    vhdxio(path, lines=["write 0 512 seed:1", f"write {size // 2} {3 * MIB} seed:2", f"write {size - 512} 512 seed:3",
                        f"zero {size // 4} {8 * MIB}"])
    return path


@cephnode.case("what is sparse stays sparse, in and out")
def _(folder, cluster):
    for size in 64 * GIB, TIB:
        path = sparse(folder, size)
        cluster.vhdx("convert", "--force", path, NAME)
        assert cluster.used(IMAGE) == 3 * OBJECT, cluster.used(IMAGE)
        cluster.vhdx("compare", path, NAME)
        out = os.path.join(folder, "out.raw")
        cluster.vhdx("convert", "--no-sync", "--force", NAME, out)
        assert os.path.getsize(out) == size
        assert disks.allocated(out) <= 3 * MIB + 2 * 512 + 64 * KIB, disks.allocated(out)
        os.unlink(path)


@cephnode.case("zeros of a raw file are no objects, though the file holds them")
def _(folder, cluster):
    path = samples.write(folder, "zeros.raw", bytes(5 * OBJECT) + noise("end", 4 * KIB) + bytes(OBJECT))
    cluster.vhdx("convert", path, NAME)
    assert cluster.used(IMAGE) <= OBJECT, cluster.used(IMAGE)
    cluster.vhdx("compare", path, NAME)


def asked(cluster, function):
    """What the OSD got and gave meanwhile. Of operations it does not count those that find no object."""
    before = cluster.counters()
    function()
    after = cluster.counters()
    return {name: after[name] - before[name] for name in ("messages", "op_w", "op_r_out_bytes", "op_w_in_bytes")}


@cephnode.case("absent objects are never read, nor asked for where the image has a map of its objects")
def _(folder, cluster):
    size, out = 8 * GIB, os.path.join(folder, "out.raw")
    path = sparse(folder, size)
    vhdx("convert", "--no-sync", path, out)
    cluster.rbd("import", "--no-progress", out, IMAGE)
    cluster.rbd("import", "--no-progress", "--image-feature", "layering", out, f"{POOL}/plain")
    # Without a map, each object is asked for once, and three are read; an image is opened with some 50 messages.
    for name, most in (IMAGE, 200), (f"{POOL}/plain", size // OBJECT + 200):
        for words in ("convert", "--no-sync", "--force", f"rbd:{name}", out), ("compare", f"rbd:{name}", path):
            found = asked(cluster, lambda argv=words: cluster.vhdx(*argv))
            assert found["messages"] < most and found["op_r_out_bytes"] < 4 * OBJECT, (words, found)


@cephnode.case("what is written are large parts of objects, each once, whatever the order of the source's blocks")
def _(folder, cluster):
    count = 32
    path = bigdisk.filled(VHDX, os.path.join(folder, "full.vhdx"), count * OBJECT, count * OBJECT // MIB,
                          shuffled=True)
    vhdxio(path, lines=[f"write {number * MIB} {MIB} seed:{number + 1}" for number in range(count * 4)])
    found = asked(cluster, lambda: cluster.vhdx("convert", path, NAME))
    # Two writes an object; and a few that make the image.
    assert found["op_w"] < 2 * count + 12, found
    assert count * OBJECT <= found["op_w_in_bytes"] < (count + 1) * OBJECT, found
    cluster.vhdx("compare", path, NAME)


@cephnode.case("objects are as large as the cluster's configuration says")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    with open(cluster.conf(), encoding="ascii") as file:
        own = samples.write(folder, "own.conf", (file.read() + "\n[client]\nrbd_default_order = 16\n").encode())
    cluster.vhdx("convert", "--ceph-conf", own, source, NAME)
    assert cluster.info(IMAGE)["object_size"] == 64 * KIB, cluster.info(IMAGE)
    cluster.vhdx("compare", source, NAME)


tap.main()
