#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What clients read, write, trim and copy over NBD is what the disk holds, and its holes stay holes."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import random
import re

import command
import disks
import nbdclient
import samples
import tap
from command import vhdx, vhdx_json
from disks import GIB, MIB, Model, allocated, noise
from image import UNMAPPED, ZERO, Image
from nbdclient import Client, error_of
from server import Server, clean, contents, has, served

COPYING = (served, tap.tool("nbdcopy"), has("stats"))


# ---- Reading and writing

def any_range(chance, size):
    """A range with edges where it matters: on bytes, sectors, pages or blocks, or just beside them."""
    unit = chance.choice((1, 511, 512, 4096, MIB))
    length = min(size, max(1, chance.choice((1, 511, 512, 513, 4096, chance.randrange(1, 3 * MIB)))))
    offset = min(size - length, chance.randrange(0, size) // unit * unit + chance.choice((0, 0, 1)))
    return max(0, offset), length


def requests(chance, client, model, count):
    """Random requests, each held against the model at once."""
    for number in range(count):
        offset, length = any_range(chance, model.size)
        kind = chance.choice(("write", "write", "write", "read", "read", "zero", "punch", "trim", "flush"))
        flags = nbdclient.FUA if chance.random() < 0.1 else 0
        if kind == "write":
            data = noise(f"{number}", length)
            client.write(offset, data, flags)
            model.write(offset, data)
        elif kind in ("zero", "punch"):
            client.zero(offset, length, flags | (nbdclient.NO_HOLE if kind == "zero" else 0))
            model.zero(offset, length)
        elif kind == "trim":
            client.trim(offset, length, flags)
            model.write(offset, trimmed(client.read(offset, length), model.read(offset, length)))
        elif kind == "flush":
            client.flush()
        assert client.read(offset, length) == model.read(offset, length), (number, kind, offset, length)


def trimmed(found, before):
    """What a trim left is the old or zero, byte by byte."""
    assert all(new in (0, old) for new, old in zip(found, before))
    return found


def make(kind, folder, size):
    """(path, model of what it holds)"""
    path = os.path.join(folder, "disk.vhdx")
    if kind == "child":
        base = os.path.join(folder, "base.raw")
        model = disks.scattered("base", size)
        model.save(base)
        vhdx("convert", base, os.path.join(folder, "base.vhdx"))
        vhdx("create", "--parent", os.path.join(folder, "base.vhdx"), "--block-size", "1M", path)
        return path, model
    options = {"dynamic": ["--block-size", "1M"], "fixed": ["--type", "fixed"],
               "4096": ["--block-size", "2M", "--sector-size", "4096"]}[kind]
    vhdx("create", *options, path, str(size))
    return path, Model(size)


for each in ("dynamic", "fixed", "child", "4096"):
    @tap.case(f"requests of any range do as a model says ({each})", served)
    def _(folder, kind=each):
        path, model = make(kind, folder, 12 * MIB)
        with Server(folder, path) as server, Client(server.socket) as client:
            requests(random.Random(kind), client, model, 400 // min(4, tap.sampling()))
            assert client.read(0, model.size) == model.read(0, model.size)
        clean(path)
        assert contents(path, folder) == model.digest()


@tap.case("many requests in flight on several connections each get their own answer", served)
def _(folder):
    path, model = make("dynamic", folder, 64 * MIB)
    with Server(folder, path) as server:
        clients = [Client(server.socket) for _ in range(4)]
        for number in range(512):
            data = noise(f"page {number}", 4096)
            clients[number % 4].send(nbdclient.WRITE, number * 97 * 1024, data=data)
            model.write(number * 97 * 1024, data)
        for client in clients:
            while client.sent:
                client.receive()
            assert not {error for error, _ in client.answers.values()} - {0}
        # Any connection sees, and flushes, what all wrote.
        clients[0].flush()
        for first in range(0, 512, 16):
            handles = {clients[1].send(nbdclient.READ, at * 97 * 1024, 4096): at
                       for at in range(first, first + 16)}
            for handle, at in handles.items():
                assert clients[1].wait(handle) == noise(f"page {at}", 4096), at
        for client in clients:
            client.close()
    clean(path)
    assert contents(path, folder) == model.digest()


@tap.case("what was written with FUA, or flushed by any connection, is there after a kill", served)
def _(folder):
    path, model = make("dynamic", folder, 32 * MIB)
    server = Server(folder, path)
    one, two = Client(server.socket), Client(server.socket)
    for number in range(8):
        one.write(number * 3 * MIB + 512, noise(f"fua {number}", 5000), nbdclient.FUA)
        model.write(number * 3 * MIB + 512, noise(f"fua {number}", 5000))
        one.write(number * 3 * MIB + MIB, noise(f"flushed {number}", 4096))
        model.write(number * 3 * MIB + MIB, noise(f"flushed {number}", 4096))
    two.flush()
    one.zero(0, MIB, nbdclient.FUA)
    model.zero(0, MIB)
    server.kill()
    assert command.check(path)[0] in (0, 3)
    assert contents(path, folder) == model.digest()
    with Server(folder, path) as server, Client(server.socket) as client:
        assert client.read(0, model.size) == model.read(0, model.size)
        client.write(31 * MIB, b"again")
        model.write(31 * MIB, b"again")
    clean(path, "FILE_TRAILING_SPACE")  # a session cuts off what it grew itself
    assert contents(path, folder) == model.digest()


@tap.case("a fast zero is fast where blocks can go, and done or refused without harm on a fixed disk", served)
def _(folder):
    fixed, _ = make("fixed", folder, 8 * MIB)
    with Server(folder, fixed) as server, Client(server.socket) as client:
        client.write(MIB, noise("fixed", MIB))
        found = error_of(client.zero, MIB, MIB, nbdclient.FAST_ZERO | nbdclient.NO_HOLE)
        assert found in (0, 95), found
        assert client.read(MIB, MIB) == (bytes(MIB) if not found else noise("fixed", MIB))
        assert not re.search("error", server.log()), server.log()
        client.zero(MIB, MIB)
        assert client.read(MIB, MIB) == bytes(MIB)
    os.unlink(fixed)
    dynamic, _ = make("dynamic", folder, 8 * MIB)
    with Server(folder, dynamic) as server, Client(server.socket) as client:
        client.write(MIB, noise("dynamic", MIB))
        client.zero(MIB, MIB, nbdclient.FAST_ZERO)
        assert client.read(0, 3 * MIB) == bytes(3 * MIB)


# ---- Holes

def holes(folder):
    """A disk with everything that extents can be, in blocks of 1 MiB: data, partly holes of the file,
    zero, unmapped and absent blocks."""
    disk = Image("disk", 64 * MIB)
    disk.full(0, {0: noise("zero", MIB)})
    disk.full(3, {65536: noise("inside", 65536)})
    disk.full(4, {0: noise("next", 4096)})
    disk.state(5, ZERO)
    disk.state(6, UNMAPPED)
    disk.full(63, {MIB - 512: noise("last", 512)})
    return disk.write(folder), disk


def told(client, size, most=1 << 31):
    """The client's list of (start, length, is data), neighbours of a kind as one."""
    found, at = [], 0
    while at < size:
        for length, hole, zero in client.status(at, min(most, size - at)):
            assert length and hole == zero, (at, length, hole, zero)
            add(found, at, min(length, size - at), not zero)
            at += length
    return found


def add(found, start, length, data):
    if found and found[-1][2] == data:
        found[-1] = (found[-1][0], found[-1][1] + length, data)
    else:
        found.append((start, length, data))


def mapped(path, *parents):
    """As told(), from what `vhdx map` says lies in the files, less the holes that these have there."""
    found = []
    for extent in vhdx_json("map", "--json", path):
        start, length = extent["start"], extent["length"]
        if not extent["data"] or extent["zero"]:
            add(found, start, length, False)
            continue
        for first, last, data in parts((path, *parents)[extent["depth"]], extent["offset"], length):
            add(found, start + first - extent["offset"], last - first, data)
    return found


def parts(path, offset, length):
    """(begin, end, is data) of a range of a file, by its holes."""
    fd, at, end = os.open(path, os.O_RDONLY), offset, offset + length
    try:
        while at < end:
            try:
                data = min(end, os.lseek(fd, at, os.SEEK_DATA))
            except OSError:  # a hole up to the end
                data = end
            if data > at:
                yield at, data, False
            at = data
            if at < end:
                hole = min(end, os.lseek(fd, at, os.SEEK_HOLE))
                yield at, hole, True
                at = hole
    finally:
        os.close(fd)


for many in (1 << 31, MIB, 100001):
    @tap.case(f"extents are what vhdx map says, holes of the file too (asked {many} bytes at a time)", served)
    def _(folder, most=many):
        path, disk = holes(folder)
        expected = mapped(path)
        assert (3 * MIB + 65536, 65536, True) in expected, "the file system keeps no holes"
        with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
            assert told(client, disk.size, most) == expected, (told(client, disk.size, most), expected)


@tap.case("a client that asks for one extent gets one", served)
def _(folder):
    path, _ = holes(folder)
    with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
        assert client.status(0, 64 * MIB, nbdclient.REQ_ONE) == [(MIB, False, False)]
        assert client.status(MIB, 63 * MIB, nbdclient.REQ_ONE)[0][1:] == (True, True)


@tap.case("a child's extents are its chain's", served)
def _(folder):
    path, _ = make("child", folder, 16 * MIB)
    with Server(folder, path) as server, Client(server.socket) as client:
        client.write(5 * MIB + 512, b"child")
        client.zero(7 * MIB, MIB)
        client.flush()
        seen = told(client, 16 * MIB)
    expected = mapped(path, os.path.join(folder, "base.vhdx"))
    assert seen == expected, (seen, expected)


@tap.case("qemu-img map, through NBD, sees the same data", served, tap.tool("qemu-img"))
def _(folder):
    path, _ = holes(folder)
    with Server(folder, path, readonly=True) as server:
        found = []
        for one in json.loads(command.run(["qemu-img", "map", "--output=json", server.uri]).out):
            add(found, one["start"], one["length"], one["data"] and not one["zero"])
    # QEMU rounds to the preferred block size, which all of these edges have but the last's.
    assert found == mapped(path), (found, mapped(path))


# ---- Copying

def bytes_of(server, what):
    """What nbdkit's stats filter counted of one kind of request, in bytes."""
    found = re.search(rf"^{what}: \d+ ops, [0-9.]+ s, ([0-9.]+) (bytes|KiB|MiB|GiB)", server.log(), re.MULTILINE)
    unit = {"bytes": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": GIB}
    return float(found.group(1)) * unit[found.group(2)] if found else 0


def counted(folder, path, **more):
    return Server(folder, path, f"statsfile={folder}/nbd.log", "statsappend=true",
                  options=["--filter=stats"], **more)


@tap.case("nbdcopy reads the data and nothing else, and the copy is as sparse", *COPYING)
def _(folder):
    path, disk = holes(folder)
    raw = os.path.join(folder, "out.raw")
    with counted(folder, path, readonly=True) as server:
        command.run(["nbdcopy", "--request-size=4096", server.uri, raw])
    data = sum(length for _, length, data in mapped(path) if data)
    assert 0.98 * data <= bytes_of(server, "read") <= 1.02 * data, (bytes_of(server, "read"), data, server.log())
    assert disks.digest(raw) == disk.guest.digest()
    assert allocated(raw) <= allocated(path), (allocated(raw), allocated(path))


@tap.case("nbdcopy writes the data and nothing else, and the disk is as sparse", *COPYING)
def _(folder):
    model = disks.scattered("nbdcopy", 256 * MIB)
    raw = model.save(os.path.join(folder, "in.raw"))
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--block-size", "1M", path, "256M")
    with counted(folder, path) as server:
        command.run(["nbdcopy", "--flush", raw, server.uri])
    assert bytes_of(server, "write") <= allocated(raw), (bytes_of(server, "write"), allocated(raw))
    clean(path)
    assert contents(path, folder) == model.digest()
    assert allocated(path) < allocated(raw) + 4 * MIB, (allocated(path), allocated(raw))


@tap.case("nbdcopy from a disk to a disk, of other kind and sectors, keeps all", *COPYING)
def _(folder):
    source, model = make("child", folder, 32 * MIB)
    target = os.path.join(folder, "target.vhdx")
    vhdx("create", "--sector-size", "4096", target, "32M")
    with Server(folder, source, readonly=True) as one, Server(folder, target, name="two") as two:
        command.run(["nbdcopy", "--flush", one.uri, two.uri])
    clean(target)
    vhdx("compare", source, target)
    assert contents(target, folder) == model.digest()


@tap.case("qemu-img converts to and from NBD, and compares", served, tap.tool("qemu-img"))
def _(folder):
    model = disks.scattered("qemu", 64 * MIB)
    raw, out = model.save(os.path.join(folder, "in.raw")), os.path.join(folder, "out.raw")
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--block-size", "1M", path, "64M")
    with Server(folder, path) as server:
        command.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", raw, server.uri])
        command.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", raw, server.uri])
        command.run(["qemu-img", "convert", "-f", "raw", "-O", "raw", server.uri, out])
        command.run(["qemu-io", "-f", "raw", "-c", "write -P 7 12345 678", "-c", "flush",
                     "-c", "read -P 7 12345 678", server.uri])
        command.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", raw, server.uri], status=1)
    model.write(12345, b"\7" * 678)
    clean(path)
    assert contents(path, folder) == model.digest()
    assert disks.digest(out) == disks.digest(raw)


@tap.case("trimming gives space back", served)
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--block-size", "1M", path, "128M")
    with Server(folder, path) as server, Client(server.socket) as client:
        for at in range(64):
            client.write(at * MIB, noise(f"{at}", MIB))
        client.flush()
        full = allocated(path)
        client.trim(8 * MIB, 40 * MIB)
        client.flush()
        assert allocated(path) <= full - 39 * MIB, (full, allocated(path))
        assert told(client, 128 * MIB) == [(0, 8 * MIB, True), (8 * MIB, 40 * MIB, False),
                                           (48 * MIB, 16 * MIB, True), (64 * MIB, 64 * MIB, False)]
    assert mapped(path) == [(0, 8 * MIB, True), (8 * MIB, 40 * MIB, False), (48 * MIB, 16 * MIB, True),
                            (64 * MIB, 64 * MIB, False)]
    clean(path)


tap.main()
