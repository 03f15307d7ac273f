#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What copies into a Ceph pool do to images of the names that they use for a while: nothing, unless they left them."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import command
import disks
import samples
import tap
from cephnode import POOL
from command import VHDX
from disks import KIB

IMAGE = f"{POOL}/x"
NAME = f"rbd:{IMAGE}"
PART, OLD = f"{IMAGE}.vhdx-new", f"{IMAGE}.vhdx-old"
# A process of another boot: surely dead, when it has the image open no more.
SIGNATURE = "00000000-0000-0000-0000-000000000000 1 1 1"


def foreign(folder, cluster, *names):
    """Images of somebody else's, and what they hold."""
    raw = samples.write(folder, "foreign.raw", disks.noise("foreign", 64 * KIB))
    for name in names:
        cluster.rbd("import", "--no-progress", raw, name)
    return disks.digest(raw)


def left(cluster, source, name):
    """What a dead process left: it is signed."""
    cluster.rbd("import", "--no-progress", source, name)
    cluster.rbd("image-meta", "set", name, "vhdx.maker", SIGNATURE)


def notes(cluster, name):
    return cluster.rbd("image-meta", "ls", "--format=json", name)


for words in (), ("--force",):
    @cephnode.case(f"somebody else's image of the name of a half one is in the way, and stays{' '.join(['', *words])}")
    def _(folder, cluster, options=words):
        digest = foreign(folder, cluster, PART)
        cluster.fails("convert", *options, samples.dynamic(folder)[0], NAME, says=r"x\.vhdx-new is in the way")
        assert cluster.images() == ["x.vhdx-new"], cluster.images()
        assert cluster.digest(PART)[0] == digest


@cephnode.case("somebody else's image of the name of a replaced one stays, and is only in the way of --force")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    digest = foreign(folder, cluster, OLD)
    cluster.vhdx("convert", source, NAME)
    cluster.fails("convert", "--force", source, NAME, says=r"x\.vhdx-old is in the way")
    assert cluster.images() == ["x", "x.vhdx-old"], cluster.images()
    assert cluster.digest(OLD)[0] == digest
    cluster.vhdx("compare", source, NAME)


@cephnode.case("names in .vhdx-new and .vhdx-old are no destinations")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    digest = foreign(folder, cluster, OLD)
    for name in PART, OLD:
        cluster.fails("convert", "--force", source, f"rbd:{name}", status={1, 2}, says=r"names in \.vhdx-new")
    assert cluster.images() == ["x.vhdx-old"], cluster.images()
    assert cluster.digest(OLD)[0] == digest


@cephnode.case("a copy that is refused leaves what a dead one left, and one that is not removes it")
def _(folder, cluster):
    source, new = samples.dynamic(folder)[0], samples.family(folder)[1]
    cluster.vhdx("convert", source, NAME)
    for name in PART, OLD:
        left(cluster, new, name)
    cluster.fails("convert", new, NAME, says="exists")
    assert cluster.images() == ["x", "x.vhdx-new", "x.vhdx-old"], cluster.images()
    cluster.vhdx("convert", "--force", new, NAME)
    assert cluster.images() == ["x"], cluster.images()
    cluster.vhdx("compare", new, NAME)


@cephnode.case("an image that was lost between two names is there again, also for a copy that is refused")
def _(folder, cluster):
    source, new = samples.dynamic(folder)[0], samples.family(folder)[1]
    cluster.vhdx("convert", source, NAME)
    digest = cluster.digest(IMAGE)
    cluster.rbd("image-meta", "set", IMAGE, "vhdx.maker", SIGNATURE)
    cluster.rbd("mv", IMAGE, OLD)
    cluster.fails("convert", new, NAME, says="exists")
    assert cluster.images() == ["x"] and cluster.digest(IMAGE) == digest, cluster.images()
    assert "vhdx.maker" not in notes(cluster, IMAGE), notes(cluster, IMAGE)


@cephnode.case("an image that is complete is not signed, nor is one that replaced another")
def _(folder, cluster):
    source = samples.dynamic(folder)[0]
    for words in (), ("--force",):
        cluster.vhdx("convert", *words, source, NAME)
        assert "vhdx.maker" not in notes(cluster, IMAGE), notes(cluster, IMAGE)


def slow(cluster, *words):
    """A convert that says everything to the cluster a while later, so that others see what is between."""
    return subprocess.Popen(["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=sendmsg", "-e",
                             "inject=sendmsg:delay_enter=100000", VHDX, "convert", *words], env=cluster.env,
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def isolated():
    """Why no process can be started that sees no others, or None."""
    return tap.root() or tap.tool("unshare")()


@cephnode.case("a maker that cannot be seen is not taken for dead at any moment", tap.tool("strace"), isolated)
def _(folder, cluster):
    source, new = samples.dynamic(folder)[0], samples.family(folder)[1]
    with slow(cluster, source, NAME) as maker:
        cephnode.wait_until("nothing is made", lambda: cluster.images())
        while maker.poll() is None:
            command.run(["unshare", "--pid", "--fork", "--mount-proc", VHDX, "convert", new, NAME], status=1,
                        env=cluster.env)
        assert not maker.returncode, maker.stderr.read()
    assert cluster.images() == ["x"], cluster.images()
    cluster.vhdx("compare", source, NAME)


@cephnode.case("an old image that is opened before it is removed stays, and the new one is there",
               tap.tool("strace", "qemu-io"))
def _(folder, cluster):
    source, new = samples.dynamic(folder)[0], samples.family(folder)[1]
    cluster.vhdx("convert", source, NAME)
    with slow(cluster, "--force", new, NAME) as maker:
        cephnode.wait_until("nothing is replaced", lambda: "x.vhdx-old" in cluster.images())
        with subprocess.Popen(["qemu-io", "-f", "raw", f"rbd:{OLD}"], env=cluster.env, stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as writer:
            err = maker.communicate()[1]
            assert not maker.returncode and not err, err
            assert cluster.images() == ["x", "x.vhdx-old"], cluster.images()
            cluster.fails("convert", "--force", new, NAME, says=r"x\.vhdx-old is open for writing at")
            writer.stdin.close()
    cluster.vhdx("compare", new, NAME)
    cluster.vhdx("convert", "--force", source, NAME)
    assert cluster.images() == ["x"], cluster.images()


tap.main()
