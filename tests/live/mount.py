#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx mount: the disk as a file, read and written, flushed and killed, full and refused."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import concurrent.futures
import errno
import mmap
import random
import re
import signal
import stat
import tempfile
import time

import disks
import mounts
import samples
import tap
from command import VHDX, fails, run, vhdx, vhdx_json
from disks import GIB, KIB, MIB, Model, noise
from image import FULL, Image
from mounted import SIZE, create, daemon_of, filled, holds, is_sound, write_all
from mounts import FUSE, KEEP_SIZE, PUNCH_HOLE, Mount, fallocate, refused



# ---- What is there ----

@tap.case("the disk is one file of its size, readable only, and so is the folder", *FUSE)
def _(folder):
    path, model = filled(folder)
    os.chmod(path, 0o640)
    with Mount(folder, path) as mount:
        assert os.listdir(mount.point) == ["disk"]
        st = os.stat(mount.path())
        assert stat.S_ISREG(st.st_mode) and st.st_size == SIZE and st.st_uid == os.geteuid(), st
        assert stat.S_IMODE(st.st_mode) == 0o440 and st.st_blksize == 4096, st
        assert 0 < st.st_blocks < SIZE // 512, "cp and tar would not look for holes"
        assert stat.S_IMODE(os.stat(mount.point).st_mode) == 0o550
        assert os.statvfs(mount.point).f_flag & os.ST_RDONLY
        with open(mount.path(), "rb") as file:
            assert file.read() == model.read(0, SIZE)
        with open("/proc/self/mounts", encoding="utf-8") as list_of:
            assert f"{path} {mount.point} fuse.vhdx ro," in list_of.read()


@tap.case("a writable mount's files can be written by the one who mounted, and others as the image", *FUSE)
def _(folder):
    path = create(folder)
    for mode, expected in ((0o600, 0o600), (0o644, 0o644), (0o666, 0o666), (0o700, 0o600), (0o060, 0o660)):
        os.chmod(path, mode)
        with Mount(folder, path, "-w") as mount:
            assert stat.S_IMODE(os.stat(mount.path()).st_mode) == expected, (oct(mode), mount.path())


@tap.case("a read-only mount refuses every change, and the image stays as it is, a dirty one too", *FUSE)
def _(folder):
    path, _ = samples.dynamic(folder)
    dirty, _ = samples.dirty(folder)
    child, _, _ = samples.family(folder)
    for image in (path, dirty, child):
        before = disks.snapshot(folder)
        with Mount("/tmp", image) as mount:
            refused(errno.EROFS, os.open, mount.path(), os.O_RDWR)
            refused(errno.EROFS, os.truncate, mount.path(), 0)
            refused(errno.EROFS, os.unlink, mount.path())
            refused(errno.EROFS, os.mkdir, mount.path("new"))
            refused(errno.EROFS, os.utime, mount.path())
            with mount.open(flags=os.O_RDONLY) as fd:
                while os.read(fd, MIB):
                    pass
        assert not disks.changes(before, disks.snapshot(folder)), image
        os.rmdir(mount.point)


@tap.case("no option of FUSE makes a read-only mount writable", *FUSE)
def _(folder):
    path = create(folder)
    for option in ("rw", "fsname=other", "debug"):
        with Mount(folder, path, "-o", option, says="INIT" if option == "debug" else "") as mount:
            assert os.statvfs(mount.point).f_flag & os.ST_RDONLY
            refused(errno.EROFS, os.open, mount.path(), os.O_RDWR)


@tap.case("images of any name can be mounted", *FUSE)
def _(folder):
    for name in ("a,b.vhdx", "a b=c.vhdx", "back\\slash,o.vhdx", "new\nline.vhdx", "-w"):
        path = create(folder, name=name)
        with Mount(folder, path, "-w") as mount, mount.open() as fd:
            assert os.pwrite(fd, b"x", 0) == 1
        is_sound(path)


@tap.case("a damaged block cannot be read, and says so; those beside it can", *FUSE)
def _(folder):
    disk = Image("damaged", 4 * MIB)
    for block in range(3):
        disk.full(block, {0: noise(str(block), MIB)})
    disk.bat[disk.payload_index(1)] = 1 << 62 | FULL
    path = disk.write(folder)
    with Mount(folder, path, says="BAT") as mount, mount.open(flags=os.O_RDONLY) as fd:
        refused(errno.EUCLEAN, os.pread, fd, 4096, MIB)
        for block in (0, 2):
            assert os.pread(fd, 4096, block * MIB) == noise(str(block), MIB)[:4096]


