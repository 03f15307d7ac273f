#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images that are written over NBD: made, changed, grown to the end of the export; servers that are killed, full,
read-only, or cannot flush."""
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import judges
import mounts
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB, noise
from mounted import SIZE, create, filled, holds
from nbdclient import Client, Gone, NbdError, error_of
from nbdserver import Log, case, nbdkit, wait_until
from script import Script
from server import Server, has, served

# No faults: what an image on an export has behind its last block, and one whose server was killed in its log.
ALLOWED = {"FILE_TRAILING_SPACE", "SPACE_UNUSED", "SPACE_LEAKED", "LOG_DIRTY"}
PIECE = 64 << 10


def sound(path):
    status, found = command.check(path)
    assert status in (0, 3) and set(found) <= ALLOWED, (status, found)


def end_of(path):
    """Where the last block of an image on an export ends."""
    found = command.check(path)[1].get("FILE_TRAILING_SPACE")
    return found[0]["offset"] if found else os.path.getsize(path)


def export(folder, size, name="export", full=True):
    """A file to serve, full of something else."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for number in range(size // MIB if full else 0):
            file.write(noise(f"{name} {number}", MIB))
        file.truncate(size)
    return path


def room(folder, path, size=64 * MIB):
    """The image in a larger export."""
    there = export(folder, size, full=False)
    with open(path, "rb") as source, open(there, "r+b") as file:
        file.write(source.read())
    return there


# ---- Made there ----

@case("convert -O vhdx makes an image of an export, whatever it held, and of its bytes when they are cut")
def _(folder):
    model = disks.scattered("made", SIZE)
    raw = model.save(os.path.join(folder, "a.raw"))
    for words in (["--block-size", "1M"], ["--type", "fixed"]):
        there = export(folder, 64 * MIB)
        before = open(there, "rb").read()
        with nbdkit(folder, "file", there) as server:
            vhdx("convert", "-O", "vhdx", *words, raw, server.uri())
            vhdx("compare", raw, server.uri())
        sound(there)
        holds(there, model, folder)
        end = end_of(there)
        with open(there, "rb") as file:
            file.seek(end)
            assert file.read() == before[end:], "what lies behind the image was changed"
        os.truncate(there, end)
        assert command.check(there)[0] == 0
        if not judges.lint_there():
            judges.lint(there)
        holds(there, model, folder)


@case("an export becomes an image only by -O, and one that is too small is refused")
def _(folder):
    model = disks.scattered("small", SIZE)
    raw = model.save(os.path.join(folder, "a.raw"))
    there = export(folder, 8 * MIB)
    with nbdkit(folder, "file", there) as server:
        command.fails("convert", "-O", "vhdx", "--type", "fixed", raw, server.uri(),
                      says=r"holds 8 MiB \(8388608 bytes\), and the image needs")
        command.fails("info", server.uri(), status={1, 2})
    with nbdkit(folder, "memory", SIZE) as server:
        vhdx("convert", raw, server.uri("x.vhdx"))
        vhdx("compare", "-F", "raw", raw, server.uri())


@case("a server that is killed while an image is made leaves none, the old one neither", has("log", "delay"))
def _(folder):
    path, _ = filled(folder)
    there, log = room(folder, path), os.path.join(folder, "log")
    with nbdkit(folder, "--filter=log", "--filter=delay", "file", there, "delay-write=300ms",
                "logfile=" + log) as server:
        process = command.start([VHDX, "convert", "-O", "vhdx", path, server.uri()], stderr=subprocess.PIPE)
        wait_until("few Writes", lambda: len(Log(log).of("Write")) > 3 or process.poll() is not None)
        server.kill()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and err.count(b"\n") == 1 and b"Connection reset" in err, (process.returncode, err)
    command.fails("map", there, status={1, 2}, says="not a VHDX image|identifier")


# ---- Changed there ----

