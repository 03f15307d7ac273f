#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A destination appears whole or not at all, and replaces nothing that it was not told to."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import resource
import signal
import subprocess
import threading
import time

import command
import disks
import samples
import smallfs
import tap
from command import VHDX, vhdx
from disks import MIB, noise

OUTPUTS = ("out.vhdx", "out.raw")


@tap.case("an existing destination is refused and untouched; --force replaces it")
def _(folder):
    source = samples.dynamic(folder)[0]
    for name in OUTPUTS:
        out = samples.write(folder, name, b"precious")
        before = disks.snapshot(folder)
        command.fails("convert", source, out, says=f"{name}: .*exist")
        command.fails("create", out, "4M", says=f"{name}: .*exist")
        assert not disks.changes(before, disks.snapshot(folder))
        vhdx("convert", "--force", source, out)
        vhdx("compare", source, out)
        vhdx("create", "--force", out, "4M")
        assert command.vhdx_json("info", "--json", out)["virtual-size"] == 4 * MIB
    assert sorted(os.listdir(folder)) == sorted(["disk.vhdx", *OUTPUTS])


@tap.case("a failing convert with --force leaves the old destination")
def _(folder):
    source, disk = samples.dynamic(folder)
    disk.bat[7] = 1 << 50 | 6
    disk.write(folder)
    for name in OUTPUTS:
        out = samples.write(folder, name, b"precious")
        before = disks.snapshot(folder)
        command.fails("convert", "--force", source, out, status=2)
        assert not disks.changes(before, {**disks.snapshot(folder), folder: before[folder]})


@tap.case("a link as the destination")
def _(folder):
    source = samples.dynamic(folder)[0]
    target = samples.write(folder, "target", b"precious")
    os.symlink("target", os.path.join(folder, "a.raw"))
    os.symlink("nowhere", os.path.join(folder, "b.raw"))
    before = disks.snapshot(folder)
    command.fails("convert", source, os.path.join(folder, "a.raw"), says="exist")
    command.fails("convert", source, os.path.join(folder, "b.raw"), says="exist")
    assert not disks.changes(before, {**disks.snapshot(folder), folder: before[folder]})
    assert target


def refuses(folder, *words, **how):
    before = disks.snapshot(folder)
    command.fails(*words, **how)
    changed = disks.changes(before, {**disks.snapshot(folder), folder: before[folder]})
    assert not changed, f"changed: {changed}"


for force in ([], ["--force"]):
    @tap.case(f"source and destination are one file{', --force' if force else ''}")
    def _(folder, more=tuple(force)):
        source = samples.dynamic(folder)[0]
        raw = samples.write(folder, "x.raw", noise("raw", 2 * MIB))
        os.link(source, os.path.join(folder, "hard.vhdx"))
        os.symlink("disk.vhdx", os.path.join(folder, "soft.vhdx"))
        os.chdir(folder)
        for out in (source, "./disk.vhdx", "hard.vhdx", "soft.vhdx"):
            refuses(folder, "convert", *more, source, out)
        refuses(folder, "convert", *more, "-f", "raw", "-O", "raw", source, source)
        refuses(folder, "convert", *more, raw, "x.raw")
        with open(raw, "rb") as file:
            refuses(folder, "convert", *more, "-", "x.raw", stdin=file)

    @tap.case(f"the destination is one of the chain{', --force' if force else ''}")
    def _(folder, more=tuple(force)):
        child, parent, _ = samples.family(folder)
        for out in (child, parent):
            refuses(folder, "convert", *more, child, out)
            refuses(folder, "create", *more, "--parent", child, out)


@tap.case("standard output is the source")
def _(folder):
    source = samples.dynamic(folder)[0]
    before = disks.snapshot(folder)
    with open(source, "r+b") as file:
        command.fails("convert", source, "-", stdout=file)
    assert not disks.changes(before, disks.snapshot(folder))


# ---- full disks

