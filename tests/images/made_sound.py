# SPDX-License-Identifier: MIT
"""Images without a fault, of every type and shape."""
import struct

from cases import made
from disks import GIB, KIB, MIB, noise
from image import (FULL, NONE, REQUIRED, UNDEFINED, UNKNOWN, UNMAPPED, USER, VIRTUAL_DISK, ZERO,
                   ITEM_SIZE, Image, Item, REGION_BAT, REGION_METADATA, guid_text, named_guid)


@made("dynamic", "present, ZERO, UNMAPPED, UNDEFINED and untouched blocks, out of order")
def _(name):
    disk = Image(name, 20 * MIB)
    disk.full(7, {0: noise("seven", MIB)})
    disk.full(0, {4096: noise("zero", 70000)})
    disk.full(19, {MIB - 512: noise("end", 512)})
    disk.state(1, ZERO)
    disk.state(2, UNMAPPED)
    disk.state(3, UNDEFINED)
    disk.state(4, NONE)
    return disk


@made("dynamic-anchors", "UNMAPPED and UNDEFINED blocks keep their space, and read as zeros")
def _(name):
    disk = Image(name, 4 * MIB)
    for block, state in ((0, UNMAPPED), (2, UNDEFINED)):
        at = disk.allocate(MIB)
        disk.bytes[at] = noise("left behind", 8192)
        disk.state(block, state, at)
    disk.full(1, {0: noise("one", 512)})
    return disk


@made("odd-end", "the disk ends inside its last block, and what lies behind is not the guest's")
def _(name):
    disk = Image(name, 10 * MIB + 3 * 512)
    disk.full(10, {0: noise("last", MIB)})
    disk.full(9, {0: noise("nine", MIB)})
    return disk


@made("one-sector", "a disk of one sector, with a block larger than itself")
def _(name):
    disk = Image(name, 512, 32 * MIB)
    disk.full(0, {0: noise("all", 4096)})
    return disk


@made("two-chunks", "data on both sides of the first bitmap entry of a dynamic disk")
def _(name):
    disk = Image(name, 4 * GIB + 7 * MIB, 2 * MIB)
    for block in (0, 2046, 2047, 2048, 2049, 2051):
        disk.full(block, {0: noise(f"block {block}", 8192), 2 * MIB - 512: noise("end", 512)})
    return disk


@made("whole-chunk", "the disk ends where its chunk does")
def _(name):
    disk = Image(name, 4 * GIB, 32 * MIB)
    disk.full(127, {32 * MIB - 4096: noise("end", 4096)})
    disk.full(0, {0: noise("begin", 4096)})
    return disk


@made("large-offsets", "sizes and offsets that do not fit in 32 bits")
def _(name):
    disk = Image(name, 9 * GIB + 512, 256 * MIB)
    disk.end = 5 * GIB
    disk.full(36, {0: noise("last", 512)})
    disk.full(16, {256 * MIB - 4096: noise("middle", 4096)})
    filler = disk.tables[0].entries[0][1] + MIB
    for table in disk.tables:  # an unknown region takes what would be leaked
        table.entries.append((UNKNOWN, filler, 4 * GIB - MIB, 0))
        table.entries.append((named_guid("second filler"), filler + 4 * GIB - MIB,
                              5 * GIB - filler - 4 * GIB + MIB, 0))
    return disk


@made("sectors-4096", "a chunk of 4096-byte sectors is 32 GiB")
def _(name):
    disk = Image(name, 32 * GIB + 3 * MIB, MIB, logical=4096)
    for block in (0, 32767, 32768, 32770):
        disk.full(block, {8192: noise(f"block {block}", 4096)})
    return disk


@made("sectors-4096-512", "4096-byte logical on 512-byte physical sectors", notes={"SECTOR_SIZE_ORDER"})
def _(name):
    disk = Image(name, 4 * MIB, logical=4096, physical=512)
    disk.full(2, {0: noise("two", 4096)})
    return disk


@made("sectors-512-512", "512-byte physical sectors, and an odd number of them")
def _(name):
    disk = Image(name, 3 * MIB + 512, physical=512)
    disk.full(3, {0: noise("last", 512)})
    return disk


@made("fixed", "a fixed disk: all blocks present, in order")
def _(name):
    disk = Image(name, 6 * MIB, 2 * MIB, fixed=True)
    for block in range(3):
        disk.full(block, {block * 4096: noise(f"block {block}", 65536)})
    return disk


@made("fixed-two-chunks", "a fixed disk past 4 GiB has bitmap entries between its blocks too")
def _(name):
    disk = Image(name, 17 * 256 * MIB, 256 * MIB, fixed=True)
    for block in range(17):
        disk.full(block, {block * 512: noise(f"block {block}", 512)})
    return disk


