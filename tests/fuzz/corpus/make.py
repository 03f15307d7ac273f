#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the fuzz targets into the folders beside this script; ../input.h tells the form.

What fuzzing found lies beside them as found-WHAT, and is left alone.
"""
import pathlib
import struct

MEND = 0x80
FLAG_1, FLAG_2, FLAG_3 = 0x10, 0x20, 0x40
BYTES, VALUE, LOG, ACTION = range(4)
(IDENTIFIER, HEADER_1, HEADER_2, TABLE_1, TABLE_2, LOG_AREA, METADATA, ITEMS, BAT, BLOCK_ENTRY, BITMAP,
 BITMAP_ENTRY, LOCATOR, LOG_ENTRY, ITEM, PAYLOAD) = range(16)
(NUMBER, POWER, MINUS, FILE_SIZE, LOG_PLACE, LOG_LENGTH, BAT_PLACE, BAT_LENGTH, METADATA_PLACE,
 METADATA_LENGTH, BLOCK, BITMAP_PLACE, BLOCK_SIZE, DISK_SIZE, END, THERE) = range(16)
WRITE, ZERO, TRIM, FLUSH, ZERO_BLOCKS, TRIM_BLOCKS, REOPEN = range(7)
ACTION_SIZE = 15
WIDTHS = {1: 0, 2: 1, 4: 2, 8: 3}
UNIT_1, UNIT_512, UNIT_4K, UNIT_MIB = range(4)


def record(kind, layer, area, offset, payload=b"", length=None):
    head = bytes([kind << 6 | layer << 4 | area]) + (offset & 0xFFFFFF).to_bytes(3, "little")
    return head + bytes([len(payload) if length is None else length]) + payload


def patch(area, offset, data, layer=0):
    return record(BYTES, layer, area, offset, data)


def value(area, offset, width, symbol, argument=0, delta=0, unit=UNIT_1, bits=0, layer=0):
    payload = struct.pack("<BBBbBB", WIDTHS[width], symbol, argument, delta, unit, bits)
    return record(VALUE, layer, area, offset, payload)


def entry(*descriptors, flags=0, argument=0, layer=0):
    """A log entry; see ../logrecord.c. Descriptors: unit, page, place in the page, byte."""
    payload = bytes([flags, argument])
    for unit, page, place, byte in descriptors:
        payload += struct.pack("<BHHB", unit, page, place, byte)
    return record(LOG, layer, 0, 0, payload)


def action(kind, offset=0, length=0, layer=0):
    """No payload, though there is a length: the record behind it is none of the payload's."""
    return record(ACTION, layer, kind, offset, bytes(length))


def size(sectors, layer=0):
    return record(ACTION, layer, ACTION_SIZE, sectors)


def both(area, offset, data):
    return patch(area, offset, data) + patch(area + 1, offset, data)


DAMAGE = {
    "identifier": (0, patch(IDENTIFIER, 0, b"vhdxfilf")),
    "creator": (0, patch(IDENTIFIER, 8, b"\x00\xd8" * 20)),
    "header-1-bad": (0, patch(HEADER_1, 4, bytes(4))),
    "headers-both-bad": (0, both(HEADER_1, 0, b"h")),
    "headers-checksums": (0, both(HEADER_1, 4, b"1234")),
    "version-2": (MEND, both(HEADER_1, 66, b"\2\0")),
    "log-guid-set": (MEND, both(HEADER_1, 48, b"x")),
    "log-length": (MEND, value(HEADER_1, 68, 4, POWER, 30) + value(HEADER_2, 68, 4, NUMBER)),
    "log-over-bat": (MEND, value(HEADER_1, 72, 8, BAT_PLACE) + value(HEADER_2, 72, 8, BAT_PLACE)),
    "region-count": (MEND, value(TABLE_1, 8, 4, MINUS, 1) + value(TABLE_2, 8, 4, MINUS, 1)),
    "region-offset": (MEND, value(TABLE_1, 32, 8, POWER, 63)),
    "region-over-region": (MEND, value(TABLE_1, 32, 8, METADATA_PLACE) + value(TABLE_2, 32, 8, METADATA_PLACE)),
    "region-length": (MEND, value(TABLE_1, 40, 4, NUMBER, 1) + value(TABLE_2, 40, 4, NUMBER, 1)),
    "item-count": (0, value(METADATA, 10, 2, NUMBER, 255, 7, UNIT_512)),
    "item-offset": (0, value(METADATA, 48, 4, MINUS, 1)),
    "item-length": (0, value(METADATA, 52, 4, POWER, 31)),
    "item-bytes": (0, patch(ITEMS, 0, b"\xff" * 64)),
    "block-size": (0, value(ITEM, 0, 4, POWER, 28) + value(ITEM, 4096, 4, POWER, 28)),
    "bat-states": (0, b"".join(value(BLOCK_ENTRY, 8 * i, 8, THERE, bits=i) for i in range(8))),
    "bat-same-block": (0, value(BLOCK_ENTRY, 8, 8, BLOCK, 0, bits=6) + value(BLOCK_ENTRY, 16, 8, BLOCK, 0, bits=6)),
    "bat-behind-end": (0, value(BLOCK_ENTRY, 0, 8, POWER, 45, bits=6) + value(BLOCK_ENTRY, 8, 8, END, bits=6)),
    "bat-over-log": (0, value(BLOCK_ENTRY, 0, 8, LOG_PLACE, bits=6)),
    "bat-over-headers": (0, value(BLOCK_ENTRY, 0, 8, NUMBER, bits=6)),
    "bat-reserved": (0, value(BLOCK_ENTRY, 0, 8, THERE, 0, 3, UNIT_512)),
    "bitmap-missing": (0, value(BITMAP_ENTRY, 0, 8, NUMBER)),
    "bitmap-over-block": (0, value(BITMAP_ENTRY, 0, 8, BLOCK, 1, bits=6)),
    "log-entry": (MEND, entry((0, 0, 8, 0x66))),
    "log-entries": (MEND, entry((0, 0, 8, 0x66), (1, 0, 100, 1)) + entry((0x80, 0, 0, 0), (2, 0, 8, 1)) + entry()),
    "log-length-of-zeros": (MEND, entry((0xA0, 0, 0, 62))),
    "log-over-headers": (MEND, entry((8, 16, 0, 0))),
    "log-into-itself": (MEND, entry((3, 0, 0, 0))),
    "log-behind-end": (MEND, entry((7, 0, 0, 1), flags=4, argument=8)),
    "log-huge-last": (MEND, entry((0, 0, 0, 0), flags=8, argument=60)),
    "log-flushed-behind-end": (MEND, entry(flags=2, argument=63)),
    "short-file": (0, size(4096)),
    "short-file-of-1-mib": (0, size(2047)),
    "long-file": (0, size(0x3FFFF)),
}