@tap.case("what a child does not hold is its parent's, also beside other parents", *FUSE)
def _(folder):
    away = os.path.join(folder, "away")
    os.mkdir(away)
    child, parent, _ = samples.family(folder, folder)
    vhdx("convert", child, os.path.join(folder, "expected.raw"))
    os.rename(parent, os.path.join(away, os.path.basename(parent)))
    fails("mount", child, folder, says="parent")
    with Mount(folder, child, "--parent-dir", away) as mount:
        assert disks.digest(mount.path()) == disks.digest(os.path.join(folder, "expected.raw"))


@tap.case("writing through a mount to a child leaves its parent as it is, and a hole hides it", *FUSE)
def _(folder):
    parent, model = filled(folder)
    with Mount(folder, parent, "-w") as mount, mount.open() as fd:
        os.pwrite(fd, noise("hidden", 6 * MIB), 10 * MIB)
        model.write(10 * MIB, noise("hidden", 6 * MIB))
    child = create(folder, "--parent", parent, size=0, name="child.vhdx")
    before = disks.snapshot(parent)
    with Mount(folder, child, "-w") as mount, mount.open() as fd:
        for at in (0, 5 * MIB + 512, SIZE - 4096):
            os.pwrite(fd, noise(f"child {at}", 4096), at)
            model.write(at, noise(f"child {at}", 4096))
        for offset, length in ((10 * MIB, 4 * MIB + 512), (15 * MIB + 100, 5000)):
            fallocate(fd, PUNCH_HOLE | KEEP_SIZE, offset, length)
            model.zero(offset, length)
        assert os.pread(fd, SIZE, 0) == model.read(0, SIZE)
    assert not disks.changes(before, disks.snapshot(parent))
    holds(child, model, folder)
    is_sound(child)


# ---- Reading and writing ----

@tap.case("any bytes can be written and read back, at once from several threads", *FUSE)
def _(folder):
    for options in ([], ["--type", "fixed"], ["--sector-size", "4096", "--block-size", "1M"]):
        path = create(folder, *options)
        model = Model(SIZE)

        def worker(number):
            """Each thread has a part of its own."""
            chance, mine = random.Random(number), []
            with mount.open() as fd:
                for i in range(40):
                    length = chance.choice((1, 512, 4096, 100000, 2 * MIB + 5))
                    at = number * (SIZE // 4) + chance.randrange(SIZE // 4 - length)
                    data = noise(f"{number} {i}", length)
                    write_all(fd, data, at)
                    mine.append((at, data))
                    if i % 8 == 0:
                        os.fsync(fd)
                    assert os.pread(fd, length, at) == data
            return mine
        with Mount(folder, path, "-w") as mount, concurrent.futures.ThreadPoolExecutor(4) as pool:
            for written in pool.map(worker, range(4)):
                for at, data in written:
                    model.write(at, data)
            with open(mount.path(), "rb") as file:
                assert file.read() == model.read(0, SIZE)
        holds(path, model, folder)
        is_sound(path)
        os.unlink(path)


@tap.case("parallel readers see the same", *FUSE)
def _(folder):
    path, model = filled(folder)

    def reader(seed):
        chance = random.Random(seed)
        with mount.open(flags=os.O_RDONLY) as fd:
            for _ in range(100):
                at = chance.randrange(SIZE)
                length = chance.choice((1, 4096, 300000))
                assert os.pread(fd, length, at) == model.read(at, min(length, SIZE - at)), at
    for options in ([], ["-w"]):
        with Mount(folder, path, *options) as mount, concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(reader, range(8)))


@tap.case("the end of the disk: reads end there, writes are cut, then there is no space", *FUSE)
def _(folder):
    path = create(folder, size=SIZE + 512)
    with Mount(folder, path, "-w") as mount, mount.open() as fd:
        assert os.pwrite(fd, noise("end", 4096), SIZE) == 512
        refused(errno.ENOSPC, os.pwrite, fd, b"x", SIZE + 512)
        refused(errno.ENOSPC, os.pwrite, fd, b"x", 1 << 60)
        assert os.pread(fd, 4096, SIZE) == noise("end", 4096)[:512]
        assert os.pread(fd, 4096, SIZE + 512) == os.pread(fd, 4096, 1 << 60) == b""
        assert os.fstat(fd).st_size == SIZE + 512
        with mount.open(flags=os.O_WRONLY | os.O_APPEND) as appending:
            refused(errno.ENOSPC, os.write, appending, b"x")


