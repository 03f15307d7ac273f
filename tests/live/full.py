#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A disk whose file system runs full refuses what needs space, and nothing else; with room it goes on."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import contextlib
import errno
import itertools
import random

import command
import nbdclient
import tap
from command import vhdx
from disks import KIB, MIB, Model, noise
from image import Image
from nbdclient import Client, error_of
from server import Server, clean, served

SMALL = 48 * MIB
SIZE = 64 * MIB
PIECE = 64 * KIB
SYSTEMS = ("tmpfs", "ext4")


@contextlib.contextmanager
def small(folder, kind):
    """A file system of SMALL bytes, with a file `filler` that takes 8 MiB of it."""
    point = os.path.join(folder, "small")
    os.mkdir(point)
    if kind == "tmpfs":
        command.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", point])
    else:
        image = os.path.join(folder, "small.img")
        with open(image, "wb") as file:
            file.truncate(SMALL)
        command.run([tap.find_tool("mkfs.ext4"), "-q", "-F", "-m", "0", "-O", "^has_journal", image])
        command.run(["mount", "-o", "loop", image, point])
    try:
        with open(os.path.join(point, "filler"), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 8 * MIB)
        yield point
    finally:
        command.run(["umount", point])


def mountable():
    """Loop devices and mounts need root, and are missing in some containers."""
    if tap.root() or not tap.find_tool("mkfs.ext4"):
        return tap.root() or "no mkfs.ext4"
    done = command.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], status=None)
    return None if not done.status and os.path.exists("/dev/loop-control") else "no mounts or loop devices"


FULL = (served, mountable)


