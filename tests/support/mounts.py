# SPDX-License-Identifier: MIT
"""Mounts of the disk under test, loop devices, and file systems on these; each ends with its `with` block."""
import ctypes
import errno
import os
import signal
import subprocess
import tempfile
import time

import command
import tap
from command import VHDX

HELPER = os.environ.get("VHDX_MOUNT", "")
# For what must come but takes as long as the machine likes.
PATIENCE = 60

# Of fallocate(2).
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE = 1, 2, 8, 16


def fuse():
    if not HELPER or not os.path.exists(HELPER):
        return "vhdx mount is not built (VHDX_MOUNT)"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse: {error.strerror}"
    return None if tap.find_tool("fusermount3") else "no fusermount3"


def loop_devices():
    """Each kind of container has its own way of refusing them, so one is made."""
    if tap.root() or not tap.find_tool("losetup"):
        return "needs root and losetup"
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 20)
        done = subprocess.run([tap.find_tool("losetup"), "--show", "-f", file.name],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            return f"no loop devices: {done.stderr}"
        detach(done.stdout.strip())
    return None


FUSE = (fuse,)
LOOP = (fuse, loop_devices)


def wait_for(what, told):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, f"waited {PATIENCE} s for {told}"
        time.sleep(0.01)


def is_mounted(point):
    """By the kernel's list, for a look at a mount whose server was killed is an error."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return any(line.split()[4] == point for line in mounts)


def unmount(point, lazy=False):
    return subprocess.run(["fusermount3", "-u", *(["-z"] if lazy else []), point],
                          capture_output=True, text=True, check=False)


class Point:
    """A folder to mount on, for commands that should fail or go to the background: free afterwards."""

    def __init__(self, folder):
        self.point = os.path.join(folder, "point")
        os.mkdir(self.point)

    def __enter__(self):
        return self.point

    def __exit__(self, *_):
        if is_mounted(self.point):
            unmount(self.point, lazy=True)


class Mount:
    """`vhdx mount -f`, so that its end, its status and its messages are seen. Says what it must say."""

    def __init__(self, folder, image, *options, says=""):
        self.says = says
        self.point = tempfile.mkdtemp(prefix="mnt.", dir=folder)
        self.errors = tempfile.TemporaryFile(dir=folder)
        self.process = command.start([VHDX, "mount", "-f", *options, image, self.point],
                                     stdout=subprocess.DEVNULL, stderr=self.errors)
        try:
            wait_for(lambda: is_mounted(self.point) or self.process.poll() is not None, "the mount")
            assert self.process.poll() is None, self.err()
        except BaseException:
            self.abandon()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.process.poll() is None:
                self.end()
        finally:
            self.abandon()

    def path(self, name="disk"):
        return os.path.join(self.point, name)

    def err(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "surrogateescape")

    def open(self, name="disk", flags=os.O_RDWR):
        return Descriptor(os.open(self.path(name), flags))

    def wait(self, status=0):
        found = self.process.wait(PATIENCE)
        assert found == status, f"exit {found}: {self.err()}"
        err = self.err()
        assert "Sanitizer" not in err and "runtime error:" not in err, err
        assert self.says in err if self.says else not err, err

    def end(self, status=0):
        """Unmounted, and the disk closed. A program that served a file system on it may still be ending."""
        def is_free():
            done = unmount(self.point)
            assert not done.returncode or "busy" in done.stderr, done.stderr
            return not done.returncode
        wait_for(is_free, "the last user's end")
        self.wait(status)

    def stop(self, number):
        self.process.send_signal(number)
        self.wait()
        assert not is_mounted(self.point)

    def kill(self):
        """The server is gone from one moment to the next; the mount stays."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        assert is_mounted(self.point)
        assert not unmount(self.point, lazy=True).returncode

    def abandon(self):
        if self.process.poll() is None:
            unmount(self.point, lazy=True)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if is_mounted(self.point):
            unmount(self.point, lazy=True)
        self.errors.close()


def refused(number, function, *words):
    try:
        function(*words)
    except OSError as error:
        assert error.errno == number, error
    else:
        assert False, f"not refused: {function.__name__}{words}"


def fallocate(fd, mode, offset, length):
    """fallocate(2), which Python does not have."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if libc.fallocate(fd, mode, offset, length):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Descriptor:
    """A file's number that is closed with its block."""

    def __init__(self, fd):
        self.fd = fd

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)


def detach(device):
    subprocess.run([tap.find_tool("losetup"), "-d", device], check=True)


class Loop:
    """A block device over a file."""

    def __init__(self, path, *options):
        self.device = command.run([tap.find_tool("losetup"), "--show", "-f", *options, path]).out.strip()

    def __enter__(self):
        return self.device

    def __exit__(self, *_):
        detach(self.device)


def is_in_use(device):
    """By a file system: also where only another namespace still has the mount, which a test beside this one made."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        assert error.errno == errno.EBUSY, error
        return True
    return False


class Mounted:
    """A file system that is mounted from a block device; gives the folder. Written and let go when it ends."""

    def __init__(self, folder, device, *words):
        self.device = device
        self.point = tempfile.mkdtemp(prefix="fs.", dir=folder)
        command.run([*(words or ["mount"]), device, self.point])

    def __enter__(self):
        return self.point

    def __exit__(self, kind, *_):
        done = subprocess.run(["umount", self.point], capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["umount", "-l", self.point], check=False)
        assert kind or not done.returncode, done.stderr
        if not kind:
            wait_for(lambda: not is_in_use(self.device), f"{self.device} to be let go")
