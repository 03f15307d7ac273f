#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx repair: what it says, what it keeps and puts back, dry runs, refusals, signals, kills, full disks, locks."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import shutil
import signal
import stat
import struct

import command
import disks
import killing
import tap
from command import VHDX, vhdx, vhdx_json
from disks import KIB, MIB
from mounts import Loop
from script import vhdxio
from smallfs import Mount

BAT_REGION = bytes.fromhex("6677c22d23f600429d64115e9bfd4a08")


def find_bat(file):
    file.seek(192 * KIB)
    table = file.read(64 * KIB)
    return struct.unpack_from("<Q", table, table.index(BAT_REGION) + 16)[0]


def bad_header(file):
    file.seek(64 * KIB + 100)
    file.write(b"damage")


def bad_names(file):
    """The identifier, one header and one region table."""
    bad_header(file)
    file.seek(0)
    file.write(b"damage")
    file.seek(256 * KIB + 100)
    file.write(b"damage")


def leak(file):
    """Block 1 is given up, and its space stays behind."""
    file.seek(find_bat(file) + 8)
    file.write(bytes(8))


def lost(file):
    """The place of block 2 is far outside of the file."""
    file.seek(find_bat(file) + 16)
    file.write(struct.pack("<Q", 0x12345 << 20 | 6))


def hopeless(file):
    """Both headers, and all that could tell what they held."""
    file.seek(64 * KIB)
    file.write(os.urandom(2 * MIB))


def everything(file):
    bad_names(file)
    leak(file)
    lost(file)


def make(folder, *damage, name="x.vhdx", size="16M", lines=("write 0 4M seed:1",)):
    path = os.path.join(folder, name)
    vhdx("create", "-q", "--force", "--block-size", "1M", "--seed", "01", path, size)
    vhdxio(path, lines=list(lines))
    with open(path, "r+b") as file:
        for do in damage:
            do(file)
    return path


def repair(*words, **how):
    return vhdx("repair", *words, **how)


def clean(path):
    status, found = command.check(path)
    assert status == 0, (status, found)


def contents(path, folder):
    raw = os.path.join(folder, "contents.raw")
    vhdx("convert", "-q", "--force", "--no-parent", path, raw)
    with open(raw, "rb") as file:
        return file.read()


def expected(folder, *damage):
    """What the guest reads when the blocks that these cost are zeros."""
    data = bytearray(contents(make(folder, name="sound.vhdx"), folder))
    for do in damage:
        block = {leak: 1, lost: 2}[do]
        data[block * MIB:(block + 1) * MIB] = bytes(MIB)
    return bytes(data)


@tap.case("each thing that was mended is a line, and the undo file that keeps what was there is named")
def _(folder):
    path = make(folder, bad_header)
    said = repair(path).out.split("\n")
    assert said[0].startswith("mended 202 HEADER_CHECKSUM: "), said
    assert said[1] == "Mended 1 fault; nothing of the disk is lost.", said
    assert re.fullmatch(rf"What was overwritten is in {path}\.undo \(\S+ KiB\): 'vhdx repair --undo-from {path}\.undo "
                        rf"{path}' puts it back\.", said[2]), said
    assert said[3:] == [""], said
    clean(path)
    mode = os.stat(path + ".undo").st_mode
    assert stat.S_IMODE(mode) == 0o600, oct(mode)


@tap.case("which bytes of the disk are lost is said")
def _(folder):
    path = make(folder, lost)
    said = repair(path).out
    assert f"  bytes {2 * MIB}-{3 * MIB - 1} of the disk are lost\n" in said, said
    assert "Mended 2 faults; 1 MiB of the disk are lost or in doubt; 1 MiB that nothing refers to are" in said, said
    clean(path)
    assert contents(path, folder) == expected(folder, lost)


@tap.case("everything at once: check is clean afterwards, the rest reads as before, the space is released")
def _(folder):
    path = make(folder, everything)
    before = disks.allocated(path)
    said = repair(path).out
    assert "2 MiB that nothing refers to are released" in said, said
    clean(path)
    assert contents(path, folder) == expected(folder, leak, lost)
    assert disks.allocated(path) <= before - 2 * MIB, (before, disks.allocated(path))


