#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of fuzz_open into the folder open/ beside this script; fuzz_open.c tells the format."""
import pathlib

MEND = 0x80
SIZE = 0xFF
# Areas as tests/support/damage.c lists them.
IDENTIFIER, HEADER_1, HEADER_2, TABLE_1, TABLE_2, LOG, METADATA, ITEMS, BAT = range(9)


def patch(area, offset, data):
    return bytes([area]) + offset.to_bytes(3, "little") + bytes([len(data)]) + data


def number(value, size):
    return value.to_bytes(size, "little")


SEEDS = {
    "identifier": (0, patch(IDENTIFIER, 0, b"vhdxfilf")),
    "creator": (0, patch(IDENTIFIER, 8, b"\x00\xd8" * 20)),
    "header-1-bad": (0, patch(HEADER_1, 4, b"\0\0\0\0")),
    "headers-both-bad": (0, patch(HEADER_1, 0, b"h") + patch(HEADER_2, 0, b"h")),
    "version-2": (MEND, patch(HEADER_1, 66, b"\2\0") + patch(HEADER_2, 66, b"\2\0")),
    "log-guid-set": (MEND, patch(HEADER_1, 48, b"x") + patch(HEADER_2, 48, b"x")),
    "log-length": (MEND, patch(HEADER_1, 68, number(0x40000000, 4)) + patch(HEADER_2, 68, number(0, 4))),
    "region-count": (MEND, patch(TABLE_1, 8, number(0xFFFFFFFF, 4))),
    "region-offset": (MEND, patch(TABLE_1, 32, number(2**63, 8))),
    "region-length": (MEND, patch(TABLE_1, 40, number(1, 4))),
    "item-count": (0, patch(METADATA, 10, number(2048, 2))),
    "item-offset": (0, patch(METADATA, 48, number(0xFFFFFFFF, 4))),
    "item-bytes": (0, patch(ITEMS, 0, b"\xff" * 64)),
    "bat-entries": (0, patch(BAT, 0, b"".join(number(n << 20 | n & 7, 8) for n in range(1, 16)))),
    "log-entry": (MEND, patch(LOG, 0, b"loge" + bytes(4) + number(4096, 4) + bytes(4) + number(9, 8))),
    "short-file": (0, patch(SIZE, 4096, b"")),
    "short-file-of-1-mib": (0, patch(SIZE, 2047, b"")),
    "long-file": (0, patch(SIZE, 0xFFFFFF, b"")),
}

folder = pathlib.Path(__file__).parent / "open"
folder.mkdir(exist_ok=True)
for base in range(16):
    (folder / f"whole-{base}").write_bytes(bytes([base]))
for name, (flag, patches) in SEEDS.items():
    for base in (0, 1, 3):
        (folder / f"{name}-{base}").write_bytes(bytes([flag | base]) + patches)
