#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What goes wrong reaches the client as the errno it has, and nbdkit's log in the library's words."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import errno
import re
import resource
import signal

import command
import disks
import nbdclient
import samples
import tap
from command import vhdx, vhdx_json
from disks import GIB, MIB, noise
from image import FULL, Image
from nbdclient import Client, error_of
from server import Server, has, served


@tap.case("what would change a read-only disk is refused with EPERM", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    before = disks.digest(path)
    with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
        assert error_of(client.write, 0, bytes(512)) == errno.EPERM
        assert error_of(client.trim, 0, 4096) == errno.EPERM
        assert error_of(client.zero, 0, 4096) == errno.EPERM
        assert client.read(0, 512) == noise("zero", 512)
    assert disks.digest(path) == before


@tap.case("qemu-io sees that a disk is read-only, and where it ends", served, tap.tool("qemu-io"))
def _(folder):
    path = samples.dynamic(folder)[0]
    with Server(folder, path, readonly=True) as server:
        result = command.run(["qemu-io", "-f", "raw", "-c", "write 0 512", server.uri], status=1)
        assert re.search("Permission denied|read-only", result.err + result.out), result
        result = command.run(["qemu-io", "-r", "-f", "raw", "-c", "read -P 0 1M 4k", server.uri])
        assert "read 4096/4096" in result.out and "failed" not in result.out, result


@tap.case("out of range is EINVAL for reads and ENOSPC for writes, and the connection goes on", served)
def _(folder):
    path, image = samples.dynamic(folder)
    size = image.size
    with Server(folder, path) as server, Client(server.socket) as client:
        for offset, length in ((size, 1), (size - 1, 2), (1 << 63, 512), ((1 << 64) - 512, 1024)):
            assert error_of(client.read, offset, length) == errno.EINVAL, (offset, length)
            assert error_of(client.write, offset, bytes(length)) in (errno.ENOSPC, errno.EINVAL), offset
            assert error_of(client.trim, offset, length) == errno.EINVAL, (offset, length)
            assert error_of(client.zero, offset, length) in (errno.ENOSPC, errno.EINVAL), (offset, length)
            assert error_of(client.status, offset, length) == errno.EINVAL, (offset, length)
        assert client.read(size - 512, 512) == noise("last", 512)
    vhdx("check", path)


def damaged(folder):
    """A disk of 8 MiB: block 1 lies behind the end of the file, block 2 has an impossible state."""
    disk = Image("disk", 8 * MIB)
    disk.full(0, {0: noise("zero", 8192)})
    disk.bat[disk.payload_index(1)] = 3 * GIB | FULL
    disk.bat[disk.payload_index(2)] = 4
    return disk.write(folder)


@tap.case("a damaged block is EIO, and all else is read", served)
def _(folder):
    path = damaged(folder)
    with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
        assert error_of(client.read, MIB, 4096) == errno.EIO
        line = server.says("disk.vhdx: .*block 1")
        assert line.startswith("nbdkit: "), line
        assert error_of(client.read, 2 * MIB - 4096, 8192) == errno.EIO
        assert client.read(0, 8192) == noise("zero", 8192)
        assert client.read(5 * MIB, 4096) == bytes(4096)
        assert error_of(client.status, 0, 8 * MIB) in (0, errno.EIO)
        assert client.read(0, 512) == noise("zero", 512)


@tap.case("a write that finds the image damaged is EIO, says why, and reading goes on", served)
def _(folder):
    disk = Image("disk", 8 * MIB)
    disk.full(0, {0: noise("zero", 8192)})
    disk.bat[disk.payload_index(1)] = disk.bat[disk.payload_index(0)]
    path = disk.write(folder)
    with Server(folder, path) as server, Client(server.socket) as client:
        assert error_of(client.write, 4 * MIB, b"x" * 512) == errno.EIO
        server.says("disk.vhdx: .*repaired")
        assert client.read(0, 8192) == noise("zero", 8192)


@tap.case("a file that may not grow further is ENOSPC, reads and overwrites go on", served)
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--block-size", "1M", path, "64M")
    limit = 8 * MIB
    # SIGXFSZ, which Python ignores, would end nbdkit.
    with Server(folder, path, restore_signals=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) as server, \
            Client(server.socket) as client:
        client.write(0, noise("first", MIB))
        found = [error_of(client.write, at * MIB, noise("more", 4096)) for at in range(1, 32)]
        assert set(found) == {0, errno.ENOSPC}, found
        server.says("disk.vhdx: ")
        client.write(4096, noise("second", 4096))
        client.flush()
        assert client.read(0, MIB) == noise("first", MIB)[:4096] + noise("second", 4096) + noise("first", MIB)[8192:]
        assert client.read(found.index(errno.ENOSPC) * MIB + MIB, 4096) == bytes(4096)
    vhdx("check", path)
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"


@tap.case("requests that nbdkit holds when it is stopped are ESHUTDOWN", served, has("delay", "log"))
def _(folder):
    path = samples.dynamic(folder)[0]
    with Server(folder, path, "rdelay=60", "logfile=/dev/stderr", options=["--filter=log", "--filter=delay"]) as server:
        with Client(server.socket) as client:
            client.write(0, b"acknowledged")
            handles = [client.send(nbdclient.READ, 0, 4096) for _ in range(8)]
            server.wait_for_line("(?s)" + "Read id.*" * len(handles))
            server.process.send_signal(signal.SIGTERM)
            assert [error_of(client.wait, handle) for handle in handles] == [errno.ESHUTDOWN] * 8
        assert server.wait() == 0
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"
    with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
        assert client.read(0, 12) == b"acknowledged"


tap.main()
