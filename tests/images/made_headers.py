# SPDX-License-Identifier: MIT
"""Images whose identifier, headers or region tables are damaged or strange."""
from cases import faulty, made, refused
from disks import MIB, noise
from image import REGION_BAT, REGION_METADATA, UNKNOWN, Entry, Image, named_guid


def sound(name, **more):
    disk = Image(name, 4 * MIB, **more)
    disk.full(0, {0: noise("zero", 8192)})
    disk.full(3, {MIB - 512: noise("three", 512)})
    return disk


@refused("identifier", "no file type identifier", "IDENTIFIER", status=1, failure=1)
def _(name):
    disk = sound(name)
    disk.identifier = b"vhdxfilf"
    return disk


@refused("ends-in-header", "the file ends in its header section", "FILE_TOO_SHORT", "HEADER_NO_LOG",
         "REGION_PLACE")
def _(name):
    disk = sound(name)
    disk.length = 512 << 10
    return disk


@refused("ends-before-bat", "the file ends before its BAT", "REGION_PLACE")
def _(name):
    disk = sound(name)
    disk.length = 3 * MIB
    return disk


@faulty("header-1-damaged", "the older header is damaged", "HEADER_CHECKSUM")
def _(name):
    disk = sound(name)
    disk.headers[0].damaged = True
    return disk


@faulty("header-2-damaged", "the newer header is damaged: the older one counts", "HEADER_CHECKSUM")
def _(name):
    disk = sound(name)
    disk.headers[1].damaged = True
    disk.headers[1].log_guid = named_guid("nothing")
    return disk


@faulty("header-no-signature", "one header was never written", "HEADER_SIGNATURE")
def _(name):
    disk = sound(name)
    disk.headers[0].signature = b"\0\0\0\0"
    return disk


@faulty("header-checksum-80", "a checksum over 80 bytes is none", "HEADER_CHECKSUM")
def _(name):
    disk = sound(name)
    disk.headers[1].checksum_length = 80
    disk.headers[1].log_guid = named_guid("nothing")
    return disk


@refused("headers-damaged", "both headers are damaged", "HEADERS_BOTH_BAD", "HEADER_CHECKSUM")
def _(name):
    disk = sound(name)
    for header in disk.headers:
        header.damaged = True
    return disk


@made("headers-equal", "equal sequence numbers and equal bytes, as Disk2vhd writes them",
      notes={"HEADERS_IDENTICAL"})
def _(name):
    disk = sound(name)
    disk.headers[0].sequence = disk.headers[1].sequence
    return disk


@refused("headers-ambiguous", "equal sequence numbers, different bytes", "HEADERS_AMBIGUOUS")
def _(name):
    disk = sound(name)
    disk.headers[0].sequence = disk.headers[1].sequence
    disk.headers[0].data_guid = named_guid("another")
    return disk


@made("headers-differ", "each header has a DataWriteGuid of its own, as QEMU leaves them",
      notes={"HEADER_GUIDS_DIFFER"})
def _(name):
    disk = sound(name)
    disk.headers[0].data_guid = named_guid("another")
    return disk


@faulty("header-sequence-end", "the sequence number cannot grow any more", "HEADER_SEQUENCE_END")
def _(name):
    disk = sound(name)
    disk.headers[0].sequence = (1 << 64) - 2
    disk.headers[1].sequence = (1 << 64) - 1
    return disk


@refused("header-version", "Version of the current header is 2", "HEADER_VERSION", status=1, failure=1)
def _(name):
    disk = sound(name)
    disk.headers[1].version = 2
    return disk


@made("header-version-old", "Version of the older header does not matter")
def _(name):
    disk = sound(name)
    disk.headers[0].version = 2
    return disk


@refused("log-version", "LogVersion 1 with a log to replay", "HEADER_LOG_VERSION", status=1, failure=1)
def _(name):
    disk = sound(name)
    disk.begin_log()
    disk.append(Entry(1, [disk.bat_page()]))
    for header in disk.headers:
        header.log_version = 1
    return disk


@faulty("log-version-idle", "LogVersion 1 with nothing to replay", "HEADER_LOG_VERSION_IDLE")
def _(name):
    disk = sound(name)
    for header in disk.headers:
        header.log_version = 1
    return disk


