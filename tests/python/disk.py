#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disks and file objects of the Python package, by many threads and by readers of others."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "support"))

import copy
import errno
import gc
import hashlib
import io
import pickle
import random
import subprocess
import tarfile
import threading
import time
import warnings
import weakref

import command
import tap
from disks import MIB, Model, digest, noise
from package import TOP, fails, image, loads

if not loads():
    import vhdx


# ---- Disks ----

@tap.case("a disk reads as what was written by buffers of every kind, closed and opened again", loads)
def _(folder):
    path, model = image(folder), Model(64 * MIB)
    with vhdx.open(path, writable=True) as disk:
        assert disk.size == 64 * MIB and disk.writable
        for number, kind in enumerate((bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data)))):
            data = noise(f"buffer {number}", 70000)
            disk.write(kind(data), 3000000 * number + 77)
            model.write(3000000 * number + 77, data)
        disk.write(b"", 5)
        disk.write(b"durable", 20 * MIB, fua=True)
        model.write(20 * MIB, b"durable")
        disk.zero(100, 5000)
        model.zero(100, 5000)
        disk.flush()
    with vhdx.open(path) as disk:
        assert hashlib.sha256(disk.read(0, disk.size)).digest() == hashlib.sha256(model.read(0, model.size)).digest()
        part = bytearray(10)
        disk.readinto(memoryview(part)[2:7], 20 * MIB)
        assert part == b"\0\0durab\0\0\0"
        fails(TypeError, disk.readinto, b"123", 0)
        for wrong in -1, 1 << 64:
            fails(OverflowError, disk.read, wrong, 1)
            fails(OverflowError, disk.trim, 0, wrong)
        fails(vhdx.VhdxError, disk.read, 64 * MIB - 1, 2, number=errno.EINVAL)
        fails(vhdx.VhdxError, disk.write, b"1", 0, number=errno.EROFS)


@tap.case("info, extents and parents tell of a chain", loads)
def _(folder):
    parent = image(folder, "parent.vhdx", block_size=1 << 20)
    with vhdx.open(parent, writable=True) as disk:
        disk.write(b"\1" * MIB, 5 * MIB)
    child = image(folder, "child.avhdx", 0, parent=parent, windows_path="C:\\parent.vhdx")
    with vhdx.open(child, writable=True) as disk:
        disk.write(b"\2" * MIB, 6 * MIB)
        info = disk.info
        assert info.type == vhdx.Type.DIFFERENCING and info.virtual_size == 64 * MIB
        assert info.absolute_win32_path == "C:\\parent.vhdx" and info.relative_path == ".\\parent.vhdx"
        assert disk.parent.info.path == parent and disk.parent.parent is None
        assert disk.parent.read(5 * MIB, 1) == b"\1"
        told = [(e.offset, e.length, e.kind, e.depth) for e in disk.extents() if e.kind == vhdx.Kind.DATA]
        assert told == [(5 * MIB, MIB, vhdx.Kind.DATA, 1), (6 * MIB, MIB, vhdx.Kind.DATA, 0)], told
        assert sum(e.length for e in disk.extents()) == disk.size
        assert {e.kind for e in disk.extents(5 * MIB, MIB, this_file=True)} == {vhdx.Kind.PARENT}
        kept = disk.parent
    fails(ValueError, kept.read, 0, 1)
    with vhdx.open(child, no_parent=True) as disk:
        assert disk.read(5 * MIB, 1) == b"\0" and disk.parent is None
    os.mkdir(os.path.join(folder, "elsewhere"))
    os.rename(parent, os.path.join(folder, "elsewhere", "parent.vhdx"))
    fails(vhdx.VhdxError, vhdx.open, child, number=errno.ENOENT)
    with vhdx.open(child, parent_dirs=[os.path.join(folder, "elsewhere")]) as disk:
        assert disk.read(5 * MIB, 1) == b"\1"