@tap.case("a second repair finds nothing and writes nothing, beside the undo file of the first")
def _(folder):
    path = make(folder, everything)
    repair(path)
    before = disks.snapshot(folder)
    assert repair(path).out == "Nothing to mend.\n"
    assert not disks.changes(before, disks.snapshot(folder))


@tap.case("a sound image is not written, and gets no undo file")
def _(folder):
    make(folder)
    before = disks.snapshot(folder)
    for words in ((), ("--dry-run",)):
        assert repair(*words, os.path.join(folder, "x.vhdx")).out == "Nothing to mend.\n"
    assert not disks.changes(before, disks.snapshot(folder))


@tap.case("a dry run says the same, and writes nothing")
def _(folder):
    path = make(folder, everything)
    before = disks.snapshot(folder)
    said = repair("--dry-run", path).out
    assert not disks.changes(before, disks.snapshot(folder))
    done = repair(path).out
    done = done[:done.index("What was overwritten")]
    for will, did in (("would mend", "mended"), ("Would mend", "Mended"), ("would be", "are")):
        said = said.replace(will, did)
    assert said == done, (said, done)


@tap.case("a dry run writes nothing, system call by system call", tap.tool("strace"))
def _(folder):
    path = make(folder, everything)
    trace = os.path.join(folder, "trace")
    command.traced(trace, ["-e", "trace=openat,open,unlink,unlinkat,linkat,rename,renameat,renameat2,ftruncate,fallocate"],
                   [VHDX, "repair", "--dry-run", path])
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            assert "x.vhdx" not in line or "O_RDONLY" in line, line


@tap.case("an image on a medium that cannot be written has a dry run too", tap.root, tap.tool("mount", "umount"))
def _(folder):
    with Mount("tmpfs", folder, "64m") as point:
        path = make(point, everything)
        command.run(["mount", "-o", "remount,ro", point])
        assert "Would mend" in repair("--dry-run", path).out
        command.fails("repair", path, says="Read-only file system")


@tap.case("undoing puts back every byte and the size; again and again")
def _(folder):
    for damage in (bad_header, bad_names, leak, lost, everything):
        path = make(folder, damage)
        before, size = disks.sha256(path), os.path.getsize(path)
        repair(path)
        assert disks.sha256(path) != before
        for _ in range(2):
            assert repair("--undo-from", path + ".undo", path).out == "Put back what repair had overwritten.\n"
            assert (disks.sha256(path), os.path.getsize(path)) == (before, size)
        assert "Mended" in repair(path).out
        clean(path)
        os.unlink(path + ".undo")


@tap.case("a file that was cut short grows, and undoing cuts it again")
def _(folder):
    path = make(folder)
    for cut in (100, 4096, 700 * KIB):
        shutil.copyfile(path, path + ".cut")
        os.truncate(path + ".cut", os.path.getsize(path) - cut)
        before = disks.sha256(path + ".cut")
        repair("--undo", path + ".old", path + ".cut")
        clean(path + ".cut")
        repair("--undo-from", path + ".old", path + ".cut")
        assert disks.sha256(path + ".cut") == before
        os.unlink(path + ".old")


@tap.case("what was released comes back, also where its copy is shared or sparse")
def _(folder):
    path = make(folder, size="3G", lines=["write 0 1M seed:1", "write 1M 64M seed:2", "write 65M 1M seed:3"])
    with open(path, "r+b") as file:
        file.seek(find_bat(file) + 8)
        file.write(bytes(8 * 64))
    before = disks.sha256(path)
    said = repair(path).out
    assert "64 MiB that nothing refers to are released" in said, said
    repair("--undo-from", path + ".undo", path)
    assert disks.sha256(path) == before


@tap.case("where the file system clones, what was released takes no room in the undo file", tap.root,
          tap.tool("mkfs.xfs", "losetup", "mount", "umount"))