@made("fixed-zero", "a fixed disk whose blocks are all ZERO, as QEMU makes them",
      notes={"FIXED_NOT_PRESENT"})
def _(name):
    disk = Image(name, 4 * MIB, fixed=True)
    for block in range(4):
        disk.state(block, ZERO)
    return disk


@made("moved", "log, metadata and BAT elsewhere, in another order, among the blocks")
def _(name):
    disk = Image(name, 5 * MIB)
    disk.full(0, {0: noise("zero", 512)}, at=MIB)
    disk.full(1, {0: noise("one", 512)}, at=2 * MIB)
    disk.end = 3 * MIB
    disk.bat_at = disk.allocate(MIB)
    disk.full(4, {0: noise("four", 512)})
    disk.metadata_at = disk.allocate(MIB)
    log = disk.allocate(2 * MIB)
    for header in disk.headers:
        header.log_offset, header.log_length = log, 2 * MIB
    for table in disk.tables:
        table.entries = [(REGION_METADATA, disk.metadata_at, MIB, 1),
                         (REGION_BAT, disk.bat_at, MIB, 1)]
    return disk


@made("creator-full", "a creator of 256 units without an end")
def _(name):
    disk = Image(name, 3 * MIB)
    disk.creator = "x" * 256
    return disk


@made("sequence-unsigned", "sequence numbers are unsigned: the current header is the older-looking one")
def _(name):
    disk = Image(name, 3 * MIB)
    disk.headers[0].sequence = (1 << 63) + 5
    disk.headers[1].sequence = 7
    disk.headers[1].data_guid = named_guid("old")
    disk.headers[1].log_guid = named_guid("a log that is no more")
    return disk


@made("region-unknown", "an unknown region that is not required keeps its space")
def _(name):
    disk = Image(name, 3 * MIB)
    at = disk.allocate(2 * MIB)
    disk.bytes[at] = noise("unknown", 4096)
    for table in disk.tables:
        table.entries.append((UNKNOWN, at, 2 * MIB, 0))
    disk.full(0, {0: noise("zero", 512)})
    return disk


@made("region-not-required", "known regions that are not marked as required, as QEMU writes them",
      notes={"REGION_NOT_REQUIRED"})
def _(name):
    disk = Image(name, 3 * MIB)
    for table in disk.tables:
        table.entries = [entry[:3] + (0,) for entry in table.entries]
    disk.full(0, {0: noise("zero", 512)})
    return disk


@made("items-unknown", "unknown items that are not required, users' items, one named as a system item")
def _(name):
    disk = Image(name, 3 * MIB)
    disk.items[0:0] = [
        Item(UNKNOWN, b"unknown", 0),
        Item(UNKNOWN, b"the user's", USER),
        Item(ITEM_SIZE, struct.pack("<Q", 7), USER | VIRTUAL_DISK),
        Item(named_guid("empty"), b"", 0),
    ]
    disk.full(2, {0: noise("two", 512)})
    return disk


@made("items-not-required", "a known item without its required flag", notes={"ITEM_FLAGS_UNUSUAL"})
def _(name):
    disk = Image(name, 3 * MIB)
    disk.items[3].flags &= ~REQUIRED
    disk.full(0, {0: noise("zero", 512)})
    return disk


