#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long a silence of Ceph is borne: what stood still itself goes on, what takes long but lives is waited for, errors
say what was waited for, and a mount comes back with the cluster."""
import contextlib
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import command
import disks
import mounts
import tap
from cephnode import OBJECT, POOL, wait_until
from disks import MIB

IMAGE = f"{POOL}/x"
NAME = f"rbd:{IMAGE}"
SIZE = 200 * MIB
SHORT = 2
# What mounts wait for, and a silence that lasts once more as long.
LONG = 60


def noise(folder, name="noise"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    return path


def written(cluster, before):
    return cluster.counters()["op_w_in_bytes"] - before


def begun(cluster, source):
    """A copy into RBD of which some objects are written, and far from all: it is stopped there."""
    before = cluster.counters()["op_w_in_bytes"]
    process = cluster.start("convert", "--timeout", str(SHORT), source, NAME)
    wait_until("nothing is written", lambda: process.poll() is not None or written(cluster, before) > 3 * OBJECT)
    process.send_signal(signal.SIGSTOP)
    assert process.poll() is None and written(cluster, before) < SIZE, "all was written before it could be stopped"
    return process


def ended(process):
    err = process.communicate(timeout=command.TIMEOUT)[1].decode()
    return process.returncode, err


@cephnode.case("a copy that is stopped for longer than --timeout goes on and is right")
def _(folder, cluster):
    source = noise(folder)
    with begun(cluster, source) as process:
        try:
            time.sleep(2 * SHORT)
            process.send_signal(signal.SIGCONT)
            assert ended(process) == (0, "")
        finally:
            process.kill()
    assert cluster.digest(IMAGE) == (disks.digest(source), SIZE)


@cephnode.case("an OSD that says nothing any more: the error says for how long it was waited for")
def _(folder, cluster):
    with begun(cluster, noise(folder)) as process:
        try:
            with cluster.stopped_osd():
                process.send_signal(signal.SIGCONT)
                status, err = ended(process)
        finally:
            process.kill()
    assert status == 1 and err.count("\n") == 1, (status, err)
    assert f"the cluster did not answer within {SHORT} s" in err, err


def sparse(folder, size, *places):
    """A raw file with a MiB of data at each place."""
    path = os.path.join(folder, "sparse")
    with open(path, "wb") as file:
        file.truncate(size)
        for place in places:
            file.seek(place)
            file.write(os.urandom(MIB))
    return path


@contextlib.contextmanager
def slow(cluster, seconds):
    """Each message to the OSD is held back, one after the other."""
    chance, duration = (f"osd_debug_inject_dispatch_delay_{name}" for name in ("probability", "duration"))
    cluster.set_osd(duration, seconds)
    cluster.set_osd(chance, 1)
    try:
        yield
    finally:
        cluster.set_osd(chance, 0)


@cephnode.case("a cut that removes object by object for longer than --timeout is waited for")
def _(folder, cluster):
    # What comes through a pipe has no size before its end: room for a GiB is made, and cut off again, some 8000 objects.
    source = sparse(folder, 3 * MIB, 0)
    env = {**cluster.env, "CEPH_ARGS": "--rbd-default-features=1 --rbd-default-order=17"}
    pipe = 'cat "$1" | "$2" convert --timeout "$3" - "$4"'
    with slow(cluster, 0.001):
        command.run(["bash", "-c", pipe, "pipe", source, command.VHDX, str(SHORT), NAME], env=env)
    assert cluster.info(IMAGE)["features"] == ["layering"], cluster.info(IMAGE)
    assert cluster.digest(IMAGE) == (disks.digest(source), 3 * MIB)


@cephnode.case("an image whose stripes are longer than its objects is read alike around every part that is asked for")
def _(folder, cluster):
    size, window = 200 * MIB, 64 * MIB
    source = sparse(folder, size, *(at - MIB // 2 for at in range(window, size, window)))
    cluster.rbd("import", "--no-progress", source, IMAGE, "--image-feature", "layering,striping",
                "--object-size", "64K", "--stripe-unit", "4K", "--stripe-count", "5")
    out = os.path.join(folder, "out.raw")
    cluster.vhdx("convert", NAME, out)
    assert disks.digest(out) == disks.digest(source)


def reads(path, at=0):
    """Does it? Without what the kernel kept."""
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return len(os.pread(fd, MIB, at)) == MIB
        finally:
            os.close(fd)
    except OSError:
        return False


@cephnode.case("a mount that met a silent OSD reads again when the OSD answers again", tap.whole, *mounts.FUSE)
def _(folder, cluster):
    source, vhdx = noise(folder), os.path.join(folder, "a.vhdx")
    cluster.vhdx("convert", "--no-sync", source, vhdx)
    cluster.rbd("import", "--no-progress", vhdx, IMAGE)
    point = os.path.join(folder, "point")
    os.mkdir(point)
    cluster.vhdx("mount", NAME, point)
    disk = os.path.join(point, "disk")
    try:
        assert reads(disk)
        with cluster.stopped_osd():
            assert not reads(disk, 100 * MIB)
        wait_until("it does not read again", lambda: reads(disk, 150 * MIB), 3 * LONG)
        assert disks.digest(disk) == disks.digest(source)
    finally:
        command.run(["fusermount3", "-u", point])


tap.main()
