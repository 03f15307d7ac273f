#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A VHDX whose file is an NBD export: every verb that reads takes it as it takes the file."""
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import mounts
import tap
from command import VHDX, run, vhdx, vhdx_json
from disks import GIB, MIB, noise
from mounted import SIZE, filled
from nbdserver import Log, case, nbdkit, wait_until
from script import Script
from server import Server, has, plain, served


def dirty(folder, name="dirty"):
    """An image that was killed with changes in its log."""
    path = os.path.join(folder, name + ".vhdx")
    vhdx("create", path, str(SIZE))
    script = Script(disks.Model(SIZE))
    for block in range(6):
        script.write(block * 4 * MIB + 512, 4096)
    script.flush()
    script.run(path, kill=True)
    script.now.clear()
    return path, script.model


def same_answer(server, path, *words, status=0):
    """The command says of the export what it says of the file, but for its name and what space it takes."""
    there = run([VHDX, *words, server.uri()], status=status).out.replace(server.uri(), path)
    here = run([VHDX, *words, path], status=status).out
    lines = [line for line in here.splitlines() if "actual-size" not in line and "Space used" not in line]
    assert there.splitlines() == lines, (words, there, here)


# ---- Verbs that read ----

@case("info, check, map and dump say what they say of the file")
def _(folder):
    path, _ = filled(folder)
    with nbdkit(folder, "-r", "file", path) as server:
        for words in (["info"], ["info", "--json"], ["check"], ["check", "--json"], ["map"],
                      ["map", "--json"], *(["dump", what] for what in ("header", "region", "metadata", "log", "bat"))):
            same_answer(server, path, *words)


@case("convert, compare, salvage and diff read the disk")
def _(folder):
    path, model = filled(folder)
    out = os.path.join(folder, "out")
    with nbdkit(folder, "-r", "file", path) as server:
        vhdx("convert", server.uri(), out + ".raw")
        vhdx("convert", "-f", "vhdx", server.uri(), out + ".vhdx")
        vhdx("compare", server.uri(), out + ".vhdx")
        vhdx("compare", out + ".raw", server.uri())
        vhdx("salvage", server.uri(), out + ".saved")
        changed = disks.Model(SIZE, model)
        changed.write(5 * MIB, noise("changed", 70000))
        vhdx("diff", path, changed.save(out + ".changed"), out + ".avhdx")
        vhdx("diff", path, server.uri(), out + ".none.avhdx")
    assert disks.digest(out + ".raw") == disks.digest(out + ".saved") == model.digest()
    assert not [e for e in vhdx_json("map", "--json", "--no-parent", out + ".none.avhdx") if e["data"]]


@case("a picture is drawn of it")
def _(folder):
    path, _ = filled(folder)
    svg = os.path.join(folder, "map.svg")
    with nbdkit(folder, "-r", "file", path) as server:
        vhdx("map", "--svg", svg, server.uri())
    assert os.path.getsize(svg) > 1000


@case("the content decides whether an export is an image, and -f over it")
def _(folder):
    path, model = filled(folder)
    out, raw = os.path.join(folder, "out"), model.save(os.path.join(folder, "disk.raw"))
    with nbdkit(folder, "file", path, name="i") as image, nbdkit(folder, "file", raw, name="r") as plain:
        vhdx("convert", "-f", "raw", "-O", "raw", image.uri(), out)
        assert disks.sha256(out) == disks.sha256(path)
        vhdx("compare", image.uri(), plain.uri())
        command.fails("convert", "-f", "vhdx", plain.uri(), out + "2", says="not a VHDX image")
        command.fails("compare", "-f", "vhdx", plain.uri(), raw, status=2, says="not a VHDX image")
        assert run([VHDX, "compare", "-f", "raw", image.uri(), raw], status=1).out
        command.fails("info", plain.uri(), status={1, 2}, says="not a VHDX image")
    assert not os.path.exists(out + "2")


@case("a server that cannot tell holes, and one that reaches only sectors, serve as well", has("noextents"))
def _(folder):
    path, model = filled(folder)
    for kit, *words in (["--filter=noextents"], ["--filter=blocksize-policy", "blocksize-minimum=4096",
                                                 "blocksize-error-policy=error"]):
        out = os.path.join(folder, "out.raw")
        with nbdkit(folder, "-r", kit, "file", path, *words) as server:
            vhdx("check", server.uri())
            vhdx("convert", "--force", server.uri(), out)
        assert disks.digest(out) == model.digest()


