#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images of a real Ceph cluster as sources and destinations: contents go in, out and back unchanged."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import command
import disks
import judges
import links
import samples
import tap
from cephnode import OBJECT, POOL
from command import VHDX, vhdx
from disks import KIB, MIB, noise, scattered

IMAGE = f"{POOL}/x"
NAME = f"rbd:{IMAGE}"
SIZE = 21 * MIB


def there_and_back(folder, cluster, source, model):
    """From @source into RBD, and from there into each kind of file."""
    cluster.vhdx("convert", source, NAME)
    assert cluster.images() == ["x"], cluster.images()
    cluster.holds(IMAGE, model)
    cluster.vhdx("compare", source, NAME)
    back, raw = os.path.join(folder, "back.vhdx"), os.path.join(folder, "back.raw")
    cluster.vhdx("convert", "--no-sync", NAME, back)
    cluster.vhdx("convert", "--no-sync", NAME, raw)
    assert (disks.digest(raw), os.path.getsize(raw)) == (model.digest(), model.size), "other contents"
    links.holds(back, model)
    cluster.vhdx("compare", back, NAME)


def made(folder, size=SIZE, *words):
    """(path, model) of a disk with data here and there."""
    model = scattered("ceph", size)
    raw = model.save(os.path.join(folder, "a.raw"))
    path = os.path.join(folder, "a.vhdx")
    vhdx("convert", "--no-sync", *words, raw, path)
    return path, model


KINDS = {
    "dynamic": (SIZE,),
    "dynamic, blocks of 1 MiB": (SIZE, "--block-size", "1M"),
    "dynamic, blocks of 32 MiB": (70 * MIB, "--block-size", "32M"),
    "fixed": (SIZE, "--type", "fixed"),
    "sectors of 4096 bytes": (SIZE, "--sector-size", "4096"),
    "a size that fills no object": (3 * OBJECT + 512,),
    "a disk of whole objects": (4 * OBJECT,),
    "a disk smaller than an object": (MIB + 512,),
}
for kind, how in KINDS.items():
    @cephnode.case(f"in, out and back: {kind}", always=kind == "dynamic")
    def _(folder, cluster, size=how[0], words=how[1:]):
        there_and_back(folder, cluster, *made(folder, size, *words))


@cephnode.case("in, out and back: a chain of four")
def _(folder, cluster):
    leaf = links.make(folder, "chain", 24 * MIB, 3)[-1]
    there_and_back(folder, cluster, leaf.path, leaf.model)


@cephnode.case("in, out and back: a child of which little is its own")
def _(folder, cluster):
    path, _, child = samples.family(folder)
    there_and_back(folder, cluster, path, child.guest)


@cephnode.case("in, out and back: a disk with a dirty log, which is left as it was")
def _(folder, cluster):
    path, disk = samples.dirty(folder)
    before = disks.sha256(path)
    there_and_back(folder, cluster, path, disk.guest)
    assert disks.sha256(path) == before


@cephnode.case("in, out and back: a disk without data")
def _(folder, cluster):
    path = os.path.join(folder, "empty.vhdx")
    vhdx("create", path, "40M")
    there_and_back(folder, cluster, path, disks.Model(40 * MIB))
    assert cluster.used(IMAGE) == 0


@cephnode.case("in, out and back: a raw file")
def _(folder, cluster):
    model = scattered("ceph", SIZE)
    there_and_back(folder, cluster, model.save(os.path.join(folder, "a.raw")), model)


# Every third: how each of them is read is judged without a cluster.
for real in judges.real()[::3]:
    @cephnode.case(f"in, out and back: {real['name']}", judges.images)
    def _(folder, cluster, image=real):
        path = judges.unpack_real(image, folder)
        cluster.vhdx("convert", path, NAME)
        wanted = image["guest_sparse_sha256"], image["virtual_size"]
        assert cluster.digest(IMAGE) == wanted, "other contents"
        cluster.vhdx("compare", path, NAME)
        back = os.path.join(folder, "back.raw")
        cluster.vhdx("convert", "--no-sync", NAME, back)
        assert (disks.digest(back), os.path.getsize(back)) == wanted, "other contents, back again"


@cephnode.case("a stream of unknown length becomes an image, and an image a stream", always=True)
def _(folder, cluster):
    for size in (SIZE, 4 * OBJECT, 3 * OBJECT + 512):
        model = scattered(f"stream {size}", size)
        with open(model.save(os.path.join(folder, "a.raw")), "rb") as raw:
            with subprocess.Popen(["cat"], stdin=raw, stdout=subprocess.PIPE) as pipe:
                cluster.vhdx("convert", "--force", "-f", "raw", "-", NAME, stdin=pipe.stdout)
        assert cluster.images() == ["x"], cluster.images()
        cluster.holds(IMAGE, model)
        with subprocess.Popen([VHDX, "convert", NAME, "-"], env=cluster.env, stdout=subprocess.PIPE) as process:
            found = disks.digest_stream(process.stdout)
        assert not process.returncode and found == (model.digest(), size), found