for kind, needs in smallfs.KINDS:
    @tap.case(f"a full {kind}: one line, and nothing is left", *needs)
    def _(folder, what=kind):
        source = samples.write(folder, "x.raw", noise("raw", MIB) * 24)
        with smallfs.Mount(what, folder, 12 * MIB) as point:
            before, free = sorted(os.listdir(point)), smallfs.free(point)
            for words in (["convert", source, os.path.join(point, "a.vhdx")],
                          ["convert", "--type", "fixed", source, os.path.join(point, "b.vhdx")],
                          ["convert", source, os.path.join(point, "c.raw")],
                          ["convert", "--no-holes", source, os.path.join(point, "d.raw")],
                          ["create", "--type", "fixed", os.path.join(point, "e.vhdx"), "64M"],
                          ["create", "--no-holes", "--type", "fixed", os.path.join(point, "f.vhdx"),
                           "64M"]):
                command.fails(*words, says="[Nn]o space left|[Tt]oo large")
                assert sorted(os.listdir(point)) == before, words
                assert smallfs.free(point) == free, (words, smallfs.free(point), free)

    @tap.case(f"a full {kind}: --force keeps the old destination", *needs)
    def _(folder, what=kind):
        source = samples.write(folder, "x.raw", noise("raw", MIB) * 24)
        with smallfs.Mount(what, folder, 12 * MIB) as point:
            out = samples.write(point, "a.vhdx", b"precious")
            command.fails("convert", "--force", source, out, says="[Nn]o space left")
            with open(out, "rb") as file:
                assert file.read() == b"precious"

    @tap.case(f"a full {kind}: a pipe's contents that do not fit", *needs)
    def _(folder, what=kind):
        with smallfs.Mount(what, folder, 12 * MIB) as point:
            before = sorted(os.listdir(point))
            command.fails("convert", "-", os.path.join(point, "a.vhdx"), stdin=noise("x", 24 * MIB),
                          says="[Nn]o space left")
            assert sorted(os.listdir(point)) == before


@tap.case("a full standard output: one line")
def _(folder):
    source = samples.dynamic(folder)[0]
    with open("/dev/full", "wb") as full:
        command.fails("convert", source, "-", stdout=full, says="[Nn]o space left")


@tap.case("a standard output that is closed too early: one line")
def _(folder):
    source = samples.dynamic(folder, size=64 * MIB)[0]
    process = subprocess.Popen([VHDX, "convert", source, "-"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait() == 1 and err.count("\n") == 1 and err.startswith("vhdx convert: "), err


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))


@tap.case("a limit on the size of files: one line, no signal, and nothing is left")
def _(folder):
    source = samples.write(folder, "x.raw", noise("raw", 4 * MIB))
    for words in (["convert", source, "a.vhdx"], ["convert", source, "b.raw"], ["create", "c.vhdx", "4M"],
                  ["create", "--type", "fixed", "d.vhdx", "8M"]):
        command.fails(*words, says="[Tt]oo large", cwd=folder, preexec_fn=limited)
        assert os.listdir(folder) == ["x.raw"], words


# ---- signals

def wait(process, seconds=5):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"it did not end within {seconds} s of the signal") from None


def feed(process, begun, stop):
    """Writes without end into a process' standard input; @begun once it reads."""
    data = noise("feed", MIB)
    try:
        while not stop.is_set():
            process.stdin.write(data)
            begun.release()
    except OSError:
        pass
    finally:
        try:
            process.stdin.close()
        except OSError:
            pass


