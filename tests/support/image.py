# SPDX-License-Identifier: MIT
"""Builds VHDX images byte by byte from the format's definition, faults included, without the library.

An Image is filled in, damaged at will, and written. What a guest must see is kept apart from it in
`guest`, a flat model that never looks at tables, so that the two can be held against each other."""
import functools
import os
import struct
import uuid

from disks import MIB, Model

SECTOR = 4096
HEADER_AT = (64 << 10, 128 << 10)
TABLE_AT = (192 << 10, 256 << 10)
NONE, UNDEFINED, ZERO, UNMAPPED, FULL, PARTIAL = 0, 1, 2, 3, 6, 7
USER, VIRTUAL_DISK, REQUIRED = 1, 2, 4


def guid(text):
    return uuid.UUID(text).bytes_le


REGION_BAT = guid("2DC27766-F623-4200-9D64-115E9BFD4A08")
REGION_METADATA = guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
ITEM_PARAMETERS = guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
ITEM_SIZE = guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
ITEM_DISK_ID = guid("BECA12AB-B2E6-4523-93EF-C309E000C746")
ITEM_LOGICAL = guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
ITEM_PHYSICAL = guid("CDA348C7-445D-4471-9CC9-E9885251C556")
ITEM_LOCATOR = guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
LOCATOR_VHDX = guid("B04AEFB7-D19E-4A81-B789-25B8E9445913")
UNKNOWN = guid("6f1d9d7a-55a1-4c1c-8f2e-0d9f4f2b7c11")
NIL = bytes(16)


def named_guid(name):
    return uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes_le


def guid_text(raw):
    return "{%s}" % uuid.UUID(bytes_le=raw)


def _table():
    out = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        out.append(byte)
    return tuple(out)


_CRC = _table()


@functools.lru_cache(256)
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def sealed(data, length=None):
    """The structure with the checksum of its first @length bytes in bytes 4 to 7."""
    clear = data[:4] + bytes(4) + data[8:]
    return data[:4] + struct.pack("<I", crc32c(clear[:length])) + data[8:]


class Header:
    def __init__(self, sequence, name):
        self.signature = b"head"
        self.sequence = sequence
        self.file_guid = named_guid(name + " file")
        self.data_guid = named_guid(name + " data")
        self.log_guid = NIL
        self.log_version = 0
        self.version = 1
        self.log_length = MIB
        self.log_offset = MIB
        self.checksum_length = SECTOR
        self.damaged = False

    def encode(self):
        raw = self.signature + bytes(4) + struct.pack(
            "<Q16s16s16sHHIQ", self.sequence, self.file_guid, self.data_guid, self.log_guid,
            self.log_version, self.version, self.log_length, self.log_offset)
        raw = sealed(raw.ljust(SECTOR, b"\0"), self.checksum_length)
        return raw[:100] + b"\1" + raw[101:] if self.damaged else raw


class Table:
    """A region table: entries of (GUID, offset, length, required)."""

    def __init__(self, entries):
        self.entries = list(entries)
        self.count = None
        self.reserved = 0
        self.damaged = False
        self.tail = b""              # of its 64 KiB
        self.checksum_length = None  # None: all of them

    def encode(self):
        count = len(self.entries) if self.count is None else self.count
        raw = b"regi" + bytes(4) + struct.pack("<II", count, self.reserved)
        raw += b"".join(struct.pack("<16sQII", *entry) for entry in self.entries)
        raw = raw.ljust((64 << 10) - len(self.tail), b"\0") + self.tail
        raw = sealed(raw, self.checksum_length)
        return raw[:9000] + b"\1" + raw[9001:] if self.damaged else raw


class Item:
    def __init__(self, item_id, data, flags):
        self.id = item_id
        self.data = data
        self.flags = flags
        self.offset = None  # None: behind the one before
        self.length = None  # None: the data's