def drive(client, chance, size, rounds):
    """Writes stamped sectors; returns by sector the stamp that was flushed, and those that came later."""
    flushed, later = {}, {}
    for number in range(1, rounds + 1):
        at = chance.randrange(size // PIECE) * PIECE
        client.write(at, stamp(number, at, PIECE))
        for sector in range(at // 512, (at + PIECE) // 512):
            later.setdefault(sector, set()).add(number)
        if not number % 7:
            client.flush()
            for sector, numbers in later.items():
                flushed[sector] = max(numbers)
            later.clear()
    return flushed, later


def stamp(number, at, length):
    return b"".join((number.to_bytes(8, "little") + (at + i).to_bytes(8, "little")) * 32
                    for i in range(0, length, 512))


def judge(path, folder, flushed, later):
    """Each sector has what was flushed or something newer."""
    sound(path)
    raw = os.path.join(folder, "after.raw")
    vhdx("convert", "--no-sync", "--force", path, raw)
    with open(raw, "rb") as file:
        for sector in {*flushed, *later}:
            file.seek(sector * 512)
            data = file.read(512)
            number = int.from_bytes(data[:8], "little")
            assert number == flushed.get(sector, 0) or number in later.get(sector, ()), (sector, number)
            assert data == (stamp(number, sector * 512, 512) if number else bytes(512)), sector


@case("what is written through serve -w is there, and the image is closed cleanly", served, has("log"))
def _(folder):
    there, log = room(folder, create(folder)), os.path.join(folder, "log")
    with nbdkit(folder, "--filter=log", "file", there, "logfile=" + log) as server:
        with Server(folder, server.uri(), name="ours") as ours:
            with Client(ours.socket) as client:
                flushed, later = drive(client, random.Random(1), SIZE, 60)
                assert len(Log(log).of("Flush")) >= 60 // 7, "a client's flush did not reach the server"
                # A client that stays does not keep the disk open.
                assert ours.stop() == 0
        assert vhdx_json("info", "--json", server.uri())["vhdx"]["log-state"] == "clean"
    judge(there, folder, {**flushed, **{sector: max(numbers) for sector, numbers in later.items()}}, {})


@case("what is written through mount -w is there", served, *mounts.FUSE)
def _(folder):
    path, model = filled(folder)
    there = room(folder, path)
    with nbdkit(folder, "file", there) as server:
        with mounts.Mount(folder, "-w", server.uri()) as mount, open(mount.path(), "r+b") as file:
            for at in (0, 3 * MIB + 512, SIZE - 4096):
                data = noise(f"mounted {at}", 4096)
                model.write(at, data)
                file.seek(at)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sound(there)
    holds(there, model, folder)


@case("a server that is killed among writes leaves a sound image with all that was flushed", served)
def _(folder):
    for seed in tap.sampled(range(6), 2):
        chance = random.Random(seed)
        there = room(folder, create(folder, "--block-size", "1M", name=f"{seed}.vhdx"))
        with nbdkit(folder, "file", there) as server:
            ours = Server(folder, server.uri(), name="ours")
            with Client(ours.socket) as client:
                flushed, later = drive(client, chance, SIZE, chance.randrange(5, 60))
                # Some on their way.
                for _ in range(8):
                    at = chance.randrange(SIZE // PIECE) * PIECE
                    client.send(1, at, data=stamp(1000, at, PIECE))
                    for sector in range(at // 512, (at + PIECE) // 512):
                        later.setdefault(sector, set()).add(1000)
                server.kill()
                try:
                    while client.sent:
                        client.receive()
                    assert error_of(client.write, 0, bytes(4096)), "a write succeeds without a server"
                    assert error_of(client.flush), "a flush succeeds without a server"
                except (Gone, NbdError):
                    pass
            ours.stop()
            assert "Connection reset" in ours.log(), ours.log()
        judge(there, folder, flushed, later)
        vhdx("replay", "-q", there)
        judge(there, folder, flushed, later)


@case("an export that is full ends a write with no space, and what was flushed stays", served)
def _(folder):
    path = create(folder, "--block-size", "1M")
    there = room(folder, path, 12 * MIB)
    with nbdkit(folder, "file", there) as server:
        with Server(folder, server.uri(), name="ours") as ours, Client(ours.socket) as client:
            written, errors = {}, set()
            for block in range(SIZE // MIB):
                error = error_of(client.write, block * MIB, stamp(block + 1, block * MIB, PIECE))
                errors.add(error)
                for sector in range(0 if error else PIECE // 512):
                    written[block * MIB // 512 + sector] = block + 1
            client.flush()
            assert errors == {0, 28}, errors
    assert written
    judge(there, folder, written, {})


@case("replay and resize do their work there")
def _(folder):
    path = create(folder)
    script = Script(disks.Model(SIZE))
    script.write(5 * MIB, 3 * MIB)
    script.flush()
    script.run(path, kill=True)
    there = room(folder, path)
    with nbdkit(folder, "file", there) as server:
        assert "Replayed" in vhdx("replay", server.uri()).out
        assert vhdx_json("info", "--json", server.uri())["vhdx"]["log-state"] == "clean"
        vhdx("resize", "-q", server.uri(), str(SIZE * 2))
        assert vhdx_json("info", "--json", server.uri())["virtual-size"] == SIZE * 2
        vhdx("resize", "-q", "--shrink", server.uri(), str(SIZE))
    sound(there)
    script.settle(raw_of(there, folder))


@case("repair mends there, keeps the undo file here, and puts back")
def _(folder):
    path, model = filled(folder)
    there, undo = room(folder, path), os.path.join(folder, "undo")
    with open(there, "r+b") as file:
        file.seek(192 << 10)
        file.write(bytes(4096))
    before = disks.sha256(there)
    with nbdkit(folder, "-r", "file", there) as server:
        assert "Would mend" in vhdx("repair", "--dry-run", server.uri()).out
    with nbdkit(folder, "file", there) as server:
        assert command.check(there)[0] == 2
        vhdx("repair", "-q", "--dry-run", "--undo", undo, server.uri())
        assert disks.sha256(there) == before and not os.path.exists(undo)
        vhdx("repair", "-q", "--undo", undo, server.uri())
        sound(there)
        holds(there, model, folder)
        vhdx("repair", "-q", "--undo-from", undo, server.uri())
        assert disks.sha256(there) == before
        command.fails("repair", server.uri(), says="--undo UNDOFILE")


def raw_of(path, folder):
    raw = os.path.join(folder, "raw")
    vhdx("convert", "--no-sync", "--force", path, raw)
    return raw


# ---- Servers that do not do for it ----

def scripted(folder, path, *words):
    """A server made of shell commands over a file."""
    return nbdkit(folder, "eval", f"get_size=stat -Lc %s {path}", "can_write=exit 0",
                  f"pread=dd skip=$4 count=$3 if={path} iflag=skip_bytes,count_bytes bs=64K status=none",
                  f"pwrite=dd seek=$4 of={path} oflag=seek_bytes conv=notrunc bs=64K status=none", *words)


@case("a server that cannot flush is refused for writing, and reads")
def _(folder):
    path, model = filled(folder)
    before = disks.sha256(path)
    with scripted(folder, path, "can_flush=exit 3", "can_fua=echo none") as server:
        for words in (["resize", server.uri(), "+1M"], ["replay", server.uri()],
                      ["serve", "-w", "--run", "true", server.uri()],
                      ["convert", "-O", "vhdx", path, server.uri()]):
            command.fails(*words, says="its server cannot flush")
        vhdx("check", server.uri())
    assert disks.sha256(path) == before and model


@case("one that can make each write durable is written, and told so", has("log"))
def _(folder):
    raw = disks.scattered("fua", 4 * MIB, pieces=3).save(os.path.join(folder, "a.raw"))
    there, log = export(folder, 16 * MIB), os.path.join(folder, "log")
    with scripted(folder, there, "can_flush=exit 3", "can_fua=echo native", "--filter=log",
                  "logfile=" + log) as server:
        vhdx("convert", "-O", "vhdx", "--block-size", "1M", raw, server.uri())
    with open(log, encoding="utf-8") as file:
        writes = [line for line in file if " Write id" in line]
    assert writes and all("fua=1" in line for line in writes), writes[:3]
    assert not Log(log).of("Flush")
    vhdx("compare", raw, there)


@case("an export that is read-only is refused for writing; the plugin serves it read-only", served)
def _(folder):
    path, model = filled(folder)
    with nbdkit(folder, "-r", "file", path) as server:
        command.fails("resize", server.uri(), "+1M", says="read-only")
        command.fails("convert", "-O", "vhdx", path, server.uri(), says="read-only")
        with Server(folder, server.uri(), name="ours") as ours:
            with Client(ours.socket) as client:
                assert "read-only" in client.flags and client.read(0, 4096) == model.read(0, 4096)
            ours.says("is served read-only")
            assert ours.stop() == 0


tap.main()
