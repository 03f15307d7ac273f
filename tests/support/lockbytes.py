# SPDX-License-Identifier: MIT
"""Locks on a file as QEMU takes them: bytes that say what a program does with it, and forbids the others."""
import contextlib
import fcntl
import os
import struct

SETLK = getattr(fcntl, "F_OFD_SETLK", 37)
# Bytes of a file that QEMU locks: what its holder does, and what it lets nobody else do.
DOES, FORBIDS = 100, 200
READ, WRITE, RESIZE = 0, 1, 3
WRITER = (DOES + READ, DOES + WRITE, DOES + RESIZE, FORBIDS + WRITE, FORBIDS + RESIZE)
READER = (DOES + READ, FORBIDS + WRITE, FORBIDS + RESIZE)


@contextlib.contextmanager
def locked(path, *places):
    """Holds shared locks on bytes of a file, by an open file description of our own."""
    fd = os.open(path, os.O_RDWR)
    try:
        for place in places:
            fcntl.fcntl(fd, SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, place, 1, 0))
        yield
    finally:
        os.close(fd)