@cephnode.case("from one image to another")
def _(folder, cluster):
    path, model = made(folder)
    cluster.vhdx("convert", path, NAME)
    cluster.vhdx("convert", NAME, f"rbd:{POOL}/y")
    cluster.holds(f"{POOL}/y", model)
    cluster.vhdx("compare", NAME, f"rbd:{POOL}/y")


@cephnode.case("a snapshot is what the image was")
def _(folder, cluster):
    path, model = made(folder)
    cluster.vhdx("convert", path, NAME)
    cluster.rbd("snap", "create", "--no-progress", f"{IMAGE}@then")
    cluster.rbd("resize", "--no-progress", "--size", "40M", IMAGE)
    cluster.rbd("bench", "--io-type=write", "--io-size=64K", "--io-total=2M", "--io-pattern=rand", IMAGE)
    cluster.vhdx("compare", path, f"{NAME}@then")
    cluster.vhdx("compare", path, NAME, status=1)
    raw = os.path.join(folder, "then.raw")
    cluster.vhdx("convert", "--no-sync", f"{NAME}@then", raw)
    assert (disks.digest(raw), os.path.getsize(raw)) == (model.digest(), model.size)


def cloned(folder, cluster):
    """(image, model) of a clone with data of its own over its parent's, cut and grown again, so that the parent is
    not seen behind the cut."""
    path, model = made(folder, 6 * OBJECT)
    cluster.vhdx("convert", path, f"rbd:{POOL}/base")
    cluster.rbd("snap", "create", "--no-progress", f"{POOL}/base@s")
    cluster.rbd("snap", "protect", f"{POOL}/base@s")
    cluster.rbd("clone", f"{POOL}/base@s", IMAGE)
    patch = os.path.join(folder, "patch")
    with open(patch, "wb") as file:
        file.write(noise("patch", 3 * KIB))
    for offset in (MIB + 512, 2 * OBJECT - KIB):
        command.run(["qemu-io", "-f", "raw", "-c", f"write -q -s {patch} {offset} {3 * KIB}", f"rbd:{IMAGE}"],
                    env=cluster.env)
        model.write(offset, noise("patch", 3 * KIB))
    for words in (["--allow-shrink", "--size", f"{5 * OBJECT // KIB - 4}K"], ["--size", f"{7 * OBJECT // KIB}K"]):
        cluster.rbd("resize", "--no-progress", *words, IMAGE)
    grown = disks.Model(7 * OBJECT)
    grown.write(0, model.read(0, 5 * OBJECT - 4 * KIB))
    return grown


@cephnode.case("a clone is read with what its parent holds", tap.tool("qemu-io"))
def _(folder, cluster):
    model = cloned(folder, cluster)
    cluster.holds(IMAGE, model)
    raw = os.path.join(folder, "out.raw")
    cluster.vhdx("convert", "--no-sync", NAME, raw)
    assert (disks.digest(raw), os.path.getsize(raw)) == (model.digest(), model.size), "other contents"
    cluster.vhdx("compare", raw, NAME)


@cephnode.case("a namespace's images are its own")
def _(folder, cluster):
    path, model = made(folder)
    cluster.rbd("namespace", "create", f"{POOL}/space")
    cluster.vhdx("convert", path, f"rbd:{POOL}/space/x")
    assert cluster.images() == [] and cluster.images(f"{POOL}/space") == ["x"]
    cluster.holds(f"{POOL}/space/x", model)
    cluster.rbd("create", "--size", "8M", IMAGE)
    cluster.vhdx("compare", path, f"rbd:{POOL}/space/x")
    cluster.vhdx("compare", path, NAME, status=1)
    cluster.vhdx("convert", "--force", f"rbd:{POOL}/space/x", NAME)
    cluster.vhdx("compare", path, NAME)


@cephnode.case("images of other object sizes, stripes and features are read alike")
def _(folder, cluster):
    model = scattered("ceph", SIZE)
    raw = model.save(os.path.join(folder, "a.raw"))
    for words in (["--object-size", "64K"], ["--object-size", "32M"], ["--image-feature", "layering"],
                  ["--object-size", "1M", "--stripe-unit", "64K", "--stripe-count", "3"]):
        cluster.rbd("import", "--no-progress", *words, raw, IMAGE)
        cluster.vhdx("compare", raw, NAME)
        back = os.path.join(folder, "back.vhdx")
        cluster.vhdx("convert", "--force", "--no-sync", NAME, back)
        links.holds(back, model)
        cluster.rbd("rm", "--no-progress", IMAGE)


tap.main()
