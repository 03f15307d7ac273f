#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The plugin tells clients what the disk is and can do, and takes or refuses its parameters and files."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import re
import select
import subprocess
import time

import command
import disks
import samples
import tap
from command import vhdx, vhdx_json
from disks import MIB, noise
from image import Image
from lockbytes import READER, WRITER, locked
from nbdclient import Client, NbdError, error_of
from server import PLUGIN, Server, environment, refuses, served

PARAMETERS = ["any-parent", "file", "force-share", "ignore-id-mismatch", "no-holes", "no-lock", "no-parent",
              "parent-dir", "parent-uri"]
WRITING = {"can_flush", "can_fua", "can_trim", "can_zero", "can_fast_zero"}
ALWAYS = {"can_multi_conn", "can_cache", "can_df"}


def nbdinfo(server):
    done = command.run(["nbdinfo", "--json", server.uri])
    return json.loads(done.out)["exports"][0]


def apart(folder, name="image"):
    """A folder for the image alone, so that a change of it is seen."""
    path = os.path.join(folder, name)
    os.mkdir(path)
    return path


# ---- What clients are told

for sector in (512, 4096):
    @tap.case(f"nbdinfo sees size, abilities and block sizes ({sector}-byte sectors)", served, tap.tool("nbdinfo"))
    def _(folder, size=sector):
        path = os.path.join(folder, "disk.vhdx")
        vhdx("create", "--sector-size", str(size), path, "10M")
        with Server(folder, path) as server:
            found = nbdinfo(server)
        assert found["export-size"] == 10 * MIB, found
        assert (found["block_size_minimum"], found["block_size_preferred"]) == (size, 4096), found
        assert not found["is_read_only"], found
        assert not {name for name in ALWAYS | WRITING if not found[name]}, found


@tap.case("the preferred block size is the physical sector", served)
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--physical-sector-size", "512", path, "10M")
    with Server(folder, path) as server, Client(server.socket) as client:
        assert client.blocks[:2] == (512, 512), client.blocks


@tap.case("with -r a disk is read-only, and can nothing that writes", served, tap.tool("nbdinfo"))
def _(folder):
    path = samples.dynamic(folder)[0]
    with Server(folder, path, readonly=True) as server:
        found = nbdinfo(server)
    assert found["is_read_only"], found
    assert not {name for name in WRITING if found[name]}, found
    assert not {name for name in ALWAYS if not found[name]}, found


def words_of(option):
    return subprocess.run(["nbdkit", option, PLUGIN], capture_output=True, text=True, check=True,
                          env=environment()).stdout


@tap.case("--help and --dump-plugin name the parameters", served)
def _(_):
    told = words_of("--help")
    assert sorted(set(re.findall(r"^\[?([a-z-]+)=", told, re.MULTILINE))) == PARAMETERS, told
    dump = dict(line.split("=", 1) for line in words_of("--dump-plugin").splitlines())
    assert sorted(dump["vhdx_parameters"].split()) == PARAMETERS, dump
    assert dump["vhdx_library_version"] == vhdx("--version").out.split()[-1], dump
    assert dump["max_thread_model"] == "parallel" and dump["magic_config_key"] == "file", dump
    assert {name for name in dump if name.startswith("has_")} >= {
        "has_pread", "has_pwrite", "has_flush", "has_trim", "has_zero", "has_extents", "has_block_size"}, dump


# ---- Parameters

