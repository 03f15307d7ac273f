#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx mount: holes of the disk's file, which are asked for, punched, zeroed and discarded."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import errno
import fcntl
import struct

import mounts
import tap
from command import run, vhdx_json
from disks import MIB, TIB, Model, noise
from mounted import SIZE, create, filled, holds, is_sound, write_all
from mounts import COLLAPSE, FUSE, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, Mount, fallocate, refused


def map_of(path):
    return [(e["start"], e["length"], e["data"]) for e in vhdx_json("map", "--json", path)]


def sought(fd, size):
    """[(start, length, data)] as SEEK_DATA and SEEK_HOLE have it."""
    found, at = [], 0
    while at < size:
        try:
            data = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            assert error.errno == errno.ENXIO
            data = size
        if data > at:
            found.append((at, data - at, False))
        if data < size:
            at = os.lseek(fd, data, os.SEEK_HOLE)
            found.append((data, at - data, True))
        else:
            at = size
    return found


def merged(extents):
    found = []
    for start, length, data in extents:
        if found and found[-1][2] == data:
            found[-1] = (found[-1][0], found[-1][1] + length, data)
        else:
            found.append((start, length, data))
    return found


@tap.case("SEEK_DATA and SEEK_HOLE tell what vhdx map does", *FUSE)
def _(folder):
    path = create(folder, "--block-size", "1M", size=64 * MIB)
    with Mount(folder, path, "-w") as mount, mount.open() as fd:
        for block in (3, 4, 5, 17, 40, 63):
            os.pwrite(fd, noise(str(block), MIB), block * MIB)
        os.lseek(fd, 0, os.SEEK_SET)
        during = sought(fd, 64 * MIB)
        refused(errno.ENXIO, os.lseek, fd, 64 * MIB, os.SEEK_DATA)
        refused(errno.ENXIO, os.lseek, fd, 64 * MIB, os.SEEK_HOLE)
        assert os.lseek(fd, 3 * MIB + 100, os.SEEK_DATA) == 3 * MIB + 100
        assert os.lseek(fd, 100, os.SEEK_HOLE) == 100
    expected = merged(map_of(path))
    assert during == expected, (during, expected)
    with Mount(folder, path) as mount, mount.open(flags=os.O_RDONLY) as fd:
        assert sought(fd, 64 * MIB) == expected
        copy = os.path.join(folder, "copy.raw")
        run(["cp", "--sparse=auto", mount.path(), copy])
    assert os.stat(copy).st_blocks * 512 < 8 * MIB, "holes were not seen"


@tap.case("an empty disk of 64 TiB is one hole, and found to be at once", *FUSE)
def _(folder):
    path = create(folder, size=64 * TIB)
    with Mount(folder, path, "-w") as mount, mount.open() as fd:
        assert sought(fd, 64 * TIB) == [(0, 64 * TIB, False)]
        os.pwrite(fd, b"x" * 4096, 64 * TIB - 4096)
        found = sought(fd, 64 * TIB)
        assert found[-1][2] and found[-1][0] >= 64 * TIB - 2 * MIB, found
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 64 * TIB)
        assert sought(fd, 64 * TIB) == [(0, 64 * TIB, False)]


@tap.case("a punched range reads as zeros, and whole blocks give their space back", *FUSE)
def _(folder):
    path = create(folder, "--block-size", "1M")
    model = Model(SIZE)
    with Mount(folder, path, "-w") as mount, mount.open() as fd:
        write_all(fd, noise("all", 16 * MIB), 0)
        model.write(0, noise("all", 16 * MIB))
        os.fsync(fd)
        before = os.stat(path).st_blocks * 512
        for offset, length in ((2 * MIB + 100, 1000), (4 * MIB, 8 * MIB), (13 * MIB - 512, 1024)):
            fallocate(fd, PUNCH_HOLE | KEEP_SIZE, offset, length)
            model.zero(offset, length)
            assert os.pread(fd, length, offset) == bytes(length)
        os.fsync(fd)
        assert os.stat(path).st_blocks * 512 <= before - 8 * MIB
    assert (4 * MIB, 8 * MIB, False) in merged(map_of(path)), map_of(path)
    holds(path, model, folder)
    is_sound(path)


@tap.case("a zeroed range reads as zeros, with either size flag", *FUSE)
def _(folder):
    path, model = filled(folder)
    with Mount(folder, path, "-w") as mount, mount.open() as fd:
        for mode, offset, length in ((ZERO_RANGE, 512, 3 * MIB), (ZERO_RANGE | KEEP_SIZE, 9 * MIB, 100000)):
            fallocate(fd, mode, offset, length)
            model.zero(offset, length)
        assert os.pread(fd, MIB, 0) == model.read(0, MIB)
    holds(path, model, folder)
    is_sound(path)


@tap.case("fallocate: past the end and in other modes it is refused, or cut, and nothing grows", *FUSE)
def _(folder):
    path, model = filled(folder)
    with Mount(folder, path, "-w") as mount, mount.open() as fd:
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, SIZE - 512, 1 << 40)
        model.zero(SIZE - 512, 512)
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, SIZE + 512, 4096)
        fallocate(fd, ZERO_RANGE | KEEP_SIZE, SIZE, 1 << 40)
        refused(errno.ENOSPC, fallocate, fd, ZERO_RANGE, SIZE - 512, 4096)
        refused(errno.EINVAL, fallocate, fd, ZERO_RANGE, 0, 0)
        for mode in (0, KEEP_SIZE, COLLAPSE):
            refused(errno.EOPNOTSUPP, fallocate, fd, mode, 0, 4096)
        assert os.fstat(fd).st_size == SIZE
    holds(path, model, folder)


@tap.case("a loop device over a mount gives discards through, and ends", *mounts.LOOP)
def _(folder):
    path = create(folder, "--block-size", "1M")
    with Mount(folder, path, "-w") as mount, mounts.Loop(mount.path()) as device:
        with open(f"/sys/block/{os.path.basename(device)}/queue/discard_granularity", encoding="ascii") as least:
            assert int(least.read()) == 4096
        fd = os.open(device, os.O_RDWR)
        try:
            write_all(fd, noise("loop", 8 * MIB), 4 * MIB)
            os.fsync(fd)
            before = os.stat(path).st_blocks
            fcntl.ioctl(fd, 0x1277, struct.pack("QQ", 6 * MIB, 4 * MIB))  # BLKDISCARD
            os.fsync(fd)
            assert os.pread(fd, MIB, 7 * MIB) == bytes(MIB)
            assert (before - os.stat(path).st_blocks) * 512 >= 4 * MIB
        finally:
            os.close(fd)
    assert (4 * MIB, 2 * MIB, True) in merged(map_of(path)), map_of(path)


if __name__ == "__main__":
    tap.main()
