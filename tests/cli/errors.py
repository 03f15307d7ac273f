#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every error is one line, 'vhdx VERB: FILE: ...', and leaves nothing behind."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import socket

import command
import samples
import tap
from disks import MIB, noise

MAPPING = (["map"], ["map", "--json"])
DESCRIBING = (["info"], ["info", "--json"], ["info", "--chain"], ["check"], ["check", "--json"],
              ["dump", "header"], ["dump", "region"], ["dump", "metadata"], ["dump", "log"],
              ["dump", "bat"])
READING = MAPPING + DESCRIBING


def describe(words, path, says, **how):
    """A file that can be read may be described as far as it goes, whatever it is."""
    result = command.run([command.VHDX, *words, path], status={0, 1, 2}, **how)
    assert result.status or words[0] == "dump", result
    if not (result.status == 2 and words[0] == "check" and not result.err):
        assert result.err.count("\n") == (result.status > 0), result
        assert not result.err or says is None or re.search(says, result.err), result


def all_fail(folder, path, says=None, raw=False, **how):
    """Every verb refuses @path. raw: it is a fine raw disk, so that -f vhdx must be given."""
    out = os.path.join(folder, "out.raw")
    before = sorted(os.listdir(folder))
    for words in MAPPING:
        command.fails(*words, path, status={1, 2}, says=says, **how)
    for words in DESCRIBING:
        if os.path.isfile(path):
            describe(words, path, says, **how)
        else:
            command.fails(*words, path, status={1, 2}, says=says, **how)
    vhdx = ["-f", "vhdx"] if raw else []
    command.fails("convert", *vhdx, path, out, status={1, 2}, says=says, **how)
    command.fails("create", "--parent", path, os.path.join(folder, "new.vhdx"), status={1, 2},
                  **how)
    other = samples.dynamic(folder, "other")[0]
    for pair in ((path, other), (other, path)):
        command.fails("compare", *(["-f", "vhdx", "-F", "vhdx"] if raw else []), *pair, status=2, **how)
    os.unlink(other)
    assert sorted(os.listdir(folder)) == before, "something was left behind"


@tap.case("a missing file")
def _(folder):
    all_fail(folder, os.path.join(folder, "missing.vhdx"), "missing.vhdx: .*[Nn]o such file")


@tap.case("a file in a missing folder")
def _(folder):
    all_fail(folder, os.path.join(folder, "no", "disk.vhdx"), "[Nn]o such file")


@tap.case("a name that goes through a file")
def _(folder):
    path = samples.write(folder, "file", b"x")
    all_fail(folder, os.path.join(path, "disk.vhdx"), "[Nn]ot a directory")


@tap.case("a name that is too long")
def _(folder):
    all_fail(folder, os.path.join(folder, "x" * 300 + ".vhdx"), "too long")


@tap.case("a name that is empty")
def _(folder):
    for words in READING:
        command.fails(*words, "", status={1, 2})
    command.fails("convert", "", os.path.join(folder, "x.raw"))
    command.fails("create", "", "4M")


@tap.case("a directory")
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    os.mkdir(path)
    all_fail(folder, path, "directory")


@tap.case("an empty file")
def _(folder):
    all_fail(folder, samples.write(folder, "disk.vhdx", b""))


@tap.case("a file cut in its header section")
def _(folder):
    path = samples.dynamic(folder)[0]
    os.truncate(path, 100000)
    all_fail(folder, path)


@tap.case("a file cut to its signature")
def _(folder):
    path = samples.dynamic(folder)[0]
    os.truncate(path, 8)
    all_fail(folder, path)


@tap.case("a file cut before its tables")
def _(folder):
    path = samples.dynamic(folder)[0]
    os.truncate(path, MIB)
    all_fail(folder, path)


@tap.case("a text file named .vhdx")
def _(folder):
    all_fail(folder, samples.write(folder, "disk.vhdx", b"This is no disk at all.\n" * 100),
             "not a VHDX")


@tap.case("noise named .vhdx")
def _(folder):
    all_fail(folder, samples.write(folder, "disk.vhdx", noise("noise", 3 * MIB)), "not a VHDX")


@tap.case("an image of another format")
def _(folder):
    all_fail(folder, samples.write(folder, "disk.qcow2", b"QFI\xfb\0\0\0\3" + bytes(2 * MIB)),
             "not a VHDX", raw=True)


@tap.case("dump of what is no image exits with 1 and prints nothing")
def _(folder):
    for name, data in (("empty", b""), ("text", b"This is no disk at all.\n" * 9),
                       ("noise", noise("noise", 3 * MIB))):
        path = samples.write(folder, name, data)
        for structure in ("header", "region", "metadata", "log", "bat"):
            command.fails("dump", structure, path, says=f"{name}: .*not a VHDX")
            command.fails("dump", "--json", structure, path, says=f"{name}: .*not a VHDX")


@tap.case("a raw disk where a VHDX is wanted")
def _(folder):
    all_fail(folder, samples.write(folder, "disk.raw", noise("raw", 2 * MIB)), raw=True)


@tap.case("a FIFO that nobody writes to")
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    os.mkfifo(path)
    all_fail(folder, path, raw=True, timeout=20)


@tap.case("a socket")
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        all_fail(folder, path, raw=True, timeout=20)


@tap.case("a character device")
def _(folder):
    all_fail(folder, "/dev/zero", raw=True, timeout=20)


@tap.case("a link that leads nowhere, and one that leads to itself")
def _(folder):
    for name, target in (("a.vhdx", "nowhere"), ("b.vhdx", "b.vhdx")):
        os.symlink(target, os.path.join(folder, name))
        all_fail(folder, os.path.join(folder, name))


