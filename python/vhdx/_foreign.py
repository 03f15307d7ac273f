# SPDX-License-Identifier: MIT
"""Signatures of other formats, as cli/foreign.c has them, whose bytes are hardly ever meant as those of a disk."""
import os
import stat
from typing import NamedTuple, Optional

from ._library import Path

BY_QEMU = "qemu-img convert -O raw makes a raw disk of it"


class Signature(NamedTuple):
    offset: int  # below zero from the file's end
    content: bytes
    name: str
    advice: str


SIGNATURES = [
    Signature(0, b"QFI\xfb", "a qcow2 image", BY_QEMU),
    Signature(0, b"QED\0", "a QED image", BY_QEMU),
    Signature(0, b"KDMV", "a VMDK image", BY_QEMU),
    Signature(0, b"COWD", "a VMDK image", BY_QEMU),
    Signature(0, b"# Disk Descripto", "the descriptor of a VMDK image", BY_QEMU),
    Signature(0x40, b"\x7f\x10\xda\xbe", "a VDI image", BY_QEMU),
    Signature(0, b"WithoutFreeSpace", "a Parallels image", BY_QEMU),
    Signature(0, b"WithouFreSpacExt", "a Parallels image", BY_QEMU),
    Signature(0, b"conectix", "a VHD image, the format before VHDX", BY_QEMU),
    Signature(-512, b"conectix", "a VHD image, the format before VHDX", BY_QEMU),
    Signature(0, b"EVF\x09\x0d\x0a\xff\0", "an EWF image", "ewfexport makes a raw disk of it"),
    Signature(0, b"\x1f\x8b\x08", "packed by gzip", "unpack it first, by gunzip"),
    Signature(0, b"\xfd7zXZ", "packed by xz", "unpack it first, by unxz"),
    Signature(0, b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it first, by unzstd"),
    Signature(0, b"BZh91AY&SY", "packed by bzip2", "unpack it first, by bunzip2"),
    Signature(0, b"\x04\x22\x4d\x18", "packed by lz4", "unpack it first, by unlz4"),
    Signature(0, b"PK\x03\x04", "a zip archive", "unpack it first, by unzip"),
    Signature(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first, by 7z x"),
    Signature(257, b"ustar", "a tar archive", "unpack it first, by tar -xf"),
    Signature(0, b"MSWIM\0\0\0", "a WIM archive", "wimapply writes it to a disk"),
]


def find(file: Path) -> Optional[Signature]:
    """What the file is, by its content; None: nothing that is known here, or it cannot be read."""
    try:
        # Opening a pipe or a device may wait, or do something.
        kind = os.stat(file).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISBLK(kind):
            return None
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        for one in SIGNATURES:
            offset = one.offset if one.offset >= 0 else size + one.offset
            if offset >= 0 and os.pread(fd, len(one.content), offset) == one.content:
                return one
    except OSError:
        pass
    finally:
        os.close(fd)
    return None