@made("leftovers", "stale table entries behind the last, and the entries of a closed log")
def _(name):
    from image import Entry
    disk = Image(name, 3 * MIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.items.append(Item(ITEM_SIZE, struct.pack("<Q", 7), REQUIRED))
    disk.metadata_count = 5
    disk.append(Entry(3, [(disk.bat_at, bytes(4096))]))
    return disk


@made("end-not-whole", "the file is not a whole number of MiB", notes={"FILE_NOT_WHOLE_MIB"})
def _(name):
    disk = Image(name, 3 * MIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.length = disk.end + 5 * KIB
    return disk


# ---- differencing

def base(size=8 * MIB, block_size=2 * MIB, **more):
    disk = Image("base", size, block_size, **more)
    for block in range(min(4, -(-size // block_size))):
        disk.full(block, {0: noise(f"base {block}", block_size)})
    return disk


def piece(first, sectors, size=512):
    return {first * size: noise(f"piece {first}", sectors * size)}


@made("child", "sectors of child and parent; the least significant bit comes first")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.partial(0, {**piece(0, 1), **piece(9, 3), **piece(64, 8), **piece(2047, 1)})
    disk.partial(3, piece(5, 1))
    disk.full(4, piece(100, 4))
    disk.full(7, {0: noise("seven", MIB)})
    return [disk, parent]


@made("child-4096", "bitmaps of 4096-byte sectors")
def _(name):
    parent = base(logical=4096)
    disk = Image(name, 8 * MIB, 2 * MIB, logical=4096, parent=parent)
    disk.partial(1, {**piece(1, 1, 4096), **piece(7, 2, 4096), **piece(511, 1, 4096)})
    return [disk, parent]


@made("child-of-child", "three images of different block sizes")
def _(name):
    parent = base()
    middle = Image("middle", 8 * MIB, MIB, parent=parent)
    middle.partial(0, piece(3, 5))
    middle.partial(5, piece(1, 2046))
    middle.state(2, ZERO)
    disk = Image(name, 8 * MIB, 4 * MIB, parent=middle)
    disk.partial(0, {**piece(4, 1), **piece(4097, 1)})
    disk.partial(1, piece(8191, 1))
    return [disk, middle, parent]


@made("child-odd-end", "a partial block that the disk ends in")
def _(name):
    parent = base(size=7 * MIB + 1536)
    disk = Image(name, 7 * MIB + 1536, 2 * MIB, parent=parent)
    disk.partial(3, {2 * MIB - MIB + 512: noise("second to last", 512)})
    return [disk, parent]


@made("child-stale-bits", "bits of blocks that are not PARTIALLY_PRESENT mean nothing")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.partial(0, piece(1, 1))
    for block in (1, 2, 3):
        disk.set_bits(block, range(0, 2048, 3))
    disk.full(1, piece(8, 8))
    disk.state(2, ZERO)
    disk.state(3, NONE)
    return [disk, parent]


@made("child-hides", "ZERO, UNMAPPED and UNDEFINED hide the parent, and what lies at their offset")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.state(0, ZERO)
    disk.state(1, UNMAPPED)
    disk.state(2, UNDEFINED)
    for block, state in ((3, UNMAPPED), (4, UNDEFINED)):
        at = disk.allocate(MIB)
        disk.bytes[at] = noise("left behind", MIB)
        disk.state(block, state, at)
    return [disk, parent]


@made("child-second-chunk", "a partial block in the second chunk has the second bitmap")
def _(name):
    parent = Image("base", 17 * 256 * MIB, 256 * MIB)
    parent.full(15, {0: noise("base 15", 8192)})
    parent.full(16, {0: noise("base 16", 8192)})
    disk = Image(name, 17 * 256 * MIB, 256 * MIB, parent=parent)
    disk.partial(15, piece(1, 3))
    disk.partial(16, piece(2, 9))
    return [disk, parent]


@made("child-linkage2", "parent_linkage2 names the parent, where a merge was interrupted")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.locator["parent_linkage2"] = disk.locator["parent_linkage"]
    disk.locator["parent_linkage"] = guid_text(named_guid("before the merge"))
    disk.partial(0, piece(0, 2))
    return [disk, parent]


@made("child-linkage2-nil", "a parent_linkage2 of zeros, as Windows writes it")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.locator["parent_linkage2"] = guid_text(bytes(16))
    disk.partial(0, piece(0, 2))
    return [disk, parent]


@made("child-linkage-case", "linkage is compared without regard to case")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.locator["parent_linkage"] = disk.locator["parent_linkage"].upper()
    disk.partial(0, piece(0, 2))
    return [disk, parent]


@made("child-larger", "what lies behind the parent's end is zeros", chain=(0, set()))
def _(name):
    parent = base(size=5 * MIB + 512)
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.partial(5, piece(3, 1))
    disk.partial(7, piece(3, 1))
    return [disk, parent]


@made("child-smaller", "a child smaller than its parent")
def _(name):
    parent = base()
    disk = Image(name, 3 * MIB + 512, MIB, parent=parent)
    disk.partial(2, piece(3, 1))
    return [disk, parent]


@made("child-extra-keys", "keys that nobody knows, in any order")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.locator = {"zzz": "?", **dict(reversed(disk.locator.items())), "parent_colour": "blue"}
    disk.partial(2, piece(3, 1))
    return [disk, parent]


@made("child-absolute", "only an absolute path: its last component lies beside the child")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    del disk.locator["relative_path"]
    disk.locator["absolute_win32_path"] = "\\\\?\\C:\\disks\\base.vhdx"
    disk.partial(2, piece(3, 1))
    return [disk, parent]


@made("child-leave-allocated", "LeaveBlocksAllocated means nothing in a child",
      notes={"PARAMETER_IGNORED"})
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.items[0].data = struct.pack("<II", MIB, 3)
    disk.partial(2, piece(3, 1))
    return [disk, parent]


@made("child-bitmap-unused", "a bitmap block that no block needs any more")
def _(name):
    parent = base()
    disk = Image(name, 8 * MIB, MIB, parent=parent)
    disk.bitmap(0)
    disk.set_bits(1, range(100))
    disk.bat[disk.payload_index(5)] = disk.allocate(MIB) | FULL
    disk.guest.zero(5 * MIB, MIB)
    return [disk, parent]