def _(folder):
    system, point = os.path.join(folder, "fs"), os.path.join(folder, "mounted")
    with open(system, "wb") as file:
        file.truncate(340 * MIB)
    os.mkdir(point)
    command.run([tap.find_tool("mkfs.xfs"), "-q", "-m", "reflink=1", system])
    with Loop(system) as device:
        if command.run(["mount", device, point], status=None).status:
            raise tap.Skip("XFS cannot be mounted")
        try:
            path = make(point, size="1G", lines=["write 0 180M seed:1"])
            with open(path, "r+b") as file:
                file.seek(find_bat(file) + 8)
                file.write(bytes(8 * 170))
            before = disks.sha256(path)
            repair(path)
            clean(path)
            repair("--undo-from", path + ".undo", path)
            assert disks.sha256(path) == before
        finally:
            command.run(["umount", point])


@tap.case("JSON")
def _(folder):
    path = make(folder, lost)
    for dry in (True, False):
        told = vhdx_json("repair", "--json", *(["--dry-run"] if dry else []), path)
        assert told["filename"] == path and told["dry-run"] is dry and told["written"] is not dry, told
        assert (told["mended-faults"], told["left-faults"], told["lost-bytes"]) == (2, 0, MIB), told
        assert not told["failed"] and not told["undone-first"] and not told["left"], told
        mended = told["mended"][0]
        assert (mended["problem"], mended["name"]) == (606, "BLOCK_PLACE"), told
        assert (mended["guest-offset"], mended["guest-length"]) == (2 * MIB, MIB), told
    told = vhdx_json("repair", "--json", "--undo-from", path + ".undo", path)
    assert told == {"filename": path, "undo-file": path + ".undo", "undone": True}, told


@tap.case("what cannot be mended: nothing is written, and what is needed is said in one line")
def _(folder):
    path = make(folder, hopeless)
    before = disks.snapshot(folder)
    for words in ((), ("--dry-run",)):
        said = command.fails("repair", *words, path, status={1, 2}, says="it cannot be repaired( and needs:|: repair can only) .+")
        assert not disks.changes(before, disks.snapshot(folder)), said
    told = command.run([VHDX, "repair", "--json", path], status={1, 2})
    assert '"failed": true' in told.out and not disks.changes(before, disks.snapshot(folder)), told


@tap.case("without holes, lost space stays, and is said to be left")
def _(folder):
    path = make(folder, leak, bad_header)
    before = disks.allocated(path)
    result = repair("--no-holes", path, status=2)
    assert "1 fault is left.\n" in result.out and "left 901 SPACE_LEAKED" in result.out, result
    assert disks.allocated(path) >= before
    assert command.check(path)[0] == 3


@tap.case("undoing is refused when the image was changed since, or is another one")
def _(folder):
    path = make(folder, bad_names)
    repair(path)
    shutil.copyfile(path, path + ".mended")
    vhdxio(path, lines=["write 0 4K seed:9"])
    before = disks.snapshot(path)
    command.fails("repair", "--undo-from", path + ".undo", path, says="was changed since it was repaired")
    other = make(folder, name="other.vhdx")
    command.fails("repair", "--undo-from", path + ".undo", other, says="is of another image")
    assert not disks.changes(before, disks.snapshot(path))
    with open(path + ".mended", "ab") as file:
        file.truncate(os.path.getsize(path + ".mended") + MIB)
    command.fails("repair", "--undo-from", path + ".undo", path + ".mended", says="was changed since it was repaired")


