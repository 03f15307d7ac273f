# SPDX-License-Identifier: MIT
"""What a run that is stopped anywhere may leave to itself: processes that it started, and mounts of theirs."""
import contextlib
import ctypes
import os
import signal
import subprocess

PR_SET_CHILD_SUBREAPER = 36


def adopt():
    """From now on, processes whose parents end become children of this one, so that it finds them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            # The name before may hold anything.
            if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                yield int(name)


def end_children():
    """All of them, and theirs, which are this one's when their parents have ended."""
    while found := list(children()):
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)


def unmount_below(folder, but):
    """Whatever is mounted there, except at the points @but, which are somebody's who unmounts them."""
    with open("/proc/mounts", encoding="utf-8") as file:
        points = [line.split()[1] for line in file]
    for point in reversed(points):
        if point.startswith(folder + "/") and point not in but:
            subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)
