#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One share, mounted twice as two hosts have it: who may open what, and what the other one then finds.

NFS and SMB are those of a kernel that runs as a process, with its servers; there this script runs again, with
--inside. CephFS is this machine's, by two clients in FUSE."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import signal
import subprocess
import tempfile
import time

import cephfs
import command
import disks
import samples
import shares
import tap
import umlkernel
from command import VHDX, vhdx
from disks import KIB, MIB, noise
from script import VHDXIO, stamps, vhdxio


class Holder:
    """A process that has an image open, for writing unless words say otherwise."""

    def __init__(self, path, *words):
        self.process = subprocess.Popen([VHDXIO, "--count", *words, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.does("counts")

    def does(self, *lines):
        """Returns when all of the lines are done."""
        self.process.stdin.write("".join(f"{line}\n" for line in (*lines, "counts")).encode())
        self.process.stdin.flush()
        for _ in range(1 + lines.count("counts")):
            assert self.process.stdout.readline().startswith(b"reads "), self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.communicate(b"close\n")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def pair(a, b, name):
    return os.path.join(a, name), os.path.join(b, name)


def made(a, b, name="disk.vhdx", size="64M"):
    here, there = pair(a, b, name)
    vhdx("create", "-q", here, size)
    return here, there


def cannot_write(path):
    err = vhdxio(path, lines=["close"], status=1).err
    assert re.search("in use by another process", err), err


def may_write(path, offset=MIB, seed=9, length="4K"):
    """Soon: a host may give locks back a moment after it closed a file."""
    lines = [f"write {offset} {length} seed:{seed}", "flush", "close"]
    for _ in range(50):
        if "in use" not in vhdxio(path, lines=lines, status={0, 1}).err:
            break
        time.sleep(0.1)
    vhdxio(path, lines=lines)


def read_back(path, offset, length):
    raw = os.path.join(tempfile.gettempdir(), f"back.{os.getpid()}")
    vhdx("convert", "-q", "--no-sync", "--force", path, raw)
    try:
        with open(raw, "rb") as file:
            file.seek(offset)
            return file.read(length)
    finally:
        os.unlink(raw)


def size_of(path):
    """Opened first: only then must a host ask the server anew."""
    with open(path, "rb") as file:
        return os.fstat(file.fileno()).st_size


# ---- what holds wherever the file system's locks are the server's

def writer_alone(a, b):
    here, there = made(a, b)
    with Holder(here) as holder:
        holder.does("write 1M 4K 3", "flush")
        cannot_write(there)
        command.fails("info", there, says="open for writing")
        command.fails("compact", there, says="in use|open for writing")
        command.fails("convert", there, os.path.join(b, "x.raw"), says="open for writing")
        vhdx("info", "--force-share", there, loud=True)
    may_write(there)
    may_write(here)


def readers_together(a, b):
    here, there = made(a, b)
    with Holder(here, "-r"), Holder(there, "-r"):
        cannot_write(here)
        cannot_write(there)
    may_write(there)


def parent_in_use(a, b):
    parent, same_parent = made(a, b, "parent.vhdx")
    child, same_child = pair(a, b, "child.vhdx")
    vhdx("create", "-q", "--parent", parent, child)
    with Holder(child):
        cannot_write(same_parent)
        vhdx("info", same_parent)
        cannot_write(same_child)


def killed_holder(a, b):
    here, there = made(a, b)
    holder = Holder(here)
    holder.does("write 1M 64K seed:3", "flush")
    holder.kill()
    may_write(there, 8 * MIB)
    assert command.check(here)[0] == 0
    assert read_back(there, MIB, 64 * KIB) == stamps(3, MIB, 64 * KIB)
    assert read_back(here, 8 * MIB, 4 * KIB) == stamps(9, 8 * MIB, 4 * KIB)


def seen_by_both(a, b):
    here, there = made(a, b)
    for round_, (one, other) in enumerate(((here, there), (there, here)) * 3):
        offset = (1 + round_) * MIB
        may_write(one, offset, round_ + 1, "300K")
        assert read_back(other, offset, 300 * KIB) == stamps(round_ + 1, offset, 300 * KIB), round_


def blocks_of(path):
    return os.stat(path).st_blocks * 512


def holes_kept(a, b, held=blocks_of):
    here, there = made(a, b, size="512M")
    vhdxio(here, lines=["write 300M 64K 5", "close"])
    raw, same = pair(a, b, "out.raw")
    vhdx("convert", here, raw)
    vhdx("compare", there, same)
    assert os.stat(same).st_size == 512 * MIB
    assert held(same) <= 8 * MIB, held(same)


def new_files_whole(a, b):
    source, _ = samples.dynamic(tempfile.gettempdir(), f"source{os.getpid()}")
    here, there = pair(a, b, "new.vhdx")
    vhdx("convert", source, here)
    command.fails("convert", source, there, says="exist")
    vhdx("convert", "--force", source, there)
    vhdx("compare", here, source)
    assert not [name for name in os.listdir(a) if name != "new.vhdx"], os.listdir(a)
    os.unlink(source)


def compacted(a, b):
    here, there = made(a, b)
    vhdxio(here, lines=["write 0 8M seed:5", "write 40M 2M seed:6", "trim 0 8M", "close"])
    before = size_of(there)
    vhdx("compact", "-q", there)
    assert size_of(here) < before, (size_of(here), before)
    assert command.check(here)[0] == 0
    assert read_back(here, 40 * MIB, MIB) == stamps(6, 40 * MIB, MIB)


def skipped_there(a, b):
    here, there = made(a, b)
    may_write(here)
    raw, same = pair(a, b, "out.raw")
    vhdx("convert", "--skip-done", here, raw)
    before = disks.snapshot(b)
    assert "complete copy" in vhdx("convert", "--skip-done", there, same).out
    assert not disks.changes(before, disks.snapshot(b))


def many_writes(a, b):
    here, there = made(a, b, size="256M")
    with Holder(here) as holder:
        for number in range(1, 9):
            holder.does(f"write {number * 20}M 3M seed:{number}", "flush", f"trim {number * 20}M 1M")
    assert command.check(there)[0] == 0
    for number in range(1, 9):
        start = (number * 20 + 1) * MIB
        assert read_back(there, start, MIB) == stamps(number, start, MIB), number


def cloned(a, b):
    with open("/proc/mounts", encoding="utf-8") as file:
        if "/mnt/export xfs " not in file.read():
            raise tap.Skip("the server has no file system that clones")
    here, there = pair(a, b, "first.vhdx")
    with tempfile.NamedTemporaryFile() as raw:
        raw.write(noise("cloned", 32 * MIB))
        raw.flush()
        vhdx("convert", "-q", raw.name, here)
    free = [free_of(a)]
    vhdx("convert", "-q", here, os.path.join(a, "second.vhdx"))
    free.append(free_of(a))
    assert free[0] - free[1] < 4 * MIB, free
    vhdx("compare", there, os.path.join(b, "second.vhdx"))


def free_of(folder):
    os.sync()
    room = os.statvfs(folder)
    return room.f_bfree * room.f_frsize


SHARED = {
    "a writer on one host keeps the other's writers and readers out": writer_alone,
    "readers on both hosts keep writers out": readers_together,
    "a child that is open keeps the other host from writing to its parent": parent_in_use,
    "a holder that is killed frees the image, and what it flushed is there": killed_holder,
    "what one host wrote and closed, the other one reads": seen_by_both,
    "a copy's holes take no space on the server": holes_kept,
    "a new file appears whole, and another host's is not overwritten": new_files_whole,
    "an image is made smaller, and the other host sees that": compacted,
    "an image is written, flushed and trimmed, and sound": many_writes,
    "a copy that one host recorded, the other one skips": skipped_there,
}


# ---- where locks stay on the host

def nobody_knows(a, b):
    here, there = made(a, b)
    with Holder(here) as holder:
        holder.does("write 1M 4K 3", "flush")
        cannot_write(here)
        vhdxio(there, lines=["close"], loud=True)


LOCAL = {
    "a writer on one host is not known to the other": nobody_knows,
    "a holder that is killed frees the image, and what it flushed is there": killed_holder,
}

CLONING = {"a copy of an image shares its blocks, where the server's file system can": cloned}
CASES = {"shared": {**SHARED, **CLONING}, "local": LOCAL}


# ---- running them

def inside(kind, a, b):
    """In the other kernel: all cases of that kind on the two mounts."""
    for number, (name, judge) in enumerate(CASES[kind].items()):
        def on_folders(_, judge=judge, folder=f"case{number}"):
            os.mkdir(os.path.join(a, folder))
            judge(os.path.join(a, folder), os.path.join(b, folder))
        tap.add(name, on_folders)
    sys.argv[1:] = []
    tap.main()


_answers = {}


def answers_of(folder, share):
    """The lines of TAP that the other kernel gave, by the names of cases; asked for once."""
    if share.name not in _answers:
        log = umlkernel.run(folder, share.script(
            f"{sys.executable} -B {os.path.realpath(__file__)} --inside {share.locks} /mnt/a /mnt/b"))
        found, said = {}, []
        for line in log.splitlines():
            match = re.match(r"(not )?ok \d+ (.*)", line)
            if match:
                found[match[2].split(" # SKIP")[0]] = (not match[1], said)
            said = [] if match else [*said, line]
        _answers[share.name] = found, log
    return _answers[share.name]


def relay(folder, share, name):
    found, log = answers_of(folder, share)
    if share.unready in log:
        raise tap.Skip(f"{share.name} cannot be mounted here")
    assert name in found, "\n".join(log.splitlines()[-40:])
    passed, said = found[name]
    assert passed, "\n".join(line for line in said if line.startswith("#"))


def main():
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:])
        return
    for share in shares.SHARES:
        for name in CASES[share.locks]:
            tap.add(f"{share.name}: {name}", lambda folder, share=share, name=name: relay(folder, share, name),
                    tap.whole, umlkernel.needs, share.needs)
    for name, judge in SHARED.items():
        if judge is holes_kept:
            judge = lambda a, b: holes_kept(a, b, cephfs.held)
        tap.add(f"CephFS: {name}", lambda _, judge=judge: cephfs.on_two_mounts(judge), tap.whole,
                cephfs.needs)
    try:
        tap.main()
    finally:
        cephfs.end()


main()
