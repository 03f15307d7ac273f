#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python package: its structs are the header's, and it does what its page says."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.join(HERE, os.pardir, os.pardir)
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support"), os.path.join(TOP, "python")]
os.environ["VHDX_LIBRARY"] = os.environ["VHDX_LIB_SHARED"]

import ctypes
import errno
import hashlib
import io
import random
import re
import subprocess
import tarfile
import threading
import time
import warnings

import command
import tap
from disks import MIB, Model, digest, noise

warnings.simplefilter("error")


def loads():
    """A library with sanitizers, or of another architecture, cannot be loaded into this Python."""
    told = subprocess.run([sys.executable, "-c", "import ctypes, os; ctypes.CDLL(os.environ['VHDX_LIBRARY'])"],
                          capture_output=True, check=False)
    return "this Python cannot load the library" if told.returncode else None


if not loads():
    import vhdx
    from vhdx import _library, _structs


def image(folder, name="disk.vhdx", size=64 * MIB, **how):
    path = os.path.join(folder, name)
    vhdx.create(path, size, **how)
    return path


def fails(kind, function, *arguments, number=None, **more):
    try:
        function(*arguments, **more)
    except kind as error:
        assert number is None or error.errno == number, error.errno
        return error
    raise AssertionError(f"no {kind.__name__} from {function.__name__}{arguments}")


# ---- The interface to C ----

PROGRAM = """#include <stdio.h>
#include <vhdx.h>
int main(void)
{
%s
	return 0;
}
"""


@tap.case("structs and constants are those of the header", loads, tap.tool("cc"))
def _(folder):
    lines = []
    for struct, name in _structs.NAMES.items():
        lines.append(f'\tprintf("{name} %zu\\n", sizeof(struct {name}));')
        for field, _ in struct._fields_:
            lines.append(f'\tprintf("{name}.{field} %zu %zu\\n", offsetof(struct {name}, {field}), '
                         f'sizeof(((struct {name} *)0)->{field}));')
    constants = [name for name in dir(_structs) if re.match(r"(OPEN|EXTENTS|CHECK|CREATE|CONVERT|FORMAT|ZERO|FUA|NO_OFFSET)", name)]
    assert len(constants) > 15
    lines += [f'\tprintf("{name} %llu\\n", (unsigned long long)VHDX_{name});' for name in constants]
    source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM % "\n".join(lines))
    command.run(["cc", "-I", os.path.join(TOP, "include"), source, "-o", program])
    told = command.run([program]).out.splitlines()
    known = []
    for struct, name in _structs.NAMES.items():
        known.append(f"{name} {ctypes.sizeof(struct)}")
        known += [f"{name}.{field} {getattr(struct, field).offset} {getattr(struct, field).size}"
                  for field, _ in struct._fields_]
    known += [f"{name} {getattr(_structs, name)}" for name in constants]
    assert told == known, [pair for pair in zip(told, known) if pair[0] != pair[1]][:5]


@tap.case("enumerations are those of the header", loads)
def _(_):
    with open(os.path.join(TOP, "include", "vhdx.h"), encoding="ascii") as file:
        header = file.read()
    for enumeration, name, prefix in ((vhdx.Type, "type", ""), (vhdx.LogState, "log_state", "LOG_"),
                                      (vhdx.Kind, "extent_type", "EXTENT_"), (vhdx.Severity, "severity", "")):
        body = re.search(rf"^enum vhdx_{name} {{(.*?)^}};", header, re.M | re.S)[1]
        found = {key: int(value) for key, value in re.findall(rf"VHDX_{prefix}(\w+) =\s+(\d+)", body)}
        assert found == {one.name: one.value for one in enumeration}, (name, found)


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
        file.seek(4 * MIB + 5)
        assert file.read(3) == b""
    fails(OverflowError, vhdx.create, os.path.join(folder, "large.vhdx"), 1 << 64)
    with vhdx.open(path) as disk, disk.file() as file:
        assert file.read() == raw.getvalue()
        fails(io.UnsupportedOperation, file.write, b"1")


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
    fails(ValueError, vhdx.open, "a\0b")
    with vhdx.open(image(folder, "locked.vhdx"), writable=True):
        fails(vhdx.Busy, vhdx.open, os.path.join(folder, "locked.vhdx"), number=errno.EAGAIN)


@tap.case("the same seed makes the same file", loads)
def _(folder):
    contents = []
    for name in "a.vhdx", "b.vhdx":
        with open(image(folder, name, seed=b"seed"), "rb") as file:
            contents.append(file.read())
    assert contents[0] == contents[1]


@tap.case("the examples of its page run", loads)
def _(folder):
    with open(os.path.join(TOP, "docs", "PYTHON.md"), encoding="ascii") as file:
        blocks = re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)
    assert len(blocks) >= 8
    image(folder)
    path = os.pathsep.join([os.path.join(TOP, "python"), os.environ.get("PYTHONPATH", "")])
    out = command.run([sys.executable, "-W", "error", "-B", "-c", "".join(blocks)], cwd=folder,
                      env=dict(os.environ, PYTHONPATH=path)).out
    assert "DYNAMIC 67108864 2097152" in out and "['disk.vhdx']" in out and out.splitlines()[-1].startswith("203 "), out


tap.main()