class Entry:
    """A log entry. @writes: (target, 4096 bytes) or (target, length), the latter to be zeroed."""

    def __init__(self, sequence, writes, tail=None, flushed=None, last=None):
        self.sequence = sequence
        self.writes = writes
        self.tail = tail        # an offset in the log; None: its own
        self.flushed = flushed  # None: the file's size
        self.last = last
        self.torn = False
        self.count = None       # DescriptorCount, if not the number of writes

    def encode(self, image, offset):
        sectors, descriptors = [], b""
        for target, what in self.writes:
            if isinstance(what, int):
                descriptors += struct.pack("<4sIQQQ", b"zero", 0, what, target, self.sequence)
                continue
            descriptors += struct.pack("<4s4s8sQQ", b"desc", what[4092:], what[:8], target,
                                       self.sequence)
            sectors.append(struct.pack("<4sI", b"data", self.sequence >> 32) + what[8:4092] +
                           struct.pack("<I", self.sequence & 0xFFFFFFFF))
        first = -(-(64 + len(descriptors)) // SECTOR) * SECTOR
        size = image.file_size()
        raw = b"loge" + bytes(4) + struct.pack(
            "<IIQII16sQQ", first + SECTOR * len(sectors), offset if self.tail is None else self.tail,
            self.sequence, len(self.writes) if self.count is None else self.count, 0,
            image.log_guid,
            size if self.flushed is None else self.flushed, size if self.last is None else self.last)
        raw = sealed((raw + descriptors).ljust(first, b"\0") + b"".join(sectors))
        return raw[:-100] + b"\xee" * 100 if self.torn else raw


class Image:
    def __init__(self, name, size, block_size=MIB, logical=512, physical=4096, fixed=False,
                 parent=None, bat_length=MIB):
        self.name = name
        self.size = size
        self.block_size = block_size
        self.logical = logical
        self.parent = parent  # the Image of it
        self.guest = Model(size, parent and parent.guest)
        self.creator = "libvhdx tests"
        self.identifier = b"vhdxfile"
        self.headers = [Header(1, name), Header(2, name)]
        self.log_guid = named_guid(name + " log")
        self.log = {}
        self.metadata_at = 2 * MIB
        self.bat_at = 3 * MIB
        self.tables = [Table([(REGION_BAT, 3 * MIB, bat_length, 1),
                              (REGION_METADATA, 2 * MIB, MIB, 1)]) for _ in range(2)]
        self.end = 3 * MIB + bat_length  # what is allocated next
        self.length = None               # the file's, if not up to its last structure
        self.bat = {}
        self.bytes = {}                  # payload and bitmaps by offset in the file
        self.metadata_signature = b"metadata"
        self.metadata_count = None
        flags = (2 if parent else 0) | (1 if fixed else 0)
        self.items = [
            Item(ITEM_PARAMETERS, struct.pack("<II", block_size, flags), REQUIRED),
            Item(ITEM_SIZE, struct.pack("<Q", size), REQUIRED | VIRTUAL_DISK),
            Item(ITEM_LOGICAL, struct.pack("<I", logical), REQUIRED | VIRTUAL_DISK),
            Item(ITEM_PHYSICAL, struct.pack("<I", physical), REQUIRED | VIRTUAL_DISK),
            Item(ITEM_DISK_ID, named_guid("disk"), REQUIRED | VIRTUAL_DISK),
        ]
        self.locator_type = LOCATOR_VHDX
        self.locator = {}
        if parent:
            self.locator = {
                "parent_linkage": guid_text(parent.headers[1].data_guid),
                "relative_path": ".\\" + parent.name + ".vhdx",
            }
            self.items.append(Item(ITEM_LOCATOR, None, REQUIRED))

    # ---- geometry

    def ratio(self):
        return (self.logical << 23) // self.block_size

    def payload_index(self, block):
        return block + block // self.ratio()

    def bitmap_index(self, chunk):
        return chunk * (self.ratio() + 1) + self.ratio()

    def file_size(self):
        return self.end if self.length is None else self.length

    def item(self, item_id):
        return next(item for item in self.items if item.id == item_id)

    # ---- contents

    def allocate(self, length):
        self.end += length
        return self.end - length

    def state(self, block, state, at=0):
        """Puts a state into the BAT; the guest sees zeros, or with NONE what it saw."""
        self.bat[self.payload_index(block)] = at | state
        if state != NONE or not self.parent:
            self.guest.zero(block * self.block_size, self.block_size)

    def full(self, block, pieces, at=None):
        """A present block: @pieces are bytes by their offset in it, the rest is zero."""
        at = self.allocate(self.block_size) if at is None else at
        self.state(block, FULL, at)
        for offset, data in pieces.items():
            self.bytes[at + offset] = data
            room = self.size - block * self.block_size - offset
            if room > 0:
                self.guest.write(block * self.block_size + offset, data[:room])
        return at

    def bitmap(self, chunk):
        """The offset of a chunk's bitmap block, made at its first use."""
        index = self.bitmap_index(chunk)
        if index not in self.bat:
            at = self.allocate(MIB)
            self.bat[index] = at | FULL
            self.bytes[at] = bytearray(MIB)
        return self.bat[index] & ~0xFFFFF

    def set_bits(self, block, sectors):
        bits = self.bytes[self.bitmap(block // self.ratio())]
        first = block % self.ratio() * (self.block_size // self.logical)
        for sector in sectors:
            bits[(first + sector) >> 3] |= 1 << ((first + sector) & 7)

    def partial(self, block, pieces):
        """A partly present block; where @pieces, by their offset, are not, the parent shows."""
        self.bitmap(block // self.ratio())
        at = self.allocate(self.block_size)
        self.bat[self.payload_index(block)] = at | PARTIAL
        for offset, data in pieces.items():
            first = offset // self.logical
            self.set_bits(block, range(first, first + len(data) // self.logical))
            self.bytes[at + offset] = data
            room = self.size - block * self.block_size - offset
            if room > 0:
                self.guest.write(block * self.block_size + offset, data[:room])
        return at

    # ---- the log

    def begin_log(self, log_guid=None):
        for header in self.headers:
            header.log_guid = log_guid or self.log_guid

    def append(self, entry, at=None):
        """Puts an entry into the log, behind the ones before; returns its offset there."""
        if at is None:
            at = self.log_next if self.log else 0
        raw, length = entry.encode(self, at), self.headers[1].log_length
        for i in range(0, len(raw), SECTOR):
            self.log[(at + i) % length] = raw[i:i + SECTOR]
        self.log_next = (at + len(raw)) % length
        return at

    def bat_page(self, number=0, **changes):
        """A page of the BAT as it stands with @changes of entries ("b3"=value): (target, bytes)."""
        entries = dict(self.bat)
        entries.update({int(name[1:]): value for name, value in changes.items()})
        raw = b"".join(struct.pack("<Q", entries.get(number * 512 + i, 0)) for i in range(512))
        return self.bat_at + number * SECTOR, raw

    # ---- bytes

    def locator_bytes(self):
        pairs = list(self.locator.items()) if isinstance(self.locator, dict) else self.locator
        head = self.locator_type + struct.pack("<HH", 0, len(pairs))
        at, table, text = 20 + 12 * len(pairs), b"", b""
        for key, value in pairs:
            key, value = key.encode("utf-16-le"), value.encode("utf-16-le", "surrogatepass")
            table += struct.pack("<IIHH", at, at + len(key), len(key), len(value))
            text += key + value
            at += len(key) + len(value)
        return head + table + text

    def metadata_bytes(self):
        count = len(self.items) if self.metadata_count is None else self.metadata_count
        table = self.metadata_signature + struct.pack("<HH20x", 0, count)
        at, values = 64 << 10, {}
        for item in self.items:
            data = self.locator_bytes() if item.data is None else item.data
            offset = item.offset if item.offset is not None else at if data else 0
            length = len(data) if item.length is None else item.length
            table += struct.pack("<16sIIIxxxx", item.id, offset, length, item.flags)
            values[offset] = data
            if data:
                at = max(at, offset + len(data))
        out = bytearray(table.ljust(at, b"\0"))
        for offset, data in values.items():
            if data and offset >= 64 << 10:
                out[offset:offset + len(data)] = data
        return bytes(out)

    def write(self, folder, name=None):
        path = os.path.join(folder, (name or self.name) + ("" if name else ".vhdx"))
        with open(path, "wb") as out:
            def put(offset, data):
                out.seek(offset)
                out.write(data)
            put(0, self.identifier + self.creator.encode("utf-16-le"))
            for at, header in zip(HEADER_AT, self.headers):
                put(at, header.encode())
            for at, table in zip(TABLE_AT, self.tables):
                put(at, table.encode())
            for offset, sector in self.log.items():
                put(self.headers[1].log_offset + offset, sector)
            put(self.metadata_at, self.metadata_bytes())
            for index, value in self.bat.items():
                put(self.bat_at + index * 8, struct.pack("<Q", value))
            for offset, data in self.bytes.items():
                put(offset, bytes(data))
            out.truncate(self.file_size())
        return path