@tap.case("a file can be mapped for reading", *FUSE)
def _(folder):
    path, model = filled(folder)
    for options in ([], ["-w"]):
        with Mount(folder, path, *options) as mount, mount.open(flags=os.O_RDONLY) as fd:
            with mmap.mmap(fd, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
                assert mapped[:MIB] == model.read(0, MIB) and mapped[-512:] == model.read(SIZE - 512, 512)


@tap.case("sizes, modes and names are fixed; times may be set, which changes nothing", *FUSE)
def _(folder):
    path, model = filled(folder)
    with Mount(folder, path, "-w") as mount:
        disk = mount.path()
        refused(errno.EPERM, os.truncate, disk, 0)
        refused(errno.EPERM, os.truncate, disk, SIZE + 512)
        refused(errno.EPERM, os.open, disk, os.O_RDWR | os.O_TRUNC)
        os.truncate(disk, SIZE)
        run(["sh", "-c", f"echo lost >{disk}"], status={1, 2})
        refused(errno.EPERM, os.chmod, disk, 0o777)
        refused(errno.EPERM, os.unlink, disk)
        refused(errno.EPERM, os.mkdir, mount.path("folder"))
        refused(errno.EPERM, os.rename, disk, mount.path("other"))
        refused(errno.EPERM, os.open, mount.path("new"), os.O_RDWR | os.O_CREAT)
        refused(errno.ENOENT, os.stat, mount.path("p1"))
        os.utime(disk)
    holds(path, model, folder)


# ---- Durability, signals ----

@tap.case("what fsync returned for outlives a kill, and the image is valid", *FUSE)
def _(folder):
    for sync in (os.fsync, os.fdatasync):
        path = create(folder)
        model = Model(SIZE)
        with Mount(folder, path, "-w") as mount:
            with mount.open() as fd:
                for at in range(0, 20 * MIB, 3 * MIB):
                    os.pwrite(fd, noise(str(at), 70000), at)
                    model.write(at, noise(str(at), 70000))
                sync(fd)
            mount.kill()
        assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "dirty"
        holds(path, model, folder)
        vhdx("replay", path)
        holds(path, model, folder)
        is_sound(path, clean=False)
        os.unlink(path)


@tap.case("a kill in the middle of writing leaves a valid image", *FUSE)
def _(folder):
    path = create(folder)
    data = noise("some", MIB)
    with Mount(folder, path, "-w") as mount:
        pid = os.fork()
        if not pid:
            try:
                fd = os.open(mount.path(), os.O_RDWR)
                for at in range(0, SIZE, MIB):
                    os.pwrite(fd, data, at)
            finally:
                os._exit(0)
        mounts.wait_for(lambda: os.stat(path).st_blocks * 512 > 8 * MIB, "the first blocks")
        mount.kill()
        os.waitpid(pid, 0)
    is_sound(path, clean=False)
    vhdx("replay", path)
    raw = os.path.join(folder, "contents.raw")
    vhdx("convert", path, raw)
    with open(raw, "rb") as file:
        while found := file.read(MIB):
            for i in range(0, MIB, 512):
                assert found[i:i + 512] in (data[i:i + 512], bytes(512)), "neither old nor new"


@tap.case("a signal unmounts and closes the disk cleanly", *FUSE)
def _(folder):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        path = create(folder)
        model = Model(SIZE)
        with Mount(folder, path, "-w") as mount:
            with mount.open() as fd:
                os.pwrite(fd, noise("kept", 100000), MIB)
            model.write(MIB, noise("kept", 100000))
            mount.stop(number)
        is_sound(path)
        holds(path, model, folder)
        os.unlink(path)


@tap.case("in the background: mounted when the command returns, ended by fusermount3 or a signal", *FUSE)
def _(folder):
    # A name that no other process has, for the daemon is found by it.
    path, model = filled(folder, os.path.basename(folder))
    with mounts.Point(folder) as point:
        for options, by_signal in (([], False), (["-w"], False), (["-w"], True)):
            # Paths are relative, and the daemon's folder is another.
            vhdx("mount", *options, os.path.basename(path), "point", cwd=folder)
            pid = daemon_of(os.path.basename(path))
            try:
                assert mounts.is_mounted(point)
                assert disks.digest(os.path.join(point, "disk")) == model.digest()
                assert pid and os.readlink(f"/proc/{pid}/cwd") == "/"
                assert os.readlink(f"/proc/{pid}/fd/0") == os.readlink(f"/proc/{pid}/fd/2") == "/dev/null"
                if by_signal:
                    os.kill(pid, signal.SIGTERM)
                    mounts.wait_for(lambda: not mounts.is_mounted(point), "the unmount")
            finally:
                done = mounts.unmount(point)
            assert by_signal or not done.returncode, done.stderr
            mounts.wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe"), "the daemon's end")
        is_sound(path)


def own_root():
    """fusermount3, which is left to unmount, wants a mount point at the root."""
    return None if mounts.is_mounted("/") else "the root is no mount point (a chroot's is not)"


@tap.case("-o auto_unmount: a killed mount is not in the way", *FUSE, own_root)
def _(folder):
    path, gone = create(folder), False
    # fusermount3 looks once whether the process has gone. It may look before the kernel has noticed, and then leaves
    # it: seldom, on a machine that has much to do.
    for _ in range(3):
        with Mount(folder, path, "-o", "auto_unmount") as mount:
            mount.process.kill()
            mount.process.wait()
            end = time.monotonic() + 10
            while not gone and time.monotonic() < end:
                time.sleep(0.05)
                gone = not mounts.is_mounted(mount.point)
        if gone:
            return
    raise AssertionError("it stays mounted")


# ---- No space ----

class SmallPlace:
    """A file system of a few MiB, so that it can be full."""

    def __init__(self, folder, size=24 * MIB):
        self.point = os.path.join(folder, "small")
        os.mkdir(self.point)
        run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.point])

    def __enter__(self):
        return self.point

    def __exit__(self, *_):
        run(["umount", "-l", self.point])


