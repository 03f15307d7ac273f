#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Operations on whole disks by the Python package: told of, stopped, and as their verbs do."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "support"))

import errno
import pickle
import threading
import time

import command
import tap
from disks import MIB, Model, digest, noise
from package import TOP, fails, image, loads

if not loads():
    import vhdx
    from vhdx import _foreign


# ---- Operations ----

@tap.case("convert and compare go both ways, and a child is read through its chain", loads)
def _(folder):
    model = Model(8 * MIB)
    model.write(MIB + 5, noise("convert", 3 * MIB))
    raw = model.save(os.path.join(folder, "in.raw"))
    there = os.path.join(folder, "there.vhdx")
    vhdx.convert(raw, there, block_size=1 << 20, sector_size=4096, sync=False)
    with vhdx.open(there) as disk:
        assert disk.info.block_size == 1 << 20 and disk.info.logical_sector_size == 4096
        back = os.path.join(folder, "back.raw")
        vhdx.convert(disk, back, raw=True, threads=2, direct=True)
        assert vhdx.compare(disk, raw) is None
    assert digest(back) == model.digest()
    with open(back, "r+b") as file:
        file.seek(2 * MIB)
        file.write(b"\xff\xfe\xfd")
    assert vhdx.compare(there, back) == 2 * MIB
    fails(vhdx.VhdxError, vhdx.convert, raw, there, number=errno.EEXIST)
    vhdx.convert(raw, there, force=True, type=vhdx.Type.FIXED)
    with vhdx.open(there) as disk:
        assert disk.info.type == vhdx.Type.FIXED


@tap.case("images of other formats and archives are taken for a raw disk only when that is said", loads)
def _(folder):
    base, out, path = image(folder, size=MIB), os.path.join(folder, "out.vhdx"), os.path.join(folder, "it")
    uses = ((vhdx.convert, (path, out), "raw_source"), (vhdx.compare, (path, base), "raw_a"), (vhdx.compare, (base, path), "raw_b"),
            (vhdx.diff, (base, path, out), "raw_contents"))
    for one in _foreign.SIGNATURES:
        with open(path, "wb") as file:
            file.write(bytes(MIB))
            file.seek(one.offset, os.SEEK_SET if one.offset >= 0 else os.SEEK_END)
            file.write(one.content)
        for function, arguments, name in uses:
            error = fails(vhdx.VhdxError, function, *arguments, number=errno.ENOTSUP)
            assert error.filename == path and error.text.startswith(f"is {one.name}: ") and f"{name}=True" in error.text, error
            assert not os.path.exists(out)
            fails(vhdx.VhdxError, function, *arguments, **{name: False})
            function(*arguments, **{name: True})
            if os.path.exists(out):
                assert vhdx.compare(path, out, raw_a=True) is None
                os.unlink(out)
    for contents in b"", b"QF", bytes(510) + b"\x55\xaa", bytes(1080) + b"\x53\xef":  # the last two are a disk's
        with open(path, "wb") as file:
            file.write(contents + bytes(-len(contents) % 512))
        assert vhdx.compare(path, path) is None
    assert fails(vhdx.VhdxError, vhdx.compare, base, os.path.join(folder, "none")).errno == errno.ENOENT


@tap.case("a type that is none is told with those that are", loads)
def _(folder):
    path, out = image(folder, type=1), os.path.join(folder, "out.vhdx")
    for wrong in "fixed", 7, None:
        for function, arguments in (vhdx.create, (out, MIB)), (vhdx.convert, (path, out)):
            error = fails(ValueError, function, *arguments, type=wrong)
            assert str(error) == f"type {wrong!r} is none of Type.DYNAMIC, Type.FIXED and Type.DIFFERENCING", error
    with vhdx.open(path) as disk:
        assert disk.info.type is vhdx.Type.FIXED