@tap.case("a damaged undo file is refused, wherever it is damaged")
def _(folder):
    path = make(folder, everything)
    repair(path)
    undo, before = path + ".undo", disks.snapshot(path)
    with open(undo, "rb") as file:
        whole = file.read()
    count = struct.unpack_from("<I", whole, 20)[0]
    bytes_at = 4096 + (count * 64 + 4095) // 4096 * 4096
    for at in (0, 8, 12, 16, 20, 24, 40, 511, 4096, 4096 + 24, 4096 + 64 * count - 1, bytes_at, len(whole) - 4096):
        with open(undo, "wb") as file:
            file.write(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1:])
        command.fails("repair", "--undo-from", undo, path, says="undo file")
    for length in (0, 100, 511, 4096, len(whole) // 2):
        with open(undo, "wb") as file:
            file.write(whole[:length])
        command.fails("repair", "--undo-from", undo, path, says="undo file")
    assert not disks.changes(before, disks.snapshot(path))


@tap.case("an undo file that exists is not touched, whatever it is, and nothing is mended")
def _(folder):
    path = make(folder, bad_names)
    undo = path + ".undo"

    def refused(says="undo"):
        before = disks.snapshot(folder)
        command.fails("repair", path, says=says)
        assert not disks.changes(before, disks.snapshot(folder))

    with open(undo, "wb") as file:
        file.write(b"something else")
    refused("exists already, and is not the undo file of a repair of")
    os.unlink(undo)
    other = make(folder, bad_header, name="other.vhdx")
    repair("--undo", undo, other)
    refused("exists already, and is not the undo file of a repair of")
    repair("--undo-from", undo, other)  # and now it counts as unfinished
    refused("exists already, and is not the undo file of a repair of")
    os.unlink(undo)
    for target in (path, "nowhere", "other.vhdx"):
        os.symlink(target, undo)
        refused("is a symbolic link")
        os.unlink(undo)
    os.mkdir(undo)
    refused("directory|is no file")
    os.rmdir(undo)
    os.mkfifo(undo)
    refused("is no file")
    os.unlink(undo)
    command.fails("repair", "--undo", path, path, says="exists already")
    command.fails("repair", "--undo", os.path.join(folder, "no", "where"), path, says="No such file")
    assert "Mended" in repair(path).out


@tap.case("usage: --undo-from goes with nothing that mends")
def _(folder):
    path = make(folder, bad_header)
    for words in (["--dry-run"], ["--undo", "x"], ["--discard-log"], ["--no-holes"]):
        command.fails("repair", "--undo-from", path + ".undo", *words, path, says="--undo-from mends nothing")
    command.fails("repair", "--undo-from", path + ".undo", path, says="No such file")
    command.fails("repair", os.path.join(folder, "none.vhdx"), says="No such file")
    command.fails("repair", folder, says="[Ii]s a directory")


@tap.case("locks: in use it is refused, and a dry run beside readers is not")
def _(folder):
    path = make(folder, bad_header)
    before = disks.snapshot(folder)
    with open(path, "rb") as file:
        import fcntl
        # As a reader that lets nobody write.
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
        command.fails("repair", path, says="in use by another process")
        assert "Would mend" in repair("--dry-run", path).out
        command.fails("repair", "--undo-from", path, path, says="in use by another process")
    assert not disks.changes(before, disks.snapshot(folder))


@tap.case("no space for the undo file: nothing is mended, and nothing of it is left",
          tap.root, tap.tool("mount", "umount"))
def _(folder):
    path = make(folder, leak, bad_names)
    with Mount("tmpfs", folder, "64k") as point:
        before = disks.snapshot(path)
        said = command.fails("repair", "--undo", os.path.join(point, "undo"), path, says="No space left")
        assert not disks.changes(before, disks.snapshot(path)) and not os.listdir(point), said
    assert "Mended" in repair(path).out


@tap.case("no space for the image to grow: a second repair, with space, mends it all",
          tap.root, tap.tool("mount", "umount"))
def _(folder):
    sound = make(folder)
    with Mount("tmpfs", folder, f"{os.path.getsize(sound) // MIB - 1}m") as point:
        path = os.path.join(point, "x.vhdx")
        with open(sound, "rb") as file, open(path, "wb") as out:
            out.write(file.read()[:-2 * MIB])
        everything_of(path)
        before, undo = disks.sha256(path), os.path.join(folder, "undo")
        result = command.run([VHDX, "repair", "--undo", undo, path], status=None)
        if result.status == 1:
            repair("--undo-from", undo, path)
            assert disks.sha256(path) == before
        else:
            clean(path)


def everything_of(path):
    with open(path, "r+b") as file:
        bad_names(file)
        leak(file)


@tap.case("a signal before anything is written leaves all as it was", tap.tool("strace"))
def _(folder):
    path = make(folder, everything)
    before = disks.snapshot(folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        result = command.killed_at("pread64", 30, [VHDX, "repair", path], folder, number.name)
        assert result.status in (-number, 128 + number), result
        os.unlink(os.path.join(folder, "trace"))
        after = disks.snapshot(folder)
        assert not [changed for changed in disks.changes(before, after) if changed != folder], result


@tap.case("killed at each system call, a second repair mends it, and then undoing is complete",
          tap.tool("strace"), tap.whole)
def _(folder):
    with killing.quick_folder(folder) as quick:
        path, undo = make(quick, everything), os.path.join(quick, "x.vhdx.undo")
        damaged, data = disks.sha256(path), expected(quick, leak, lost)
        shutil.copyfile(path, path + ".damaged")

        def fresh():
            shutil.copyfile(path + ".damaged", path)
            if os.path.exists(undo):
                os.unlink(undo)

        def left():
            if os.path.exists(undo):
                shutil.copyfile(path, path + ".left")
                shutil.copyfile(undo, undo + ".left")
                repair("--undo-from", undo + ".left", path + ".left")
                assert disks.sha256(path + ".left") == damaged
            else:
                assert disks.sha256(path) == damaged

        def done():
            clean(path)
            assert contents(path, quick) == data

        for call in ("linkat", "pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate", "unlink"):
            at_call(folder, call, [VHDX, "repair", path], fresh, left, done)


def at_call(folder, call, argv, fresh, left, done):
    for number in range(1, 1000):
        fresh()
        result = command.killed_at(call, number, argv, folder)
        if not result.status:
            break
        assert result.status in (-9, 137), result
        try:
            left()
            repair(argv[-1])
            done()
        except AssertionError as error:
            raise AssertionError(f"killed at {call} {number}: {error}") from None


@tap.case("undoing killed at each system call is done by the next one, or by the next repair", tap.tool("strace"))
def _(folder):
    path = make(folder, everything)
    undo, damaged = path + ".undo", disks.sha256(path)
    repair(path)
    shutil.copyfile(path, path + ".mended")
    shutil.copyfile(undo, undo + ".finished")
    for call in ("pwrite64", "fdatasync", "ftruncate", "ioctl"):
        for number in range(1, 100):
            shutil.copyfile(path + ".mended", path)
            shutil.copyfile(undo + ".finished", undo)
            result = command.killed_at(call, number, [VHDX, "repair", "--undo-from", undo, path], folder)
            if not result.status:
                break
            if number % 2:
                repair("--undo-from", undo, path)
                assert disks.sha256(path) == damaged, (call, number)
            else:
                repair(path)
                clean(path)


@tap.case("a dry run of what a killed repair left tells what the next one will do", tap.tool("strace"))
def _(folder):
    path = make(folder, everything)
    command.killed_at("fdatasync", 4, [VHDX, "repair", path], folder)
    assert os.path.exists(path + ".undo")
    os.unlink(os.path.join(folder, "trace"))
    before = disks.snapshot(folder)
    said = repair("--dry-run", path).out
    assert said.startswith("What an earlier repair did would be undone first.\n"), said
    assert not disks.changes(before, disks.snapshot(folder))
    done = repair(path).out
    assert done.startswith("What an earlier repair did was undone first.\n"), done
    assert len(done.split("\n")) == len(said.split("\n")) + 1, (said, done)
    clean(path)


@tap.case("an image in a block device is mended in place, with its undo file elsewhere", tap.root,
          tap.tool("losetup"))
def _(folder):
    path = make(folder, bad_names)
    before, undo = disks.sha256(path), os.path.join(folder, "undo")
    with Loop(path) as device:
        command.fails("repair", device, says="expected a path for the undo file")
        repair("--undo", undo, device)
        clean(device)
        repair("--undo-from", undo, device)
    assert disks.sha256(path) == before


@tap.case("no more than 64 MiB of memory, for a large image with much to release")
def _(folder):
    path = make(folder, size="64T", lines=[f"write {i}G 4K seed:{i + 1}" for i in range(200)])
    with open(path, "r+b") as file:
        bat = find_bat(file)
        for block in range(0, 200, 2):
            file.seek(bat + 8 * 1024 * block)
            file.write(bytes(8))
    process, peak = command.watched([VHDX, "repair", "-q", path])
    assert process.wait() == 0
    assert peak() < 64 * MIB, peak()


tap.main()