CHAINS = {
    "locator-count": (0, value(LOCATOR, 18, 2, MINUS, 1)),
    "locator-type": (0, patch(LOCATOR, 0, bytes(16))),
    "locator-key-offset": (0, value(LOCATOR, 20, 4, MINUS, 1)),
    "locator-value-length": (0, value(LOCATOR, 30, 2, MINUS, 1)),
    "own-parent": (FLAG_1 | FLAG_2, patch(LOCATOR, 200, "layer0.vhdx\0".encode("utf-16-le"))),
    "parent-header": (MEND, value(HEADER_1, 16, 8, NUMBER, layer=1)),
    "parent-identity": (MEND, value(HEADER_1, 32, 8, NUMBER, layer=1) + value(HEADER_2, 32, 8, NUMBER, layer=1)),
    "parent-short": (0, size(4096, layer=1)),
    "parent-sector-size": (0, b"".join(value(ITEM, 4096 * i, 4, POWER, 12, layer=1) for i in range(8))),
    "parent-dirty": (MEND, entry((0, 0, 8, 0x66), layer=1)),
}

SESSIONS = {
    "writes": (0, b"".join(action(WRITE, (8 * i << 5) + i, 15, i % 4) for i in range(8))),
    "zeros": (0, b"".join(action(WRITE + i % 2, i, 15) for i in range(6)) + action(ZERO_BLOCKS, 0x1001, 2)),
    "trims": (0, action(TRIM_BLOCKS, 0, 3) + action(WRITE, 1, 7) + action(FLUSH) + action(TRIM, 1, 3)),
    "reopens": (0, action(WRITE, 2, 7) + action(REOPEN) + action(TRIM_BLOCKS, 0, 7) + action(REOPEN)),
    "dirty": (MEND, entry((0, 0, 2048, 0)) + action(WRITE, 3, 7) + action(FLUSH) + action(WRITE, 4, 7)),
    "overlap": (0, value(BLOCK_ENTRY, 8, 8, BLOCK, 0, bits=6) + action(WRITE, 3, 7)),
    "leftovers": (0, value(BLOCK_ENTRY, 0, 8, THERE, bits=3) + action(WRITE, 0, 3) + action(WRITE, 2, 3)),
    "beside-a-bad-block": (0, value(BLOCK_ENTRY, 0, 8, THERE, 0, 1) + action(WRITE, 5, 7) + action(TRIM_BLOCKS, 0, 7)),
}

NO_HEADERS = both(HEADER_1, 0, b"h") + both(TABLE_1, 0, b"h")
RUINS = {
    "no-header-section": (0, NO_HEADERS),
    "no-metadata": (0, patch(METADATA, 0, bytes(8))),
    "no-items": (0, NO_HEADERS + patch(METADATA, 10, bytes(2))),
    "no-bat": (0, b"".join(patch(BAT, 240 * i, bytes(240)) for i in range(2))),
    "nothing-but-blocks": (0, NO_HEADERS + patch(METADATA, 0, bytes(255)) + patch(BAT, 0, bytes(255))),
    "sizes-given": (FLAG_1 | FLAG_2, NO_HEADERS + patch(METADATA, 0, bytes(255))),
}

