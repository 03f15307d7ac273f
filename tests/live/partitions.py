#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Partitions as files of a mount: what tables say, what they may not say, and tables that change."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import errno
import signal

import command
import tables
import tap
from command import vhdx
from disks import MIB, TIB, noise
from mounts import FUSE, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, Mount, fallocate, refused

SECTORS = 64 * MIB // 512


def create(folder, *options, size=64 * MIB):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", *options, path, str(size))
    return path


def put(path, sectors, sector=512):
    """{sector: bytes} into the mounted file."""
    with open(path, "r+b") as disk:
        for number, data in sectors.items():
            disk.seek(number * sector)
            disk.write(data)


def with_table(folder, sectors, sector=512, size=64 * MIB):
    path = create(folder, "--sector-size", str(sector), size=size)
    with Mount(folder, path, "-w") as mount:
        put(mount.path(), sectors, sector)
    return path


def sizes(mount):
    return {name: os.stat(mount.path(name)).st_size for name in sorted(os.listdir(mount.point))}


def is_window(mount, name, offset, length):
    """The file shows these bytes of the disk, and writes them."""
    with mount.open() as disk, mount.open(name) as part:
        for at in {0, length // 1024 * 512, length - 512}:
            os.pwrite(disk, noise(f"disk {name} {at}", 512), offset + at)
            assert os.pread(part, 512, at) == noise(f"disk {name} {at}", 512), (name, at)
            os.pwrite(part, noise(f"part {name} {at}", 512), at)
            assert os.pread(disk, 512, offset + at) == noise(f"part {name} {at}", 512), (name, at)
        assert os.pread(part, 8192, length - 512) == noise(f"part {name} {length - 512}", 512), "not cut"


PLAIN = {3: (2048, 4095), 1: (8192, 8192 + 20479), 128: (40960, 40967)}


@tap.case("GPT: each partition is a file of its number and size, and a window on the disk", *FUSE)
def _(folder):
    path = with_table(folder, tables.gpt(SECTORS, 512, PLAIN))
    with Mount(folder, path, "-w") as mount:
        assert sizes(mount) == {"disk": 64 * MIB, "p1": 20480 * 512, "p3": 2048 * 512, "p128": 8 * 512}
        for number, (first, last) in PLAIN.items():
            is_window(mount, f"p{number}", first * 512, (last - first + 1) * 512)


@tap.case("what is written through one file is read through the other at once, again and again", *FUSE)
def _(folder):
    path = with_table(folder, tables.gpt(SECTORS, 512, {1: (2048, 4095)}))
    with Mount(folder, path, "-w") as mount, mount.open() as disk, mount.open("p1") as part:
        for turn in range(20):
            data = noise(f"turn {turn}", 8192)
            os.pwrite(part, data, 4096)
            assert os.pread(disk, 8192, MIB + 4096) == data, turn
            with mount.open(flags=os.O_RDONLY) as again:
                assert os.pread(again, 8192, MIB + 4096) == data, turn


@tap.case("a partition's holes, zeros and end are its own", *FUSE)
def _(folder):
    first, length = 8 * MIB, 8 * MIB
    table = tables.gpt(SECTORS, 512, {1: (first // 512, (first + length) // 512 - 1)})
    with Mount(folder, with_table(folder, table), "-w") as mount, mount.open() as disk, \
            mount.open("p1") as part:
        os.pwrite(disk, noise("all", 24 * MIB), 4 * MIB)
        fallocate(part, PUNCH_HOLE | KEEP_SIZE, 2 * MIB, 2 * MIB)
        assert [os.lseek(part, at, how) for at, how in (
            (0, os.SEEK_DATA), (0, os.SEEK_HOLE), (3 * MIB, os.SEEK_DATA), (5 * MIB, os.SEEK_HOLE))] == \
            [0, 2 * MIB, 4 * MIB, length]
        fallocate(part, PUNCH_HOLE | KEEP_SIZE, 6 * MIB, 20 * MIB)
        refused(errno.ENOSPC, fallocate, part, ZERO_RANGE, 6 * MIB, 20 * MIB)
        assert os.pwrite(part, noise("end", 8192), length - 4096) == 4096
        for at in (4 * MIB, first + length):
            assert os.pread(disk, MIB, at) == noise("all", 24 * MIB)[at - 4 * MIB:at - 3 * MIB], at
        assert os.pread(disk, 2 * MIB, first + 2 * MIB) == bytes(2 * MIB)
        assert os.pread(disk, MIB, first + 6 * MIB) == bytes(MIB)
        assert os.pread(disk, 4096, first + length - 4096) == noise("end", 8192)[:4096]


@tap.case("GPT with sectors of 4096 bytes", *FUSE)
def _(folder):
    path = with_table(folder, tables.gpt(SECTORS // 8, 4096, {1: (256, 511), 2: (512, 600)}), 4096)
    with Mount(folder, path, "-w") as mount:
        assert sizes(mount) == {"disk": 64 * MIB, "p1": 256 * 4096, "p2": 89 * 4096}
        is_window(mount, "p2", 512 * 4096, 89 * 4096)


@tap.case("GPT whose first copy is damaged is read from the end of the disk", *FUSE)
def _(folder):
    table = tables.gpt(SECTORS, 512, PLAIN)
    table[1] = bytes(512)
    with Mount(folder, with_table(folder, table)) as mount:
        assert set(sizes(mount)) == {"disk", "p1", "p3", "p128"}


@tap.case("GPT of a disk of 64 TiB", *FUSE)
def _(folder):
    table = tables.gpt(64 * TIB // 512, 512, {1: (2048, 64 * TIB // 512 - 2049)})
    with Mount(folder, with_table(folder, table, size=64 * TIB), "-w") as mount:
        assert sizes(mount) == {"disk": 64 * TIB, "p1": 64 * TIB - 2 * MIB}
        is_window(mount, "p1", MIB, 64 * TIB - 2 * MIB)


def logical_disk():
    """Two primary partitions and five logical ones, these far from both ends of the disk."""
    start = 20 * 2048
    chain = [(start + i * 4096, start + i * 4096 + 63, 1000 + i) for i in range(5)]
    table = tables.logical(start, chain)
    table[0] = tables.dos([(tables.LINUX, 2048, 4096), (tables.EXTENDED, start, 5 * 4096),
                           (tables.LINUX, 100000, 1024)])
    return table, chain


@tap.case("DOS table: logical partitions are found, and their container is no file", *FUSE)
def _(folder):
    table, chain = logical_disk()
    path = with_table(folder, table)
    with Mount(folder, path, "-w") as mount:
        expected = {"disk": 64 * MIB, "p1": 4096 * 512, "p3": 1024 * 512}
        expected.update({f"p{i}": length * 512 for i, (_, _, length) in enumerate(chain, 5)})
        assert sizes(mount) == expected, sizes(mount)
        for i, (_, start, length) in enumerate(chain, 5):
            is_window(mount, f"p{i}", start * 512, length * 512)


@tap.case("DOS table: partitions of a BSD label within one are found", *FUSE)
def _(folder):
    table = {0: tables.dos([(tables.LINUX, 2048, 2048), (tables.BSD, 40960, 40960)]),
             40961: tables.bsd([(40970, 100), (50000, 1000)])}
    with Mount(folder, with_table(folder, table)) as mount:
        assert sizes(mount) == {"disk": 64 * MIB, "p1": 2048 * 512, "p2": 40960 * 512, "p5": 100 * 512,
                                "p6": 1000 * 512}, sizes(mount)


@tap.case("a child's partitions are those of its chain", *FUSE)
def _(folder):
    path = with_table(folder, tables.gpt(SECTORS, 512, PLAIN))
    child = os.path.join(folder, "child.vhdx")
    vhdx("create", "--parent", path, child)
    with Mount(folder, child, "-w") as mount:
        is_window(mount, "p1", 8192 * 512, 20480 * 512)


# ---- Tables that are wrong ----

@tap.case("a partition that reaches past the disk is cut, one that begins there is left out; both are told",
          *FUSE)
def _(folder):
    for table, told, expected in (
            ([(tables.LINUX, SECTORS - 10, 4096)], "partition 1 reaches past the end", {"p1": 10 * 512}),
            ([(tables.LINUX, SECTORS - 1, 0xffffffff)], "partition 1 reaches past the end", {"p1": 512}),
            ([(tables.LINUX, SECTORS, 10)], "partition 1 begins past the end", {}),
            ([(tables.LINUX, 0xffffffff, 0xffffffff)], "partition 1 begins past the end", {})):
        path = with_table(folder, {0: tables.dos(table)})
        with Mount(folder, path, "-w", says=told) as mount:
            assert sizes(mount) == {"disk": 64 * MIB, **expected}, (table, sizes(mount))
            for name, length in expected.items():
                is_window(mount, name, 64 * MIB - length, length)
        os.unlink(path)


@tap.case("links of logical partitions that go in a circle end", *FUSE)
def _(folder):
    start = 20 * 2048
    for links in ([(start, start + 63, 100, start)],
                  [(start, start + 63, 100), (start + 4096, start + 4200, 100, start)],
                  [(start, start + 63, 0, start)]):
        table = tables.logical(start, links)
        table[0] = tables.dos([(tables.EXTENDED, start, 20000)])
        path = with_table(folder, table)
        with Mount(folder, path) as mount:
            assert set(sizes(mount)) <= {"disk", "p5", "p6"}, sizes(mount)
        os.unlink(path)


@tap.case("no more than 256 partitions are shown", *FUSE)
def _(folder):
    start = 2048
    chain = [(start + i * 64, start + i * 64 + 1, 60) for i in range(400)]
    table = tables.logical(start, chain)
    table[0] = tables.dos([(tables.EXTENDED, start, 400 * 64)])
    # The links within the first MiB are read with it, the others one by one.
    with Mount(folder, with_table(folder, table), says="only the first 256 partitions") as mount:
        found = sizes(mount)
    assert len(found) == 257 and found["p100"] == found["p260"] == 60 * 512, len(found)


@tap.case("noise at both ends of the disk is no table, and no harm", *FUSE)
def _(folder):
    path = create(folder, size=8 * MIB)
    for seed in range(12):
        with Mount(folder, path, "-w") as mount:
            put(mount.path(), {0: noise(f"first {seed}", 510) + b"\x55\xaa" + noise(f"second {seed}", 65536),
                               16384 - 128: noise(f"last {seed}", 65536)})
            for name, size in sizes(mount).items():
                assert 0 < size <= 8 * MIB, (name, size)
                with mount.open(name, os.O_RDONLY) as file:
                    os.pread(file, 4096, max(0, size - 4096))


# ---- Tables that change ----

@tap.case("a table that is written to the disk shows at the next look", *FUSE)
def _(folder):
    with Mount(folder, create(folder), "-w") as mount:
        assert set(sizes(mount)) == {"disk"}
        put(mount.path(), tables.gpt(SECTORS, 512, {1: (2048, 4095)}))
        assert sizes(mount) == {"disk": 64 * MIB, "p1": MIB}
        put(mount.path(), tables.gpt(SECTORS, 512, {1: (2048, 6143), 2: (8192, 8199)}))
        # By name, without a look at the folder.
        assert os.stat(mount.path("p2")).st_size == 8 * 512
        assert os.stat(mount.path("p1")).st_size == 2 * MIB
        put(mount.path(), {0: bytes(34 * 512), SECTORS - 33: bytes(33 * 512)})
        assert not os.path.exists(mount.path("p1"))
        assert set(sizes(mount)) == {"disk"}


@tap.case("an open file of a partition that was moved or removed is gone: ENXIO", *FUSE)
def _(folder):
    path = with_table(folder, tables.gpt(SECTORS, 512, {1: (2048, 4095), 2: (8192, 8199)}))
    with Mount(folder, path, "-w") as mount, mount.open("p1") as first, mount.open("p2") as second:
        os.pwrite(second, noise("kept", 4096), 0)
        put(mount.path(), tables.gpt(SECTORS, 512, {1: (2048 + 8, 4095), 2: (8192, 8199)}))
        os.listdir(mount.point)
        refused(errno.ENXIO, os.pread, first, 512, 0)
        refused(errno.ENXIO, os.pwrite, first, bytes(512), 0)
        refused(errno.ENXIO, fallocate, first, PUNCH_HOLE | KEEP_SIZE, 0, 4096)
        assert os.pread(second, 4096, 0) == noise("kept", 4096), "the other one stays"
        with mount.open("p1") as again:
            assert os.fstat(again).st_size == 2040 * 512


@tap.case("parted makes partitions through the disk's file", *FUSE, tap.tool("parted"))
def _(folder):
    with Mount(folder, create(folder), "-w") as mount:
        parted = [tap.find_tool("parted"), "-s", mount.path()]
        command.run([*parted, "mklabel", "msdos", "mkpart", "primary", "1MiB", "9MiB", "mkpart", "extended",
                     "9MiB", "60MiB", "mkpart", "logical", "10MiB", "20MiB", "mkpart", "logical", "21MiB",
                     "30MiB"])
        assert sizes(mount) == {"disk": 64 * MIB, "p1": 8 * MIB, "p5": 10 * MIB, "p6": 9 * MIB}
        command.run([*parted, "rm", "6"])
        assert set(sizes(mount)) == {"disk", "p1", "p5"}
        command.run([*parted, "mklabel", "gpt", "mkpart", "x", "ext4", "1MiB", "100%"])
        assert set(sizes(mount)) == {"disk", "p1"}
        mount.stop(signal.SIGTERM)


if __name__ == "__main__":
    tap.main()
