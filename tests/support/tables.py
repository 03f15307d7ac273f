# SPDX-License-Identifier: MIT
"""Partition tables, byte by byte: DOS with logical partitions, and GPT. Numbers are in sectors."""
import struct
import uuid
import zlib

LINUX, EXTENDED, BSD = 0x83, 0x05, 0xa5
GPT_ENTRIES, GPT_ENTRY = 128, 128


def dos(entries):
    """A sector with up to four (type, start, length)."""
    rows = b"".join(struct.pack("<B3xB3xII", 0, *entry) for entry in entries)
    return bytes(446) + rows.ljust(64, b"\0") + b"\x55\xaa"


def logical(container, partitions):
    """{sector: bytes} of the chain in the container that begins there; each (link, start, length), the
    link and the start from the disk's beginning. The last one may be (link, start, length, next)."""
    found = {}
    for i, (link, start, length, *onward) in enumerate(partitions):
        entries = [(LINUX, start - link, length)]
        if onward or i + 1 < len(partitions):
            following = onward[0] if onward else partitions[i + 1][0]
            entries.append((EXTENDED, following - container, 1))
        found[link] = dos(entries)
    return found


def gpt(sectors, sector, partitions):
    """{sector: bytes} of the table of a disk of @sectors, each of @sector bytes; {number: (first, last)}."""
    rows = bytearray(GPT_ENTRIES * GPT_ENTRY)
    kind = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
    for number, (first, last) in partitions.items():
        own = uuid.uuid5(uuid.NAMESPACE_OID, str(number)).bytes_le
        rows[(number - 1) * GPT_ENTRY:number * GPT_ENTRY] = struct.pack(
            "<16s16sQQQ72s", kind, own, first, last, 0, f"part {number}".encode("utf-16le"))
    room = -(-len(rows) // sector)

    def header(here, there, table):
        def pack(checksum):
            return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, here, there,
                               2 + room, sectors - room - 2, uuid.UUID(int=7).bytes_le, table,
                               GPT_ENTRIES, GPT_ENTRY, zlib.crc32(rows))
        return pack(zlib.crc32(pack(0)))

    return {0: dos([(0xee, 1, min(sectors - 1, 0xffffffff))]),
            1: header(1, sectors - 1, 2), 2: bytes(rows),
            sectors - 1 - room: bytes(rows), sectors - 1: header(sectors - 1, 1, sectors - 1 - room)}


def bsd(partitions, magic=0x82564557):
    """The label that lies in a partition's second sector: (start, length) from the disk's beginning."""
    label = bytearray(512)
    struct.pack_into("<I", label, 0, magic)
    struct.pack_into("<I", label, 132, magic)
    struct.pack_into("<HII", label, 138, len(partitions), 8192, 8192)
    for i, (start, length) in enumerate(partitions):
        struct.pack_into("<IIIBBH", label, 148 + 16 * i, length, start, 0, 7, 0, 0)
    checksum = 0
    for (word,) in struct.iter_unpack("<H", label):
        checksum ^= word
    struct.pack_into("<H", label, 136, checksum)
    return bytes(label)