@case("a damaged image is examined as a file is")
def _(folder):
    path, _ = filled(folder)
    with open(path, "r+b") as file:
        file.seek(64 << 10)
        file.write(bytes(4096))
        file.seek(192 << 10)
        file.write(bytes(64 << 10))
    with nbdkit(folder, "-r", "file", path) as server:
        status = run([VHDX, "check", path], status=None).status
        same_answer(server, path, "check", status=status)
        same_answer(server, path, "info", status=None)


# ---- Logs ----

@case("a dirty log is replayed in memory, and not a byte is written")
def _(folder):
    path, model = dirty(folder)
    before, out = disks.sha256(path), os.path.join(folder, "out.raw")
    with nbdkit(folder, "file", path) as server:
        vhdx("convert", server.uri(), out)
        assert vhdx_json("info", "--json", server.uri())["vhdx"]["log-state"] == "dirty"
        vhdx("replay", "--dry-run", server.uri())
    assert disks.digest(out) == model.digest() and disks.sha256(path) == before


# ---- Latency ----

@case("convert keeps many requests in flight, and opening takes few", has("delay", "log", "noextents"))
def _(folder):
    raw, path, out = (os.path.join(folder, name) for name in ("disk.raw", "disk.vhdx", "out.raw"))
    with open(raw, "wb") as file:
        for number in range(32):
            file.write(noise(f"full {number}", MIB))
        file.truncate(4 * GIB)
    vhdx("convert", "--no-sync", raw, path)
    log = os.path.join(folder, "log")
    with nbdkit(folder, "-r", "--filter=log", "--filter=delay", "--filter=noextents", "file", path,
                "delay-read=500ms", "logfile=" + log) as server:
        vhdx("info", server.uri())
        assert len(Log(log).of("Read")) <= 6, Log(log).of("Read")
        vhdx("convert", server.uri(), out)
        assert Log(log).most["Read"] >= 8, Log(log).most
    assert disks.digest(out) == disks.digest(raw)


# ---- Serving and mounting ----

@case("serve and the plugin show the disk, and stop in order", served, plain)
def _(folder):
    path, model = filled(folder)
    out = os.path.join(folder, "out.raw")
    with nbdkit(folder, "-r", "file", path) as server:
        vhdx("serve", "--run", f'"{VHDX}" convert "$uri" "{out}"', server.uri())
        assert disks.digest(out) == model.digest()
        with Server(folder, server.uri(), readonly=True, name="ours") as ours:
            vhdx("convert", "--force", ours.uri, out)
            assert ours.stop() == 0
    assert disks.digest(out) == model.digest()


@case("mount shows it, as the mounting user's alone", *mounts.FUSE)
def _(folder):
    path, model = filled(folder)
    with nbdkit(folder, "-r", "file", path) as server, mounts.Mount(folder, server.uri()) as mount:
        assert disks.digest(mount.path()) == model.digest()
        assert os.stat(mount.path()).st_mode & 0o777 == 0o400
        assert abs(os.stat(mount.path()).st_mtime - os.stat(path).st_mtime) < 86400


# ---- Refusals ----

@case("verbs that need a file say so in one line, and change nothing")
def _(folder):
    path, _ = filled(folder)
    before, out = disks.sha256(path), os.path.join(folder, "out")
    with nbdkit(folder, "file", path) as server:
        for words, says in ((["repair"], "--undo UNDOFILE"), (["commit"], "not merged"), (["compact"], "--output"),
                            (["rebase", "--parent", path], "no other parent")):
            command.fails(*words, server.uri(), says=says)
        command.fails("rebase", "--parent", server.uri(), path, says="cannot be the parent")
        command.fails("create", "--parent", server.uri(), out, says="cannot be the parent")
        command.fails("diff", server.uri(), path, out, says="cannot be the parent .expected a file")
        vhdx("compact", "-q", "--dry-run", server.uri())
        vhdx("compact", "-q", "--output", out, server.uri())
        vhdx("compare", server.uri(), out)
    assert disks.sha256(path) == before


@case("Ctrl-C ends a copy whose server does not answer any more, and nothing is left", has("delay", "log"))
def _(folder):
    path, _ = filled(folder)
    log, out = os.path.join(folder, "log"), os.path.join(folder, "out")
    with nbdkit(folder, "-r", "--filter=log", "--filter=delay", "file", path, "delay-read=2",
                "logfile=" + log) as server:
        process = command.start([VHDX, "convert", server.uri(), out], stderr=subprocess.PIPE)
        wait_until("no copy", lambda: process.poll() is not None or
                   any(request[2] >= 4 * MIB for request in Log(log).of("Read")))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        server.kill()
    assert process.returncode == -signal.SIGINT and b"interrupted" in err, (process.returncode, err)
    assert not os.path.exists(out)


tap.main()