def interrupted(folder, out, number, more=(), stall=False):
    process = subprocess.Popen([VHDX, "convert", "--no-sync", *more, "-", out], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun, stop = threading.Semaphore(0), threading.Event()
    feeder = threading.Thread(target=feed, args=(process, begun, stop))
    if stall:
        # More than a pipe holds: when all is written, most of it was read.
        process.stdin.write(noise("some", 3 * MIB))
        process.stdin.flush()
    else:
        feeder.start()
        for _ in range(8):
            begun.acquire(timeout=20)
    before = sorted(os.listdir(folder))
    process.send_signal(number)
    try:
        status = wait(process)
    finally:
        stop.set()
        if not stall:
            feeder.join()
    err = process.stderr.read().decode()
    assert status == -number, (status, err)
    if number != signal.SIGKILL:
        assert err.count("\n") == 1 and err.startswith("vhdx convert: "), err
    return before


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
    for name in OUTPUTS:
        @tap.case(f"{number.name} in the middle of a convert to {name}: nothing is left")
        def _(folder, sent=number, leaf=name):
            before = interrupted(folder, os.path.join(folder, leaf), sent)
            assert before == [], f"in the middle there was {before}"
            assert os.listdir(folder) == [], os.listdir(folder)

    @tap.case(f"{number.name} while a convert waits for its input: it ends, and nothing is left")
    def _(folder, sent=number):
        interrupted(folder, os.path.join(folder, "out.vhdx"), sent, stall=True)
        assert os.listdir(folder) == [], os.listdir(folder)

    @tap.case(f"{number.name} in the middle of a convert with --force: the old destination is there")
    def _(folder, sent=number):
        out = samples.write(folder, "out.vhdx", b"precious")
        interrupted(folder, out, sent, ["--force"])
        assert os.listdir(folder) == ["out.vhdx"], os.listdir(folder)
        with open(out, "rb") as file:
            assert file.read() == b"precious"


@tap.case("SIGTERM while a convert's input was silent from the start: it ends, and nothing is left")
def _(folder):
    for name in OUTPUTS:
        process = subprocess.Popen([VHDX, "convert", "-", os.path.join(folder, name)],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert wait(process) == -signal.SIGTERM, name
        assert not os.listdir(folder), os.listdir(folder)
        process.stdin.close()
        process.stderr.close()


@tap.case("input that ends after a signal makes no file of what had come")
def _(folder):
    for name in OUTPUTS:
        process = subprocess.Popen([VHDX, "convert", "-", os.path.join(folder, name)],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(noise("some", 3 * MIB))
        process.stdin.flush()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.stdin.close()
        assert wait(process) == -signal.SIGINT
        process.stderr.close()
        assert not os.listdir(folder), os.listdir(folder)


@tap.case("SIGTERM while a convert waits for its output's reader")
def _(folder):
    source = samples.dynamic(folder, size=64 * MIB)[0]
    process = subprocess.Popen([VHDX, "convert", source, "-"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.read(10)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert wait(process) == -signal.SIGTERM
    process.stdout.close()
    process.stderr.close()


@tap.case("SIGTERM while nobody ever reads a convert's output: it ends with one line")
def _(folder):
    source = samples.dynamic(folder, size=64 * MIB)[0]
    process = subprocess.Popen([VHDX, "convert", source, "-"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert wait(process) == -signal.SIGTERM
    err = process.stderr.read().decode()
    assert err.count("\n") == 1 and err.startswith("vhdx convert: "), err
    assert os.listdir(folder) == ["disk.vhdx"], os.listdir(folder)
    process.stdout.close()
    process.stderr.close()


@tap.case("a signal that was ignored stays ignored, as under nohup")
def _(folder):
    out = os.path.join(folder, "x.vhdx")
    process = subprocess.Popen([VHDX, "convert", "-", out], stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.stdin.write(noise("some", 2 * MIB))
    time.sleep(0.2)
    process.send_signal(signal.SIGHUP)
    process.stdin.close()
    assert wait(process) == 0, process.stderr.read()
    assert os.path.exists(out)


@tap.case("a new file has the permissions that the umask leaves")
def _(folder):
    source = samples.dynamic(folder)[0]
    for mask in (0o022, 0o077, 0o002):
        out = os.path.join(folder, f"{mask:o}")
        for words in (["create", out + ".vhdx", "4M"], ["convert", source, out + ".raw"]):
            vhdx(*words, umask=mask)
        for path in (out + ".vhdx", out + ".raw"):
            assert os.stat(path).st_mode & 0o777 == 0o666 & ~mask, oct(os.stat(path).st_mode)


@tap.case("a file that is replaced keeps its mode")
def _(folder):
    source = samples.dynamic(folder)[0]
    for mode in (0o600, 0o644, 0o666, 0o751):
        for words in (["create", "--force", "out", "4M"], ["convert", "--force", "-O", "raw", source, "out"]):
            os.chmod(samples.write(folder, "out", b"old"), mode)
            vhdx(*words, cwd=folder)
            assert os.stat(os.path.join(folder, "out")).st_mode & 0o7777 == mode, words


@tap.case("a file that root replaces keeps its owner and group", tap.root)
def _(folder):
    source = samples.dynamic(folder)[0]
    for words in (["create", "--force", "out", "4M"], ["convert", "--force", source, "out"]):
        os.chown(samples.write(folder, "out", b"old"), 12345, 23456)
        vhdx(*words, cwd=folder)
        st = os.stat(os.path.join(folder, "out"))
        assert (st.st_uid, st.st_gid) == (12345, 23456), (words, st)
        os.unlink(os.path.join(folder, "out"))


tap.main()