@tap.case("missing, unknown and wrong parameters are refused with one line", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    refuses(folder, says="file=FILE")
    refuses(folder, path, "parent=x", says="unknown parameter 'parent'")
    refuses(folder, path, f"file={path}", says="twice")
    refuses(folder, path, "no-parent=maybe", says="maybe")
    refuses(folder, os.path.join(folder, "none.vhdx"), says="none.vhdx: .*No such file")
    refuses(folder, folder, says=f"{folder}: ")


@tap.case("file names are relative to where nbdkit was started", served)
def _(folder):
    samples.dynamic(folder)
    child = samples.family(apart(folder, "child"))[0]
    os.rename(os.path.join(folder, "child", "base.vhdx"), os.path.join(apart(folder, "base"), "base.vhdx"))
    with Server(folder, "disk.vhdx", cwd=folder) as server, Client(server.socket) as client:
        assert client.read(0, 16) == noise("zero", 16)
        client.write(4096, b"new")
    words = (os.path.relpath(child, folder), "parent-dir=base")
    # In the background nbdkit leaves the folder, and opens the disk again after that.
    socket, number = os.path.join(folder, "s"), os.path.join(folder, "number")
    command.run(["nbdkit", "-U", socket, "-P", number, PLUGIN, *words], cwd=folder, env=environment(),
                stdout=subprocess.DEVNULL)
    # Its parent ends before that is written.
    while not os.path.exists(number) or not os.path.getsize(number):
        time.sleep(0.01)
    with open(number, encoding="ascii") as file:
        daemon = int(file.read())
    try:
        with Client(socket) as client:
            assert client.read(0, 1024) == noise("base", 512) + noise("child", 512)
            client.write(0, b"written")
    finally:
        ended = os.pidfd_open(daemon)
        os.kill(daemon, 15)
        wait_for(ended)
    assert vhdx_json("info", "--json", "--no-parent", child)["vhdx"]["log-state"] == "clean"


def wait_for(process):
    assert select.select([process], [], [], 60)[0], "no end"
    os.close(process)


@tap.case("a parent elsewhere is found by parent-dir or any-parent, and else refused", served)
def _(folder):
    far, near = apart(folder, "far"), apart(folder, "near")
    child, parent, image = samples.family(far, near, relative="..\\far\\base.vhdx")
    refuses(folder, child, says="base.vhdx")
    for word in (f"parent-dir={far}", "any-parent=true"):
        with Server(folder, child, word, readonly=True) as server, Client(server.socket) as client:
            assert client.read(0, image.size) == image.guest.read(0, image.size)
    other = apart(folder, "other")
    with Server(folder, child, f"parent-dir={other}", f"parent-dir={far}", readonly=True) as server, \
            Client(server.socket) as client:
        assert client.read(0, 512) == noise("base", 512)
    os.unlink(parent)
    refuses(folder, child, "any-parent=true", says="base.vhdx")


@tap.case("with no-parent a child is served alone", served)
def _(folder):
    child = samples.family(folder)[0]
    os.unlink(os.path.join(folder, "base.vhdx"))
    with Server(folder, child, "no-parent=true", readonly=True) as server, Client(server.socket) as client:
        assert client.read(0, 1024) == bytes(512) + noise("child", 512)


@tap.case("another parent than the one named is refused, but for ignore-id-mismatch", served)
def _(folder):
    child = samples.family(folder)[0]
    other = Image("base", 8 * MIB, 2 * MIB)
    other.full(0, {0: noise("other", 65536)})
    other.headers[0].data_guid = other.headers[1].data_guid = bytes(range(16))
    other.write(folder)
    refuses(folder, child, says="base.vhdx")
    with Server(folder, child, "ignore-id-mismatch=true", readonly=True) as server, \
            Client(server.socket) as client:
        assert client.read(0, 1024) == noise("other", 512) + noise("child", 512)
    server.says("warning: .*base.vhdx")


@tap.case("with no-holes nothing is punched out of the file", served)
def _(folder):
    sizes = {}
    for word in ("no-holes=false", "no-holes=true"):
        path = os.path.join(folder, "disk.vhdx")
        vhdx("create", "--force", "--no-holes", "--block-size", "1M", path, "16M")
        with Server(folder, path, word) as server, Client(server.socket) as client:
            client.write(0, noise("disk", 8 * MIB))
            client.trim(0, 7 * MIB)
            client.flush()
        sizes[word] = os.stat(path).st_blocks * 512
    assert sizes["no-holes=true"] >= 8 * MIB > sizes["no-holes=false"], sizes


# ---- Files

@tap.case("a dirty image is read with -r, and left as it is byte for byte", served)
def _(folder):
    where = apart(folder)
    path, image = samples.dirty(where)
    before = disks.snapshot(where)
    with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
        assert client.read(0, image.size) == image.guest.read(0, image.size)
    assert disks.snapshot(where) == before


@tap.case("a dirty image is replayed when a client may write, and not before", served)
def _(folder):
    where = apart(folder)
    path, image = samples.dirty(where)
    before = disks.snapshot(where)
    with Server(folder, path) as server:
        assert disks.snapshot(where) == before
        with Client(server.socket) as client:
            assert client.read(0, image.size) == image.guest.read(0, image.size)
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"


@tap.case("an image that must be repaired is read, and no client may write it", served)
def _(folder):
    where = apart(folder)
    disk = Image("disk", 8 * MIB)
    disk.full(0, {0: noise("zero", 8192)})
    for header in disk.headers:
        header.sequence = (1 << 64) - 1
    path = disk.write(where)
    before = disks.snapshot(where)
    with Server(folder, path) as server:
        try:
            Client(server.socket).close()
            raise AssertionError("a client is served")
        except NbdError:
            pass
        server.says(f"{path}: ")
    with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
        assert client.read(0, 8192) == noise("zero", 8192)
    assert disks.snapshot(where) == before


@tap.case("an image that another program writes is refused, but for force-share with -r", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    with locked(path, *WRITER):
        refuses(folder, path, says="disk.vhdx: .*open for writing")
        with Server(folder, path, "force-share=true", readonly=True) as server, \
                Client(server.socket) as client:
            assert client.read(0, 512) == noise("zero", 512)


@tap.case("an image that another program reads is served, but no client may write", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    with locked(path, *READER), Server(folder, path) as server:
        try:
            Client(server.socket).close()
            raise AssertionError("a client is served")
        except NbdError:
            pass
        server.says("disk.vhdx: ")


@tap.case("while it is served nobody writes the image, and when it ended they do", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    with Server(folder, path, readonly=True):
        vhdx("info", path)
        command.fails("serve", "-w", "--run", "true", path, says="disk.vhdx: ")
    with Server(folder, path) as server, Client(server.socket):
        command.fails("info", path, says="open for writing")
    vhdx("info", path)


def open_to_all():
    done = subprocess.run(["test", "-r", PLUGIN], user=65534, group=65534, extra_groups=[], check=False)
    return "the build is in a folder that is closed to others" if done.returncode else None


@tap.case("a file that may not be written is served read-only, with a warning", served, tap.root, open_to_all)
def _(folder):
    path = samples.dynamic(folder)[0]
    os.chmod(folder, 0o777)
    os.chmod(path, 0o644)
    with Server(folder, path, user=65534, group=65534, extra_groups=[]) as server, \
            Client(server.socket) as client:
        assert "read-only" in client.flags, client.flags
        assert client.read(0, 512) == noise("zero", 512)
        assert error_of(client.write, 0, bytes(512)) == 1
    assert server.says("served read-only").startswith("nbdkit: "), server.log()


LEAVE = """
import _ctypes, os, sys
handle = _ctypes.dlopen(sys.argv[1], os.RTLD_LAZY)
_ctypes.dlclose(handle)
with open("/proc/self/maps", encoding="utf-8") as maps:
    sys.exit(not any(os.path.realpath(sys.argv[1]) in line for line in maps))
"""


@tap.case("the plugin stays in memory when it is unloaded, for what hangs may come back to it", served)
def _(_):
    command.run([sys.executable, "-c", LEAVE, PLUGIN], env=environment())


tap.main()