@tap.case("a full file system: writes fail with ENOSPC, reads go on, and writes once there is room", *FUSE,
          tap.root)
def _(folder):
    with SmallPlace(folder) as small:
        path = create(small, size=GIB)
        model = Model(GIB)
        ballast = samples.write(small, "ballast", bytes(8 * MIB))
        with Mount(folder, path, "-w", says="No space left") as mount, mount.open() as fd:
            failed = 0
            for at in range(0, 40 * MIB, MIB):
                try:
                    write_all(fd, noise(str(at), MIB), at)
                    model.write(at, noise(str(at), MIB))
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
                    failed = failed or at
            assert 4 * MIB <= failed, failed
            assert os.pread(fd, failed, 0) == model.read(0, failed)
            os.fsync(fd)
            os.pwrite(fd, noise("over", 4096), 8192)
            model.write(8192, noise("over", 4096))
            os.unlink(ballast)
            # What failed may have been written in part.
            write_all(fd, noise("again", MIB), failed)
            model.write(failed, noise("again", MIB))
            fallocate(fd, PUNCH_HOLE | KEEP_SIZE, failed + MIB, 40 * MIB)
            os.fsync(fd)
        holds(path, model, folder)
        is_sound(path)


@tap.case("a full file system: a mount that is killed leaves what was flushed", *FUSE, tap.root)
def _(folder):
    with SmallPlace(folder) as small:
        path = create(small, size=GIB)
        with Mount(folder, path, "-w", says="No space left") as mount:
            with mount.open() as fd:
                write_all(fd, noise("first", 4 * MIB), 0)
                os.fsync(fd)
                refused(errno.ENOSPC, write_all, fd, bytes(b"x" * 64 * MIB), 64 * MIB)
            mount.kill()
        with Mount(folder, path) as mount, mount.open(flags=os.O_RDONLY) as fd:
            assert os.pread(fd, 4 * MIB, 0) == noise("first", 4 * MIB)
        is_sound(path, clean=False)


# ---- What is refused ----

