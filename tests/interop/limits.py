#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disks of 64 TiB cost little: space of new ones, memory and time of reading."""
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import tap
from command import VHDX, vhdx, vhdx_json
from disks import KIB, MIB, TIB, noise
from image import Image

MEMORY_MAX = 16 * MIB


def empty(folder):
    path = os.path.join(folder, "large.vhdx")
    vhdx("create", "--block-size", "1M", path, "64T")
    return path


def with_ends(folder):
    """64 TiB whose first and last blocks hold something."""
    disk = Image("large", 64 * TIB, bat_length=513 * MIB)
    last = 64 * TIB // MIB - 1
    disk.full(0, {0: noise("first", 4096)})
    disk.full(last, {MIB - 4096: noise("last", 4096)})
    return disk, disk.write(folder)


def measured(argv):
    """(exit status, peak memory in bytes, standard error)"""
    process, peak = command.watched(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    err = process.communicate()[1].decode()
    return process.returncode, peak(), err


@tap.case("a new disk of 64 TiB takes less than 1 MiB, and little time")
def _(folder):
    begin = time.monotonic()
    path = empty(folder)
    assert time.monotonic() - begin < 5
    assert os.stat(path).st_blocks * 512 < MIB, os.stat(path).st_blocks * 512
    assert os.path.getsize(path) >= 513 * MIB


for verb in (["info"], ["map"], ["check"], ["check", "--json"], ["dump", "--json", "bat"]):
    @tap.case(f"{' '.join(verb)} of 64 TiB needs less than 16 MiB", tap.whole)
    def _(folder, words=verb):
        _, path = with_ends(folder)
        status, memory, err = measured([VHDX, *words, path])
        assert status == 0 and not err, (status, err)
        # Checking needs a bit a MiB of the file, and the rest of its budget.
        limit = 64 * MIB if words[0] == "check" else MEMORY_MAX
        assert memory < limit, f"{memory / MIB:.1f} MiB"


@tap.case("the first bytes of 64 TiB come through a pipe at once, in less than 16 MiB", tap.whole)
def _(folder):
    _, path = with_ends(folder)
    begin = time.monotonic()
    process, peak = command.watched([VHDX, "convert", path, "-"], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
    data = process.stdout.read(4096)
    process.stdout.close()
    err = process.stderr.read()
    process.wait()
    memory = peak()
    assert data == noise("first", 4096)
    assert time.monotonic() - begin < 10
    assert err.count(b"\n") == 1 and err.startswith(b"vhdx convert: "), err
    assert memory < MEMORY_MAX, f"{memory / MIB:.1f} MiB"


LIBRARY = """
import ctypes, os, sys
library = ctypes.CDLL(sys.argv[1])
def status(name):
    with open("/proc/self/status") as lines:
        return next(int(l.split()[1]) for l in lines if l.startswith(name))
before = status("VmRSS:")
disk, buffer = ctypes.c_void_p(), ctypes.create_string_buffer(4096)
assert library.vhdx_open(os.fsencode(sys.argv[2]), None, ctypes.byref(disk)) == 0
for at in map(int, sys.argv[3:]):
    assert library.vhdx_pread(disk, buffer, ctypes.c_size_t(4096), ctypes.c_uint64(at)) == 0
    sys.stdout.buffer.write(buffer.raw)
assert library.vhdx_close(disk) == 0
sys.stdout.buffer.flush()
print(status("VmHWM:") - before, file=sys.stderr)
"""


@tap.case("4 KiB anywhere in 64 TiB are read with less than 16 MiB", tap.whole)
def _(folder):
    _, path = with_ends(folder)
    places = [0, 32 * TIB, 64 * TIB - 4096]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", LIBRARY, os.environ["VHDX_LIB_SHARED"],
                           path, *map(str, places)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == noise("first", 4096) + bytes(4096) + noise("last", 4096)
    assert int(done.stderr) * KIB < MEMORY_MAX, done.stderr


@tap.case("64 TiB are compared by what they hold", tap.whole)
def _(folder):
    _, path = with_ends(folder)
    other = empty_as(folder, "other.vhdx")
    result = vhdx("compare", path, other, status=1)
    assert "offset 0." in result.out, result.out
    vhdx("compare", other, empty_as(folder, "third.vhdx"))


def empty_as(folder, name):
    path = os.path.join(folder, name)
    vhdx("create", "--block-size", "1M", path, "64T")
    return path


@tap.case("64 TiB are converted by what they hold", tap.whole)
def _(folder):
    _, path = with_ends(folder)
    out = os.path.join(folder, "out.vhdx")
    vhdx("convert", "--block-size", "32M", path, out)
    data = [e for e in vhdx_json("map", "--json", out) if e["data"]]
    assert data[0]["start"] == 0 and data[-1]["start"] + data[-1]["length"] == 64 * TIB, data
    vhdx("compare", path, out)
    assert os.path.getsize(out) < 200 * MIB, os.path.getsize(out)
    assert disks.sha256(path) != disks.sha256(out)


@tap.case("one byte more than 64 TiB is refused")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    command.fails("create", path, str(64 * TIB + 512))
    command.fails("create", path, "65T")
    assert not os.listdir(folder)


tap.main()
