#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A VHDX on a web server, read through nbdkit's curl plugin without a copy of it: how much is asked for."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import nbdserver
import tap
import webserver
from command import vhdx, vhdx_json
from disks import GIB, MIB, noise

# What is asked for beyond the blocks that hold data.
SLACK = 4 * MIB


def curl():
    done = subprocess.run(["nbdkit", "curl", "--version"], capture_output=True, check=False)
    return "no curl plugin of nbdkit" if done.returncode else None


def case(name, *needs):
    return nbdserver.case(name, curl, *needs)


def make(folder, blocks, size=8 * GIB, **how):
    """An image with so many whole blocks of data, scattered over the disk, and the raw disk."""
    raw, image = os.path.join(folder, "disk.raw"), os.path.join(folder, "disk.vhdx")
    step = size // blocks // (2 * MIB) * 2 * MIB
    with open(raw, "wb") as file:
        file.truncate(size)
        for number in range(blocks):
            file.seek(number * step)
            file.write(noise(f"block {number}", 2 * MIB))
    vhdx("convert", "--no-sync", *how.get("options", []), raw, image)
    return raw, image


def nothing_is_asked_twice(web):
    """But for the signature, by which an image is known; and the plugin asks for a byte more than it needs."""
    assert web.bytes_twice() <= 512 + len(web.ranges), web.ranges


def share_is_fair(web, data):
    limit = data + data * 2 // 100 + SLACK
    assert data <= web.bytes() <= limit, (web.bytes(), data, limit)
    nothing_is_asked_twice(web)


def behind(folder, web, name, *words):
    return nbdserver.nbdkit(folder, "curl", web.url(name), *words)


@case("convert asks a web server for no more than the headers and the blocks that hold data")
def _(folder):
    raw, _ = make(folder, 40)
    out = os.path.join(folder, "out.raw")
    with webserver.serving(folder) as web, behind(folder, web, "disk.vhdx") as server:
        vhdx("convert", server.uri(), out)
        share_is_fair(web, 40 * 2 * MIB)
    assert disks.digest(out) == disks.digest(raw)


@case("the same over https", tap.tool("openssl"))
def _(folder):
    raw, _ = make(folder, 5)
    out, pem = os.path.join(folder, "out.raw"), webserver.certificate(folder)
    with webserver.serving(folder, pem) as web, behind(folder, web, "disk.vhdx", "sslverify=false") as server:
        vhdx("convert", server.uri(), out)
        share_is_fair(web, 5 * 2 * MIB)
    assert disks.digest(out) == disks.digest(raw)


@case("looking at an image asks for little of it")
def _(folder):
    _, image = make(folder, 20)
    for argv in (["info", "--json"], ["check"], ["map"], ["dump", "header"], ["dump", "bat"]):
        with webserver.serving(folder) as web, behind(folder, web, "disk.vhdx") as server:
            vhdx(*argv, server.uri())
            assert 0 < web.bytes() <= 3 * MIB, (argv, web.bytes())
            nothing_is_asked_twice(web)
            assert len(web.ranges) <= 12, (argv, web.ranges)
    assert os.path.getsize(image) > 40 * MIB


@case("the tables of a large disk are read in large parts")
def _(folder):
    image = os.path.join(folder, "large.vhdx")
    vhdx("create", "--block-size", "1M", image, "8T")
    table = 8 * MIB * 8  # an entry a block
    with webserver.serving(folder) as web, behind(folder, web, "large.vhdx") as server:
        vhdx("check", server.uri())
        assert table <= web.bytes() <= table + 2 * MIB, web.bytes()
        assert len(web.ranges) <= table // (256 << 10) + 20, len(web.ranges)


@case("a chain on a web server is read through, each image for what it holds")
def _(folder):
    size = 4 * GIB
    raw, base = make(folder, 10, size)
    new, child = os.path.join(folder, "new.raw"), os.path.join(folder, "child.avhdx")
    vhdx("convert", "--no-sync", raw, new)
    with open(new, "r+b") as file:
        for number in range(6):
            file.seek(number * 512 * MIB + 64 * MIB)
            file.write(noise(f"change {number}", 2 * MIB))
    vhdx("diff", "--no-sync", base, new, child)
    out = os.path.join(folder, "out.raw")
    with webserver.serving(folder) as web, \
            nbdserver.nbdkit(folder, "curl", web.url("child.avhdx"), name="c") as leaf, \
            nbdserver.nbdkit(folder, "curl", web.url("disk.vhdx"), name="p") as parent:
        shown = vhdx_json("info", "--json", "--chain", "--parent-uri", parent.uri(), leaf.uri())
        assert [image["filename"] for image in shown] == [leaf.uri(), parent.uri()], shown
        web.ranges.clear()
        vhdx("convert", "--parent-uri", parent.uri(), leaf.uri(), out)
        share_is_fair(web, 16 * 2 * MIB)
    assert disks.digest(out) == disks.digest(new)


@case("an image that is not there, and a page that is none, end with one line")
def _(folder):
    with open(os.path.join(folder, "page.html"), "wb") as file:
        file.write(b"<html>" * 4096)
    with webserver.serving(folder) as web:
        with behind(folder, web, "missing.vhdx") as server:
            command.fails("info", server.uri(), says="cannot be connected to: ")
        with behind(folder, web, "page.html") as server:
            command.fails("info", server.uri(), says="not a VHDX image")


tap.main()
