#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An image of a Ceph cluster has one writer at a time, which is told to the next one, and is not missed when it is dead."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import command
import mounts
import samples
import tap
from cephnode import POOL
from disks import noise

IMAGE = f"{POOL}/x"
NAME = f"rbd:{IMAGE}"
# A client that takes no lock can only be seen.
FEATURES = {"with a lock": (), "without a lock": ("--image-feature", "layering")}


def held(folder, cluster, *features):
    """An image that holds a VHDX."""
    path = samples.dynamic(folder)[0]
    cluster.rbd("import", "--no-progress", *features, path, IMAGE)
    return path


def mounted(folder, cluster):
    os.environ["CEPH_CONF"] = cluster.conf()
    return mounts.Mount(folder, "-w", NAME)


def written(mount, seed):
    data = noise(seed, 4096)
    with open(mount.path(), "r+b") as file:
        file.write(data)
        os.fsync(file.fileno())
    return data


def starts_with(folder, cluster, data):
    out = os.path.join(folder, "out.raw")
    inner = os.path.join(folder, "inner.vhdx")
    cluster.rbd("export", "--no-progress", IMAGE, inner)
    command.vhdx("convert", "--force", "--no-sync", inner, out)
    with open(out, "rb") as file:
        assert file.read(len(data)) == data, "other contents"


for what, words in FEATURES.items():
    @cephnode.case(f"what is open for writing is refused to a second writer, and read by others: an image {what}",
                   *mounts.FUSE)
    def _(folder, cluster, features=words):
        held(folder, cluster, *features)
        with mounted(folder, cluster) as mount, mounts.Point(folder) as point:
            data = written(mount, "first")
            cluster.fails("mount", "-w", NAME, point, status={1, 2}, says="open for writing at .*127.0.0.1")
            cluster.fails("convert", "--force", held_copy(folder), NAME, says="open for writing at .*127.0.0.1")
            cluster.vhdx("info", NAME)
            written(mount, "second")
            data = written(mount, "third")
        starts_with(folder, cluster, data)

    @cephnode.case(f"after a killed writer, the next one waits until the cluster counts it out: an image {what}",
                   *mounts.FUSE)
    def _(folder, cluster, features=words):
        held(folder, cluster, *features)
        with mounted(folder, cluster) as mount:
            written(mount, "first")
            mount.kill()
        with mounted(folder, cluster) as mount:
            data = written(mount, "second")
        starts_with(folder, cluster, data)


def held_copy(folder):
    return os.path.join(folder, os.path.basename(samples.dynamic(folder)[0]))


@cephnode.case("a writer that takes no lock at once is seen, and keeps its image", tap.tool("qemu-io"), *mounts.FUSE)
def _(folder, cluster):
    held(folder, cluster)
    with subprocess.Popen(["qemu-io", "-f", "raw", NAME], env=cluster.env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as writer:
        cephnode.wait_until("the image is not opened", lambda: "watcher=" in cluster.rbd("status", IMAGE))
        with mounts.Point(folder) as point:
            cluster.fails("mount", "-w", NAME, point, status={1, 2}, says="open for writing at .*127.0.0.1")
        out = writer.communicate(b"write -P 7 0 4096\nflush\n")[0]
    assert b"wrote 4096/4096" in out, out
    raw = os.path.join(folder, "raw")
    cluster.rbd("export", "--no-progress", IMAGE, raw)
    with open(raw, "rb") as file:
        assert file.read(4096) == b"\7" * 4096


@cephnode.case("a writer that does not look cannot write what is locked", tap.tool("qemu-io"), *mounts.FUSE)
def _(folder, cluster):
    held(folder, cluster)
    with mounted(folder, cluster) as mount:
        written(mount, "first")
        out = command.run(["qemu-io", "-f", "raw", "-c", "write -P 7 0 1M", "-c", "flush", NAME], status=None,
                          env=cluster.env).out
        assert "wrote" not in out, out
        data = written(mount, "second")
    starts_with(folder, cluster, data)


tap.main()