@tap.case("progress is told, stops a copy, and an exception in it comes out", loads)
def _(folder):
    raw = Model(64 * MIB).save(os.path.join(folder, "in.raw"))
    with open(raw, "r+b") as file:
        file.write(noise("progress", 16 * MIB))
    told = []
    vhdx.convert(raw, os.path.join(folder, "a.vhdx"), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (64 * MIB, 64 * MIB) and told == sorted(told), told[-3:]
    target = os.path.join(folder, "b.vhdx")
    fails(vhdx.Cancelled, vhdx.convert, raw, target, progress=lambda done, total: True)

    def breaks(done, total):
        raise KeyError("out of progress")

    fails(KeyError, vhdx.convert, raw, target, progress=breaks)
    assert sorted(os.listdir(folder)) == ["a.vhdx", "in.raw"], os.listdir(folder)


INTERRUPTED = """import os, signal, sys, threading, time, vhdx

def interrupt():
    time.sleep(0.002)  # so that it mostly comes while no Python runs in the other thread
    os.kill(os.getpid(), signal.SIGINT)

def told(done, total):
    if not begun:
        begun.append(threading.Thread(target=interrupt))
        begun[0].start()

begun = []
try:
    vhdx.convert(sys.argv[1], sys.argv[2], clone=False, sync=False, threads=1, progress=told)
    begun[0].join()
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@tap.case("an interrupt from the keyboard stops an operation and comes out of it, and leaves no half file", loads)
def _(folder):
    raw, out = os.path.join(folder, "in.raw"), os.path.join(folder, "out.vhdx")
    with open(raw, "wb") as file:
        file.write(os.urandom(64 * MIB))
    env = dict(os.environ, PYTHONPATH=os.path.join(TOP, "python"))
    for _ in range(5):
        said = command.run([sys.executable, "-B", "-c", INTERRUPTED, raw, out], env=env)
        assert said.out == "interrupted True\n" and not said.err, said
        assert set(os.listdir(folder)) <= {"in.raw", "out.vhdx"}
        if os.path.exists(out):  # it was done before the signal came
            assert vhdx.compare(raw, out) is None
            os.unlink(out)


@tap.case("check tells each finding, and errors carry what the library says", loads)
def _(folder):
    path = image(folder)
    assert vhdx.check(path).clean and vhdx.is_image(path)
    with open(path, "r+b") as file:
        file.seek(64 << 10)
        file.write(b"\xff" * 8)
    found = vhdx.check(path)
    assert not found.clean and found.damages == 1 and found.findings[0].number == 201, found
    assert found.findings[0].severity == vhdx.Severity.DAMAGE and found.findings[0].offset == 64 << 10
    with open(path, "r+b") as file:
        file.seek(128 << 10)
        file.write(b"\xff" * 8)
    error = fails(vhdx.Inconsistent, vhdx.open, path, number=errno.EUCLEAN)
    assert error.problem == 203 and error.filename == path and error.text in str(error), error
    assert isinstance(error, OSError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is vhdx.Inconsistent and vars(again) == vars(error) and str(again) == str(error), again
    none = os.path.join(folder, "none.vhdx")
    assert fails(FileNotFoundError, vhdx.open, none, number=errno.ENOENT).filename == none
    assert isinstance(fails(FileExistsError, vhdx.create, path, MIB, number=errno.EEXIST), vhdx.Exists)
    fails(ValueError, vhdx.open, "a\0b")
    with vhdx.open(image(folder, "locked.vhdx"), writable=True):
        fails(vhdx.Busy, vhdx.open, os.path.join(folder, "locked.vhdx"), number=errno.EAGAIN)


@tap.case("resize, compact and diff change a disk as their verbs do", loads)
def _(folder):
    path, child, copy = image(folder), os.path.join(folder, "child.avhdx"), os.path.join(folder, "copy.vhdx")
    with vhdx.open(path, writable=True) as disk:
        disk.write(noise("changes", 8 * MIB), 4 * MIB)
    vhdx.resize(path, 80 * MIB)
    with vhdx.open(path) as disk:
        assert disk.size == 80 * MIB
    assert "(shrink=True allows that)" in str(fails(vhdx.VhdxError, vhdx.resize, path, 64 * MIB, number=errno.EINVAL))
    fails(vhdx.VhdxError, vhdx.resize, path, 8 * MIB, shrink=True, number=errno.ENOTEMPTY)
    vhdx.resize(path, 64 * MIB, shrink=True)
    vhdx.convert(path, copy)
    with vhdx.open(copy, writable=True) as disk:
        disk.write(bytes(6 * MIB), 4 * MIB)
    before = os.path.getsize(copy)
    said = vhdx.compact(copy, dry_run=True)
    assert os.path.getsize(copy) == before == said.file_size_before and said.file_size_after < before
    small = os.path.join(folder, "small.vhdx")
    assert vhdx.compact(copy, small).file_size_after == os.path.getsize(small) < before == os.path.getsize(copy)
    assert vhdx.compact(copy).file_size_after == os.path.getsize(copy) < before
    vhdx.diff(path, copy, child)
    assert vhdx.compare(child, copy) is None and vhdx.compare(path, copy) == 4 * MIB
    with vhdx.open(path) as base, vhdx.open(small) as contents:
        vhdx.diff(base, contents, child, force=True)
    fails(vhdx.Cancelled, vhdx.diff, path, copy, os.path.join(folder, "none.avhdx"), progress=lambda done, total: True)
    assert sorted(os.listdir(folder)) == ["child.avhdx", "copy.vhdx", "disk.vhdx", "small.vhdx"]


@tap.case("commit and rebase keep what the last child reads", loads)
def _(folder):
    names = [image(folder)]
    for number in range(3):
        names.append(os.path.join(folder, f"{number}.avhdx"))
        vhdx.create(names[-1], parent=names[-2])
        with vhdx.open(names[-1], writable=True) as disk:
            disk.write(bytes([number + 1]) * MIB, number * 2 * MIB)
    raw = os.path.join(folder, "was.raw")
    vhdx.convert(names[3], raw)
    vhdx.commit(names[3], layers=2)
    assert vhdx.compare(names[3], raw) is None and vhdx.compare(names[1], raw) is None
    assert vhdx.compare(names[0], raw) == 0
    fails(vhdx.VhdxError, vhdx.commit, names[1], layers=2, number=errno.EINVAL)
    vhdx.rebase(names[1], image(folder, "other.vhdx"))
    assert vhdx.compare(names[1], raw) is None
    os.rename(os.path.join(folder, "other.vhdx"), os.path.join(folder, "moved.vhdx"))
    fails(OSError, vhdx.open, names[1], number=errno.ENOENT)
    vhdx.rebase(names[1], os.path.join(folder, "moved.vhdx"), unsafe=True, windows_path="C:\\moved.vhdx")
    with vhdx.open(names[1]) as disk:
        assert disk.info.absolute_win32_path == "C:\\moved.vhdx" and disk.parent.info.path.endswith("moved.vhdx")
    assert vhdx.compare(names[1], raw) is None


@tap.case("repair tells what it mended and can be undone, and salvage what it found", loads)
def _(folder):
    path, out = image(folder), os.path.join(folder, "out.raw")
    with vhdx.open(path, writable=True) as disk:
        disk.write(b"\7" * MIB, 4 * MIB)
    with open(path, "r+b") as file:
        file.seek(64 << 10)
        file.write(b"\xff" * 8)
        file.seek(0)
        broken = file.read()
    said = vhdx.repair(path, dry_run=True)
    assert [one.number for one in said.mended] == [201] and not said.left and not said.written
    said = vhdx.repair(path)
    assert said.written and said.mended[0].severity == vhdx.Severity.DAMAGE and said.lost_bytes == 0
    assert vhdx.check(path).clean
    vhdx.undo_repair(path)
    with open(path, "rb") as file:
        assert file.read() == broken
    with open(path, "r+b") as file:
        file.write(bytes(MIB))
    fails(vhdx.VhdxError, vhdx.repair, path, undo=os.path.join(folder, "undo"))
    found = vhdx.salvage(path, out)
    assert found.found_bytes + found.guessed_bytes >= MIB and found.virtual_size == os.path.getsize(out) == 64 * MIB
    with open(out, "rb") as file:
        file.seek(4 * MIB)
        assert file.read(MIB) == b"\7" * MIB


tap.main()