@faulty("log-none", "no log at all, and nothing to replay", "HEADER_NO_LOG")
def _(name):
    disk = sound(name)
    for header in disk.headers:
        header.log_length = 0
    return disk


@faulty("log-unaligned", "the log does not begin on a MiB", "HEADER_LOG_ALIGNMENT")
def _(name):
    disk = sound(name)
    at = disk.allocate(2 * MIB)
    for header in disk.headers:
        header.log_offset = at + 4096
    disk.full(1, {}, at=MIB)
    return disk


@refused("log-past-end", "the log to replay is not in the file", "HEADER_LOG_PLACE")
def _(name):
    disk = sound(name)
    disk.begin_log()
    for header in disk.headers:
        header.log_offset = disk.end + MIB
    return disk


# ---- region tables

@faulty("regions-1-damaged", "the first region table is damaged", "REGION_TABLE_CHECKSUM")
def _(name):
    disk = sound(name)
    disk.tables[0].damaged = True
    return disk


@faulty("regions-2-damaged", "the second region table is damaged", "REGION_TABLE_CHECKSUM")
def _(name):
    disk = sound(name)
    disk.tables[1].damaged = True
    return disk


@made("regions-tail", "what lies behind the entries counts for the checksum, and for nothing else")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.tail = noise("tail", 5000)
    return disk


@faulty("regions-checksum-4096", "a checksum over 4 KiB of a region table is none",
        "REGION_TABLE_CHECKSUM")
def _(name):
    disk = sound(name)
    disk.tables[0].tail = noise("tail", 5000)
    disk.tables[0].checksum_length = 4096
    disk.tables[0].entries[0] = (REGION_BAT, disk.end - MIB, MIB, 1)
    return disk


@refused("regions-damaged", "both region tables are damaged", "REGION_TABLES_BOTH_BAD",
         "REGION_TABLE_CHECKSUM")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.damaged = True
    return disk


@faulty("regions-differ", "the second region table names another BAT", "REGION_TABLES_DIFFER")
def _(name):
    disk = sound(name)
    disk.tables[1].entries[0] = (REGION_BAT, disk.end - MIB, MIB, 1)
    return disk


@refused("region-unknown-required", "an unknown region is required", "REGION_UNKNOWN_REQUIRED",
         status=1, failure=1)
def _(name):
    disk = sound(name)
    at = disk.allocate(MIB)
    for table in disk.tables:
        table.entries.append((UNKNOWN, at, MIB, 1))
    return disk


@refused("region-count", "EntryCount near 2^32", "REGION_COUNT")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.count = (1 << 27) + 2
    return disk


@refused("region-twice", "the BAT region stands in the table twice", "REGION_DUPLICATE")
def _(name):
    disk = sound(name)
    at = disk.allocate(MIB)
    for table in disk.tables:
        table.entries.append((REGION_BAT, at, MIB, 1))
    return disk


@refused("region-missing", "there is no metadata region", "REGION_MISSING")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.entries.pop()
    return disk


@refused("region-past-end", "the BAT region lies behind the end of the file", "REGION_PLACE")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.entries[0] = (REGION_BAT, 1 << 40, MIB, 1)
    return disk


@refused("region-wraps", "offset and length of a region add up to more than 2^64", "REGION_PLACE")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.entries[1] = (REGION_METADATA, (1 << 64) - MIB, 2 * MIB, 1)
    return disk


@faulty("region-unaligned", "the BAT region does not begin on a MiB", "REGION_ALIGNMENT")
def _(name):
    disk = sound(name)
    disk.bat_at = disk.allocate(2 * MIB) + 4096
    for table in disk.tables:
        table.entries[0] = (REGION_BAT, disk.bat_at, MIB, 1)
    disk.full(1, {}, at=3 * MIB)
    return disk


@faulty("region-overlap", "an unknown region lies over a block", "BLOCK_OVERLAP")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.entries.append((UNKNOWN, disk.end - MIB, MIB, 0))
    return disk


@faulty("region-reserved", "a reserved field of the tables is not zero", "REGION_RESERVED")
def _(name):
    disk = sound(name)
    for table in disk.tables:
        table.reserved = 1
    return disk