@tap.case("many extents come in order and without gaps", loads)
def _(folder):
    path = image(folder, size=1024 * MIB, block_size=1 << 20)
    with vhdx.open(path, writable=True) as disk:
        for number in range(0, 1024, 2):
            disk.write(b"\1", number * MIB)
        at = 0
        for extent in disk.extents():
            assert extent.offset == at and (extent.kind == vhdx.Kind.DATA) == (at // MIB % 2 == 0), extent
            assert (extent.file_offset is not None) == (extent.kind == vhdx.Kind.DATA)
            at += extent.length
        assert at == disk.size


@tap.case("a closed disk refuses everything, and may be closed again", loads)
def _(folder):
    disk = vhdx.open(image(folder), writable=True)
    disk.close()
    disk.close()
    assert disk.closed
    for function, arguments in ((disk.read, (0, 1)), (disk.write, (b"1", 0)), (disk.flush, ()), (lambda: disk.info, ()),
                                (lambda: disk.parent, ()), (lambda: list(disk.extents()), ())):
        fails(ValueError, function, *arguments)
    fails(ValueError, vhdx.compare, disk, disk)


@tap.case("an open disk is neither copied nor pickled: two would close it twice", loads)
def _(folder):
    with vhdx.open(image(folder)) as disk:
        for function in copy.copy, copy.deepcopy, pickle.dumps:
            fails(TypeError, function, disk)


@tap.case("a disk that was forgotten is closed although the warning of it is an error", loads)
def _(folder):
    path = image(folder)
    told = subprocess.run([sys.executable, "-W", "error", "-c", "import sys, vhdx; vhdx.open(sys.argv[1], writable=True).write(b'kept', 0)", path],
                          env={**os.environ, "PYTHONPATH": os.path.join(TOP, "python")}, capture_output=True, text=True, check=True)
    assert "ResourceWarning" in told.stderr, told.stderr
    with vhdx.open(path) as disk:
        assert disk.read(0, 4) == b"kept" and disk.info.log_state == vhdx.LogState.CLEAN


HELD = """import os, sys, threading, time, vhdx

def hold(disks, files, ready):
    for disk, file in zip(disks, files):
        disk.write(b"here", 0)
        disk.flush()
        file.seek(4)
        file.write(b"kept")
    files[0].flush()
    files[0].seek(disks[0].size - 1)
    files[0].write(b"too long")
    ready.set()
    time.sleep(1000)

def begin():
    disks, ready = [vhdx.open(name, writable=True) for name in sys.argv[1:]], threading.Event()
    threading.Thread(target=hold, args=(disks, [disk.file() for disk in disks], ready), daemon=True).start()
    ready.wait()

begin()
child = os.fork()
if not child:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
for name in sys.argv[1:]:
    with vhdx.open(name, force_share=True) as disk:
        print(disk.info.log_state.name)
"""


@tap.case("a disk that a thread holds at exit is closed, with what its files hold, though not by a child of the process", loads)
def _(folder):
    paths = [image(folder, f"{number}.vhdx") for number in range(3)]
    told = subprocess.run([sys.executable, "-W", "error", "-c", HELD, *paths], env={**os.environ, "PYTHONPATH": os.path.join(TOP, "python")},
                          capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["DIRTY"] * 3 and "ResourceWarning" in told.stderr and "the disk ends here" in told.stderr, told
    for number, path in enumerate(paths):
        with vhdx.open(path) as disk:
            assert disk.info.log_state == vhdx.LogState.CLEAN and disk.read(0, 8) == b"herekept", (number, disk.read(0, 8))


FORKED = """import os, sys, vhdx
held = vhdx.open(sys.argv[1], writable=True)
held.write(b"here", 0)
held.flush()
child = os.fork()
if not child:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
with vhdx.open(sys.argv[1], force_share=True) as disk:
    print(disk.info.log_state.name)
held.write(b"more", 4)
held.close()
"""


@tap.case("a disk that a child of the process forgets stays open in the process", loads)
def _(folder):
    path = image(folder)
    told = command.run([sys.executable, "-W", "error", "-c", FORKED, path], env={**os.environ, "PYTHONPATH": os.path.join(TOP, "python")})
    assert told.out == "DIRTY\n" and not told.err, told
    with vhdx.open(path) as disk:
        assert disk.info.log_state == vhdx.LogState.CLEAN and disk.read(0, 8) == b"heremore"


@tap.case("one path is no list of folders: its letters would be, and the root folder among them", loads)
def _(folder):
    path = image(folder)
    fails(TypeError, vhdx.open, path, parent_dirs="/srv")
    fails(TypeError, vhdx.open, path, parent_dirs=b"/srv")
    fails(TypeError, vhdx.create, os.path.join(folder, "child.avhdx"), parent=path, parent_dirs="/srv")


@tap.case("threads read and write one disk at once, and a close waits for them", loads)
def _(folder):
    path = image(folder)
    with vhdx.open(path, writable=True) as disk:
        def work(number):
            for turn in range(40):
                disk.write(bytes([number + 1]) * 65536, (number * 40 + turn) * 65536)
                assert disk.read((number * 40 + turn) * 65536, 65536) == bytes([number + 1]) * 65536

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with vhdx.open(path) as disk:
        for number in range(4):
            assert disk.read(number * 40 * 65536, 40 * 65536) == bytes([number + 1]) * 40 * 65536


@tap.case("a close ends the disk although other threads go on reading", loads)
def _(folder):
    disk, begun, told = vhdx.open(image(folder)), threading.Barrier(4), []

    def read():
        begun.wait()
        while True:
            try:
                disk.read(0, MIB)
            except ValueError as error:
                told.append(str(error))
                return

    threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    closer = threading.Thread(target=disk.close, daemon=True)
    closer.start()
    for thread in (closer, *threads):
        thread.join(60)
        assert not thread.is_alive()
    assert told == ["the disk is closed"] * 3, told


@tap.case("other threads run while a call is in the library", loads)
def _(folder):
    raw, ticks, running = os.path.join(folder, "in.raw"), [0], [True]
    with open(raw, "wb") as file:
        for _ in range(64):
            file.write(random.Random(1).randbytes(1 << 20))

    def tick():
        while running[0]:
            ticks[0] += 1
            time.sleep(0)

    seen = []
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before = ticks[0]
        vhdx.convert(raw, os.path.join(folder, "out.vhdx"), sync=False)
        seen.append(ticks[0] - before)
    finally:
        running[0] = False
        thread.join()
    assert seen[0] > 0, seen


# ---- Files ----

@tap.case("the file object reads, seeks and writes as a file of the same contents", loads)
def _(folder):
    path, chance = image(folder, size=4 * MIB), random.Random(5)
    raw = io.BytesIO(bytes(4 * MIB))
    with vhdx.open(path, writable=True) as disk, disk.file(4096) as file:
        for _ in range(300):
            at, length = chance.randrange(4 * MIB), chance.randrange(20000)
            length = min(length, 4 * MIB - at)
            file.seek(at)
            raw.seek(at)
            if chance.random() < 0.5:
                data = chance.randbytes(length)
                assert file.write(data) == raw.write(data)
            else:
                assert file.read(length) == raw.read(length)
            assert file.tell() == raw.tell()
        file.seek(-3, io.SEEK_END)
        raw.seek(-3, io.SEEK_END)
        assert file.read() == raw.read() and file.read(5) == b""
        fails(io.UnsupportedOperation, file.truncate, 5)
        for whence in os.SEEK_DATA, os.SEEK_HOLE, 9:
            fails(ValueError, file.seek, 0, whence)
            fails(ValueError, file.raw.seek, 0, whence)
        fails(TypeError, file.raw.seek, 1.5)
        file.seek(4 * MIB + 5)
        assert file.read(3) == b""
    fails(OverflowError, vhdx.create, os.path.join(folder, "large.vhdx"), 1 << 64)
    with vhdx.open(path) as disk, disk.file() as file:
        assert file.read() == raw.getvalue()
        fails(io.UnsupportedOperation, file.write, b"1")


@tap.case("a file object that is closed refuses everything, and the disk stays open", loads)
def _(folder):
    with vhdx.open(image(folder), writable=True) as disk:
        raw = vhdx.RawFile(disk)
        raw.close()
        for use in (lambda: raw.read(1), lambda: raw.seek(0), raw.tell, lambda: raw.readinto(bytearray(1)), lambda: raw.write(b"a"),
                    raw.readable, raw.writable, raw.seekable):
            fails(ValueError, use)
        assert disk.read(0, 1) == b"\0"
    fails(ValueError, disk.__enter__)
    fails(ValueError, disk.file)


@tap.case("the file object buffers as open() does: by default, by so many bytes, or not at all", loads)
def _(folder):
    with vhdx.open(image(folder), writable=True) as disk:
        with disk.file(buffering=0) as file:
            assert type(file) is vhdx.RawFile and file.write(b"once") == 4 and disk.read(0, 4) == b"once"
        with disk.file(-1) as file:
            file.write(bytes(MIB - 1))
            assert type(file) is io.BufferedRandom and disk.read(0, 4) == b"once"
        with disk.file(buffering=16) as file:
            file.write(b"more than once and more")
            assert disk.read(0, 4) == b"more"


@tap.case("what files hold reaches the disk when it is flushed or closed, which closes them", loads)
def _(folder):
    path = image(folder)
    with vhdx.open(path, writable=True) as disk:
        files = [disk.file() for _ in range(4)]
        for number, file in enumerate(files):
            file.seek(number * MIB)
            file.write(b"kept")
        files.pop().close()
        files.pop().detach()
        assert disk.read(0, 4) == bytes(4)
        disk.flush()
        assert disk.read(0, 4) == b"kept"
        files[0].write(b" too")
        disk.file().write(b"not")  # forgotten at once
        disk.write(b"kept", 0)
    disk.close()
    for file in files:
        assert file.closed
        fails(ValueError, file.write, b"lost")
    with vhdx.open(path) as disk:
        assert [disk.read(number * MIB, 8).rstrip(b"\0") for number in range(4)] == [b"kept too"] + [b"kept"] * 3
        with disk.file() as file:
            disk.close()
        fails(ValueError, file.read)


@tap.case("a disk is closed although a file of it cannot be flushed, and the others are", loads)
def _(folder):
    path = image(folder)
    disk = vhdx.open(path, writable=True)
    files = [disk.file() for _ in range(9)]
    for number, file in enumerate(files):
        file.seek(64 * MIB - 2 if number == 4 else number * MIB)
        file.write(b"more")
    fails(OSError, disk.flush, number=errno.ENOSPC)
    fails(OSError, disk.close, number=errno.ENOSPC)
    assert disk.closed and all(file.closed for file in files)
    with vhdx.open(path) as disk:
        assert [disk.read(number * MIB, 4) for number in range(9) if number != 4] == [b"more"] * 8
        assert disk.read(64 * MIB - 2, 2) == b"mo" and disk.info.log_state == vhdx.LogState.CLEAN


@tap.case("a disk and its files do not keep each other: what is forgotten is gone at once", loads)
def _(folder):
    path = image(folder)
    disk = vhdx.open(path, writable=True)
    file, kept = disk.file(), disk.file()
    gone = weakref.ref(file), weakref.ref(disk)
    file.write(b"kept")
    gc.disable()
    try:
        del file
        assert gone[0]() is None and disk.read(0, 4) == b"kept"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del disk, kept
        assert gone[1]() is None
    finally:
        gc.enable()


@tap.case("a disk is closed by two threads while others write to its files, without an error, and holds what was flushed", loads)
def _(folder):
    path = image(folder)
    for _ in range(5):
        disk, written, begun = vhdx.open(path, writable=True), [0] * 4, threading.Barrier(5)

        def work(number):
            file = disk.file(4096)
            begun.wait()
            try:
                while True:
                    file.seek(number * 8 * MIB + written[number] % 1000 * 4)
                    file.write((written[number] + 1).to_bytes(4, "big"))
                    file.flush()
                    written[number] += 1
            except ValueError:
                pass

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        time.sleep(0.05)
        errors = []

        def close():
            try:
                disk.close()
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)

        closers = [threading.Thread(target=close) for _ in range(2)]
        for thread in closers:
            thread.start()
        for thread in threads + closers:
            thread.join(60)
            assert not thread.is_alive()
        assert not errors, errors
        with vhdx.open(path) as disk:
            for number, count in enumerate(written):
                if count:
                    at = number * 8 * MIB + (count - 1) % 1000 * 4
                    assert int.from_bytes(disk.read(at, 4), "big") >= count


@tap.case("tarfile reads and writes an archive on a disk", loads)
def _(folder):
    path, names = image(folder), [f"file {number}" for number in range(20)]
    with vhdx.open(path, writable=True) as disk, disk.file() as file, tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 50000
            archive.addfile(member, io.BytesIO(noise(name, 50000)))
    with vhdx.open(path) as disk, disk.file() as file, tarfile.open(fileobj=file) as archive:
        assert archive.getnames() == names
        for name in names:
            assert archive.extractfile(name).read() == noise(name, 50000)


@tap.case("an Image stands before a reader's own base class", loads)
def _(folder):
    class Base:  # as pytsk3.Img_Info: it takes what it knows, and has methods to be replaced
        def __init__(self, url=""):
            self.url = url

        def read(self, offset, size):
            raise NotImplementedError

        def get_size(self):
            raise NotImplementedError

    class Img(vhdx.Image, Base):
        pass

    with vhdx.open(image(folder), writable=True) as disk:
        disk.write(b"end", 64 * MIB - 3)
        found = Img(disk, url="here")
        assert found.url == "here" and found.get_size() == 64 * MIB
        assert found.read(64 * MIB - 3, 100) == b"end" and found.read(64 * MIB + 5, 9) == b""
        found.close()
        assert not disk.closed


def of_tsk():
    """A Python that has pytsk3."""
    for python in sys.executable, "/usr/bin/python3":
        if os.path.exists(python) and not subprocess.run([python, "-c", "import pytsk3"], capture_output=True, check=False).returncode:
            return python
    return None


TSK = """import sys, pytsk3, vhdx
class Img(vhdx.Image, pytsk3.Img_Info):
    pass
class OfFile(pytsk3.Img_Info):
    def __init__(self, file):
        self.file = file
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)
    def close(self):
        self.file.close()
    def read(self, offset, size):
        self.file.seek(offset)
        return self.file.read(size)
    def get_size(self):
        return self.file.seek(0, 2)
with vhdx.open(sys.argv[1]) as disk:
    for image in Img(disk, url=""), OfFile(disk.file()):
        system = pytsk3.FS_Info(image)
        print(sorted(entry.info.name.name.decode() for entry in system.open_dir("/home")))
        print(system.open("/home/letter.txt").read_random(0, 100).decode())
"""


@tap.case("pytsk3 reads a file system through an Image, and through the file object", loads, tap.tool("mke2fs"),
          lambda: None if of_tsk() else "no pytsk3")
def _(folder):
    home, raw, path = (os.path.join(folder, name) for name in ("root/home", "ext4.raw", "ext4.vhdx"))
    os.makedirs(home)
    with open(os.path.join(home, "letter.txt"), "w", encoding="ascii") as file:
        file.write("Dear reader,")
    subprocess.run([tap.find_tool("mke2fs"), "-q", "-t", "ext4", "-d", os.path.dirname(home), raw, "16M"], check=True,
                   capture_output=True)
    vhdx.convert(raw, path)
    out = command.run([of_tsk(), "-B", "-c", TSK, path], env=dict(os.environ, PYTHONPATH=os.path.join(TOP, "python"))).out
    assert out.splitlines() == ["['.', '..', 'letter.txt']", "Dear reader,"] * 2, out


tap.main()