HEADER_PLACE, TABLE_PLACE, BYTES_PLACE, IMAGE_PLACE, END_PLACE = range(5)


def undo(place, offset, data=b""):
    return record(ACTION, 0, place, offset, data)


HURT = patch(HEADER_1, 4, bytes(4)) + value(BLOCK_ENTRY, 8, 8, BLOCK, 0, bits=6)
UNDONE = {
    "whole": (0, HURT),
    "not-finished": (MEND, HURT + undo(HEADER_PLACE, 16, b"\1")),
    "signature": (0, HURT + undo(HEADER_PLACE, 0, b"x")),
    "count": (MEND, HURT + undo(HEADER_PLACE, 20, b"\xff\xff\x3f\0")),
    "sizes": (MEND, HURT + undo(HEADER_PLACE, 24, b"\xff" * 16)),
    "table": (0, HURT + undo(TABLE_PLACE, 0, b"\1")),
    "range-offset": (MEND, HURT + undo(TABLE_PLACE, 0, b"\0" * 5 + b"\x10")),
    "range-length": (MEND, HURT + undo(TABLE_PLACE, 8, b"\0" * 7 + b"\x80")),
    "range-bytes": (MEND, HURT + undo(TABLE_PLACE, 16, b"\xff" * 8)),
    "range-kind": (MEND, HURT + undo(TABLE_PLACE, 24, b"\2")),
    "bytes": (MEND, HURT + undo(BYTES_PLACE, 8192, b"xyz")),
    "image-changed": (0, HURT + undo(IMAGE_PLACE, 65536 + 100, b"xyz")),
    "cut": (0, HURT + undo(END_PLACE, 8192)),
}

PADDED = 130
DECODED = {
    "identifier": (0, b"vhdxfile" + "somebody".encode("utf-16-le").ljust(512, b"\0")),
    "header": (1, b"head" + bytes(44) + b"g" * 16 + bytes(2) + b"\1\0" + b"\0\0\x10\0" + b"\0\0\x10" + bytes(4021)),
    "header-padded": (PADDED + 1, b"head"),
    "regions": (PADDED + 2, b"regi" + bytes(4) + b"\1" + bytes(7) + b"r" * 32),
    "metadata": (PADDED + 3, b"metadata" + bytes(2) + b"\2\0" + bytes(20) + b"i" * 32 + bytes(64)),
    "parameters": (4, b"\0\0\x20\0\2\0\0\0"),
    "locator": (5, bytes.fromhex("b7ef4ab09ed1814ab78925b8e9445913 0000 0100 20000000 22000000 0200 0200")
                + "kv".encode("utf-16-le")),
    "log": (6, b"loge" + bytes(4) + b"\0\x20\0\0" + bytes(4) + b"\7" + bytes(7) + b"\1" + bytes(7) + b"g" * 16
            + b"\0\0\x10" + bytes(5) + b"\0\0\x20" + bytes(5)
            + b"desc" + bytes(12) + b"\0\0\x20" + bytes(5) + b"\7" + bytes(7) + bytes(4000)),
    "utf-16": (7, "a\u00e9\u20ac\U0001f600".encode("utf-16-le")),
    "utf-16-half": (7, b"a\0\x3d\xd8b\0\0\xde"),
    "utf-8": (8, "a\u00e9\u20ac\U0001f600".encode()),
    "utf-8-overlong": (8, b"a\xc0\x80\xed\xa0\x80"),
    "bat": (9, b"\3\3" + bytes(range(16))),
}


def write(target, name, data):
    folder = pathlib.Path(__file__).parent / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def write_bases(target, flags=0):
    for base in range(0, 16, 3):
        write(target, f"whole-{base}", bytes([base | flags]))


def write_seeds(target, seeds, bases, flags=0):
    for name, (flag, records) in seeds.items():
        for base in bases:
            write(target, f"{name}-{base}", bytes([flag | flags | base]) + records)


LOGS = {name: seed for name, seed in DAMAGE.items() if name.startswith(("log-", "header", "short"))}
write_bases("open")
write_seeds("open", DAMAGE, (0, 3))
write_bases("chain")
write_seeds("chain", CHAINS, (1, 6))
write_seeds("chain", {"any-parent": (FLAG_1, b""), "examine": (FLAG_3, b"")}, (2,))
write_bases("replay")
write_seeds("replay", LOGS, (4, 7))
write_bases("repair")
write_seeds("repair", DAMAGE, (1, 3), FLAG_1)
write_seeds("repair", {"keep-log": (MEND, both(HEADER_1, 48, b"x")), "no-holes": (FLAG_2, b"")}, (3,))
write_bases("salvage")
write_seeds("salvage", DAMAGE, (1, 6))
write_seeds("salvage", RUINS, (0, 1, 6))
write_seeds("session", SESSIONS, (0, 1, 6))
write_seeds("undo", UNDONE, (1, 3))
for seed, (decoder, data) in DECODED.items():
    write("decode", seed, bytes([decoder]) + data)