def as_nobody():
    """How to start a command as a user who owns nothing."""
    if os.geteuid():
        return {}
    how = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        command.run([command.VHDX, "--version"], **how)
    except PermissionError:
        raise tap.Skip("another user may not run the command here") from None
    return how


@tap.case("a file without permission to read it")
def _(folder):
    how = as_nobody()
    path = samples.dynamic(folder)[0]
    os.chmod(path, 0)
    for words in READING:
        command.fails(*words, path, says="[Pp]ermission denied", **how)
    command.fails("convert", path, "/dev/null", says="[Pp]ermission denied", **how)
    os.chmod(path, 0o600)


@tap.case("a folder without permission to write to it")
def _(folder):
    how = as_nobody()
    path = samples.dynamic(folder)[0]
    os.chmod(path, 0o644)
    os.chmod(folder, 0o555)
    out = os.path.join(folder, "out.vhdx")
    try:
        command.fails("create", out, "4M", says="out.vhdx: .*[Pp]ermission denied", **how)
        command.fails("convert", path, out, says="out.vhdx: .*[Pp]ermission denied", **how)
    finally:
        os.chmod(folder, 0o755)
    assert os.listdir(folder) == ["disk.vhdx"]


@tap.case("a destination in a missing folder")
def _(folder):
    path, out = samples.dynamic(folder)[0], os.path.join(folder, "no", "out")
    command.fails("create", out + ".vhdx", "4M", says="no/out.vhdx: .*[Nn]o such file")
    command.fails("convert", path, out + ".vhdx", says="no/out.vhdx: .*[Nn]o such file")
    command.fails("convert", path, out + ".raw", says="no/out.raw: .*[Nn]o such file")
    assert os.listdir(folder) == ["disk.vhdx"]


@tap.case("a destination that is a directory")
def _(folder):
    path, out = samples.dynamic(folder)[0], os.path.join(folder, "out.vhdx")
    os.mkdir(out)
    for force in ([], ["--force"]):
        command.fails("create", *force, out, "4M")
        command.fails("convert", *force, path, out, says="out.vhdx: .*directory")
    assert os.listdir(out) == []


@tap.case("standard input that is a directory")
def _(folder):
    fd = os.open(folder, os.O_RDONLY)
    command.fails("convert", "-", os.path.join(folder, "x.vhdx"), stdin=fd)
    os.close(fd)
    assert os.listdir(folder) == []


@tap.case("a source that ends with an error of the disk")
def _(folder):
    path, disk = samples.dynamic(folder)
    disk.bat[1] = disk.end + 100 * MIB | 6
    disk.write(folder)
    out = os.path.join(folder, "out.raw")
    command.fails("convert", path, out, status=2, says="disk.vhdx|out.raw")
    assert os.listdir(folder) == ["disk.vhdx"]
    # What is whole can still be told apart.
    assert command.check(path)[0] == 2


@tap.case("a name that is empty is shown as such")
def _(folder):
    os.chdir(folder)
    for words in ["info", ""], ["check", ""], ["replay", ""], ["convert", "", "x.raw"], ["serve", ""]:
        if words[0] != "serve" or os.environ.get("VHDX_NBDKIT_PLUGIN"):
            command.fails(*words, says=f"^vhdx {words[0]}: '': cannot be opened", status={1, 2})
    command.fails("create", "--parent", "", "x.avhdx", says="--parent '' is not the name of a file")
    assert not os.listdir(folder)


@tap.case("who names an image on a web server is told of nbdkit")
def _(folder):
    os.chdir(folder)
    says = "No such file or directory; nbdkit reads from servers: nbdkit curl URL --run 'vhdx info \"\\$uri\"'$"
    for verb in (["info"], ["check"], ["map"], ["convert"], ["serve"], ["mount"]):
        if verb == ["serve"] and not os.environ.get("VHDX_NBDKIT_PLUGIN") or verb == ["mount"] and not os.environ.get("VHDX_MOUNT"):
            continue
        for url in "http://host/x.vhdx", "HTTPS://host/x":
            command.fails(*verb, url, *{"convert": ["x.raw"], "mount": ["."]}.get(verb[0], []), says=re.escape(url) + ": cannot be opened: " + says)
    assert "nbdkit" not in command.fails("info", "httpd/x.vhdx")


@tap.case("sizes that are refused are told as people read them, and to the byte")
def _(folder):
    os.chdir(folder)
    command.vhdx("create", "-q", "disk.vhdx", "8M")
    for words, says in ((["create", "a.vhdx", "65T"], "a disk of 65 TiB (71468255805440 bytes) (expected 1 sector to 64 TiB"),
                        (["create", "--block-size", "3M", "a.vhdx", "1G"], "a block size of 3 MiB (3145728 bytes) (expected a power"),
                        (["create", "--log-size", "1500K", "a.vhdx", "1G"], "a log of 1.46 MiB (1536000 bytes) (expected"),
                        (["create", "--parent", "disk.vhdx", "a.vhdx", "9M"],
                         "a child of 9 MiB (9437184 bytes) (expected its parent's 8 MiB (8388608 bytes), which"),
                        (["resize", "disk.vhdx", "65T"], "a disk of 65 TiB (71468255805440 bytes) (expected"),
                        (["resize", "disk.vhdx", "-9M"], "cannot lose 9 MiB (9437184 bytes): the disk has 8 MiB (8388608 bytes)"),
                        (["salvage", "--size", "65T", "disk.vhdx", "a.raw"], "a disk of 65 TiB (71468255805440 bytes) (expected"),
                        (["salvage", "--block-size", "3M", "disk.vhdx", "a.raw"], "a block size of 3 MiB (3145728 bytes) (expected")):
        command.fails(*words, says=re.escape(says))
    assert os.listdir(folder) == ["disk.vhdx"]


tap.main()