class Guest:
    """A client and the model of its disk. What a refused write leaves is old or new, by sector."""

    def __init__(self, client, model):
        self.client, self.model = client, model
        self.doubt = {}  # what may be there too, by sector
        self.held = set()  # pages that were written to this file
        self.number = 0

    def write(self, offset, length=PIECE):
        """Writes noise; True when there was room."""
        self.number += 1
        data = noise(f"piece {self.number}", length)
        refused = error_of(self.client.write, offset, data)
        assert refused in (0, errno.ENOSPC), refused
        for at in range(0, length, 512):
            if refused:
                self.doubt.setdefault(offset + at, set()).add(data[at:at + 512])
            else:
                self.doubt.pop(offset + at, None)
        if not refused:
            self.model.write(offset, data)
            self.held.update(range(-(-offset // 4096), (offset + length) // 4096))
        return not refused

    def fill(self, chance, enough=20):
        """Writes everywhere until it was refused often; returns the places that were refused."""
        refused = []
        for place in chance.sample(range(SIZE // PIECE), SIZE // PIECE):
            if not self.write(place * PIECE):
                refused.append(place * PIECE)
                if len(refused) == enough:
                    return refused
        raise AssertionError("the file system does not run full")

    def judge(self, client=None):
        """All that is read is what the model holds, but where in doubt."""
        for at in range(0, SIZE, MIB):
            found, expected = (client or self.client).read(at, MIB), self.model.read(at, MIB)
            for inside in range(0, MIB, 512) if found != expected else ():
                one = found[inside:inside + 512]
                assert one == expected[inside:inside + 512] or one in self.doubt.get(at + inside, ()), \
                    f"other contents at {at + inside}"

    def overwrite(self, chance, count=64):
        """Of pages that were written, which needs no space."""
        for page in chance.sample(sorted(self.held), count):
            assert self.write(page * 4096, 4096), f"an overwrite at {page * 4096} was refused"


def create(point, kind="dynamic"):
    path = os.path.join(point, "disk.vhdx")
    model = Model(SIZE)
    if kind == "child":
        base = os.path.join(point, os.pardir, "base.vhdx")
        vhdx("create", base, str(SIZE))
        with Server(os.path.dirname(point), base) as server, Client(server.socket) as client:
            for at in range(0, SIZE, 4 * MIB):
                client.write(at, noise(f"base {at}", 100000))
                model.write(at, noise(f"base {at}", 100000))
        vhdx("create", "--parent", base, "--block-size", "1M", "--any-parent", path, loud=True)
    else:
        vhdx("create", "--block-size", "1M", path, str(SIZE))
    return path, model


def words(kind):
    return ["any-parent=true"] if kind == "child" else []


def judge_file(folder, path, guest, kind):
    """Closed while full, or killed: the image is sound, and holds what it must."""
    status, problems = command.check(path, "--any-parent")
    assert status in (0, 3), (status, problems)
    with Server(folder, path, *words(kind), readonly=True, name="after") as server, Client(server.socket) as client:
        guest.judge(client)


# The first and the third are tried where cases are sampled.
PLACES = [("tmpfs", "dynamic"), ("tmpfs", "child"), ("ext4", "child"), ("ext4", "dynamic")]

for system, each in tap.sampled(PLACES, 2):
    @tap.case(f"full, reads and overwrites go on, and with room all does ({each} on {system})", *FULL)
    def _(folder, where=system, kind=each):
        chance = random.Random(f"{where} {kind}")
        with small(folder, where) as point:
            path, model = create(point, kind)
            with Server(folder, path, *words(kind)) as server, Client(server.socket) as client:
                guest = Guest(client, model)
                refused = guest.fill(chance)
                server.says("disk.vhdx: .*[Nn]o space")
                guest.judge()
                guest.overwrite(chance)
                client.flush()
                guest.judge()
                # Trimming, too, needs no space and gives some.
                client.trim(0, 8 * MIB)
                model.write(0, client.read(0, 8 * MIB))
                guest.doubt = {at: those for at, those in guest.doubt.items() if at >= 8 * MIB}
                client.flush()
                assert guest.write(MIB), "there was no room after a trim"
                os.unlink(os.path.join(point, "filler"))
                assert all(guest.write(place) for place in refused), "there was no room"
                client.flush()
                guest.judge()
            judge_file(folder, path, guest, kind)

    @tap.case(f"stopped while full, the disk is closed well ({each} on {system})", *FULL)
    def _(folder, where=system, kind=each):
        chance = random.Random(f"stop {where} {kind}")
        with small(folder, where) as point:
            path, model = create(point, kind)
            with Server(folder, path, *words(kind)) as server, Client(server.socket) as client:
                guest = Guest(client, model)
                guest.fill(chance)
                guest.overwrite(chance)
                assert server.stop() == 0
            judge_file(folder, path, guest, kind)
            if kind == "dynamic":
                clean(path)

    @tap.case(f"killed while full, what was flushed is there ({each} on {system})", *FULL)
    def _(folder, where=system, kind=each):
        chance = random.Random(f"kill {where} {kind}")
        with small(folder, where) as point:
            path, model = create(point, kind)
            with Server(folder, path, *words(kind)) as server, Client(server.socket) as client:
                guest = Guest(client, model)
                guest.fill(chance)
                guest.overwrite(chance)
                client.flush()
                server.kill()
            judge_file(folder, path, guest, kind)


@contextlib.contextmanager
def choked(point):
    """Nothing is left on the file system, to the last block."""
    path = os.path.join(point, "choke")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        with contextlib.suppress(OSError):
            while True:
                os.write(fd, b"x" * 4096)
        os.fsync(fd)
        yield
    finally:
        os.close(fd)
        os.unlink(path)


def made_elsewhere(point):
    """A disk whose log, and most of whose tables, are holes of the file."""
    disk = Image("disk", SIZE)
    for block in range(8):
        disk.full(block, {0: noise(f"block {block}", MIB)})
    return disk.write(point), disk.guest


ORIGINS = [("ours", create), ("whose log is a hole", made_elsewhere)]

for (origin, make), system in tap.sampled(itertools.product(ORIGINS, SYSTEMS), 2):
    @tap.case(f"changes with no block left are done, or refused until there is room ({origin}, on {system})", *FULL)
    def _(folder, where=system, made=make):
        with small(folder, where) as point:
            path, model = made(point)
            with Server(folder, path) as server, Client(server.socket) as client:
                guest = Guest(client, model)
                if made is create:
                    for at in range(0, 8 * MIB, PIECE):
                        assert guest.write(at)
                with choked(point):
                    for at in range(0, 8 * MIB, MIB):
                        guest.write(at + 512, 4096)
                        guest.write(32 * MIB + at, 4096)
                        assert error_of(client.trim, at + 512 * KIB, 64 * KIB) in (0, errno.ENOSPC)
                        model.write(at + 512 * KIB, client.read(at + 512 * KIB, 64 * KIB))
                        assert error_of(client.flush) in (0, errno.ENOSPC)
                    guest.judge()
                client.flush()
                assert guest.write(48 * MIB)
                client.write(0, noise("durable", 4096), nbdclient.FUA)
                model.write(0, noise("durable", 4096))
                guest.judge()
            judge_file(folder, path, guest, "dynamic")
            clean(path)


tap.main()