@tap.case("errors are one line, nothing stays mounted, and no image changes", *FUSE)
def _(folder):
    path, _ = samples.dynamic(folder)
    other = samples.write(folder, "other", b"no image" * 1000)
    with mounts.Point(folder) as point:
        before = disks.snapshot(folder)
        fails("mount", says="operand is missing")
        fails("mount", path, says="operand is missing")
        fails("mount", path, point, "more", says="one operand too many")
        fails("mount", path, other, says="other: cannot be mounted on: not a folder")
        fails("mount", path, os.path.join(folder, "none"), says="none: cannot be mounted on: No such file.*mkdir")
        fails("mount", os.path.join(folder, "none"), point, says="none: .*No such file")
        fails("mount", other, point, says="other: not a VHDX image")
        fails("mount", "-w", folder, point, says="directory|regular")
        fails("mount", os.path.join(folder, "none"), path, says="not a folder")
        fails("mount", point, path, says=f"expected {path} {point}")
        fails("mount", "--no-holes", path, point, says="add -w")
        fails("mount", "-o", "no_such_option", path, point, says="no_such_option")
        fails("mount", "-w", "--force-share", path, point, says="leave out -w")
        fails("mount", "--bogus", path, point, says="unknown option '--bogus'")
        assert not mounts.is_mounted(point)
        assert not disks.changes(before, disks.snapshot(folder))


@tap.case("a terminal is told how the mount ends, and a pipe nothing", *FUSE)
def _(folder):
    path, _ = samples.dynamic(folder)
    with mounts.Point(folder) as point:
        assert not vhdx("mount", path, point).out
        assert not mounts.unmount(point).returncode
        reading, terminal = os.openpty()
        vhdx("mount", path, point, stdout=terminal)
        assert f"fusermount3 -u {point}" in os.read(reading, 1000).decode()
        os.close(terminal)
        os.close(reading)


@tap.case("a second mount on the same folder is refused: it would hide the first", *FUSE)
def _(folder):
    path, _ = samples.dynamic(folder)
    with mounts.Mount(folder, path) as mount:
        fails("mount", path, mount.point, says=f"mounted there already .fusermount3 -u {mount.point}")
        assert os.listdir(mount.point) == ["disk"]


def as_nobody(folder, script):
    """Runs it where anybody may open /dev/fuse, as on a desktop; the machine's stays as it is."""
    device = os.path.join(tempfile.mkdtemp(dir=folder), "fuse")
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(10, 229))
    except OSError as error:
        raise tap.Skip(f"mknod: {error.strerror}") from None
    os.chmod(device, 0o666)
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    return run(["unshare", "-m", "sh", "-c", f"mount --bind {device} /dev/fuse && exec {nobody} sh -c '{script}'"],
               status=None, cwd=folder)


@tap.case("an ordinary user mounts, and what fusermount3 refuses is one line", *FUSE, tap.root,
          tap.tool("unshare", "setpriv"))
def _(folder):
    if as_nobody(folder, f"test -x {VHDX} -a -x {mounts.HELPER}").status:
        raise tap.Skip("the build is in a folder that is closed to others, or /dev/fuse cannot be stood in for")
    path = create(folder)
    os.chmod(path, 0o666)
    for name in ("mine", "roots"):
        os.mkdir(os.path.join(folder, name))
    os.chown(os.path.join(folder, "mine"), 65534, 65534)
    done = as_nobody(folder, f"{VHDX} mount -w disk.vhdx mine && stat -c %s,%u,%a mine/disk && fusermount3 -u mine")
    assert not done.status and not done.err and done.out == f"{SIZE},65534,666\n", done
    done = as_nobody(folder, f"{VHDX} mount disk.vhdx roots")
    assert done.status == 1 and re.fullmatch(r"vhdx mount: roots: cannot be mounted on: .*access.*\n", done.err), done


@tap.case("a damaged image is refused with status 2, before anything is mounted", *FUSE)
def _(folder):
    path, _ = samples.dynamic(folder)
    with open(path, "r+b") as file:
        for at in (192 * KIB, 256 * KIB):
            file.seek(at)
            file.write(b"\xff" * 64 * KIB)
    with mounts.Point(folder) as point:
        fails("mount", path, point, status=2)
        assert not mounts.is_mounted(point)


@tap.case("a disk that is mounted for writing is locked; one for reading is shared", *FUSE)
def _(folder):
    path = create(folder)
    with mounts.Point(folder) as point:
        with Mount(folder, path, "-w"):
            fails("mount", path, point, says="in another process|in use")
            fails("mount", "-w", path, point, says="in another process|in use")
        with Mount(folder, path):
            with Mount(folder, path):
                fails("mount", "-w", path, point, says="in another process|in use")
        vhdx("check", path)


if __name__ == "__main__":
    tap.main()
