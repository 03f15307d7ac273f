# SPDX-License-Identifier: MIT
"""Images whose metadata or BAT is damaged or strange."""
import struct

from cases import faulty, made, refused
from disks import MIB, TIB, noise
from image import (FULL, ITEM_DISK_ID, ITEM_LOGICAL, ITEM_PARAMETERS, ITEM_PHYSICAL, ITEM_SIZE, NONE,
                   PARTIAL, REQUIRED, UNKNOWN, UNMAPPED, VIRTUAL_DISK, ZERO, Image, Item, guid)

INCOMPLETE = guid("71CC85F0-1B69-4E28-9558-C3BF83AE75D3")


def sound(name, size=6 * MIB, **more):
    disk = Image(name, size, **more)
    disk.full(0, {0: noise("zero", 8192)})
    disk.full(3, {MIB - 512: noise("three", 512)})
    return disk


# ---- metadata

@refused("metadata-signature", "the metadata table has no signature", "METADATA_SIGNATURE")
def _(name):
    disk = sound(name)
    disk.metadata_signature = b"metadate"
    return disk


@refused("metadata-count", "EntryCount of the metadata table is above 2047", "METADATA_COUNT")
def _(name):
    disk = sound(name)
    disk.metadata_count = 2048
    return disk


@refused("item-twice", "an item twice, with different values", "ITEM_DUPLICATE")
def _(name):
    disk = sound(name)
    disk.items.append(Item(ITEM_SIZE, struct.pack("<Q", 2 * MIB), REQUIRED | VIRTUAL_DISK))
    return disk


@refused("item-unknown-required", "an unknown item is required", "ITEM_UNKNOWN_REQUIRED", status=1,
         failure=1)
def _(name):
    disk = sound(name)
    disk.items.append(Item(UNKNOWN, b"unknown", REQUIRED))
    return disk


@refused("item-incomplete", "the file's creation was never finished", "ITEM_INCOMPLETE_FILE")
def _(name):
    disk = sound(name)
    disk.items.append(Item(INCOMPLETE, b"", REQUIRED))
    return disk


for missing, item_id in (("parameters", ITEM_PARAMETERS), ("size", ITEM_SIZE),
                         ("logical", ITEM_LOGICAL)):
    @refused(f"item-no-{missing}", "a needed item is missing", "ITEM_MISSING")
    def _(name, gone=item_id):
        disk = sound(name)
        disk.items.remove(disk.item(gone))
        return disk


@faulty("item-no-disk-id", "the disk's identifier is missing", "DISK_ID_MISSING")
def _(name):
    disk = sound(name)
    disk.items.remove(disk.item(ITEM_DISK_ID))
    return disk


@faulty("item-no-physical", "the physical sector size is missing", "PHYSICAL_SECTOR_MISSING")
def _(name):
    disk = sound(name)
    disk.items.remove(disk.item(ITEM_PHYSICAL))
    return disk


@refused("item-length", "a known item of the wrong length", "ITEM_LENGTH")
def _(name):
    disk = sound(name)
    disk.item(ITEM_SIZE).length = 4
    return disk


@refused("item-outside", "a known item outside its region", "ITEM_PLACE")
def _(name):
    disk = sound(name)
    disk.item(ITEM_LOGICAL).offset = MIB - 2
    return disk


@refused("item-offset-wraps", "offset and length of an item add up to more than 2^32", "ITEM_PLACE")
def _(name):
    disk = sound(name)
    disk.items[-1].data = b""
    disk.items[-1].offset, disk.items[-1].length = (1 << 32) - 8, 16
    return disk


for bad in (0, 512 << 10, 3 * MIB, 512 * MIB):
    @refused(f"block-size-{bad >> 10}k", "a block size that is none", "BLOCK_SIZE")
    def _(name, value=bad):
        disk = sound(name)
        disk.items[0].data = struct.pack("<II", value, 0)
        return disk


for bad in (0, 513, 1024):
    @refused(f"sector-size-{bad}", "a sector size that is none", "SECTOR_SIZE")
    def _(name, value=bad):
        disk = sound(name)
        disk.item(ITEM_LOGICAL).data = struct.pack("<I", value)
        return disk


for bad in (0, 6 * MIB + 1, 64 * TIB + 512, (1 << 64) - 512):
    @refused(f"disk-size-{bad:x}", "a disk size that is none", "DISK_SIZE")
    def _(name, value=bad):
        disk = sound(name)
        disk.item(ITEM_SIZE).data = struct.pack("<Q", value)
        return disk


@refused("bat-too-small", "a size whose table would be cut at 32 bits", "BAT_TOO_SMALL")
def _(name):
    disk = sound(name)
    disk.item(ITEM_SIZE).data = struct.pack("<Q", 64 * TIB)
    return disk


@faulty("parameters-reserved", "reserved flags of the File Parameters are set", "PARAMETER_FLAGS")
def _(name):
    disk = sound(name)
    disk.items[0].data = struct.pack("<II", MIB, 1 << 5)
    return disk


# ---- BAT

@faulty("state-4", "a reserved state: that block cannot be read", "BLOCK_STATE", reads=False)
def _(name):
    disk = sound(name)
    disk.state(1, 4)
    return disk


@faulty("state-5", "state 5, UNMAPPED of version 0.95, reads as zeros", "BLOCK_STATE_5")
def _(name):
    disk = sound(name)
    disk.state(1, 5)
    return disk


@faulty("partial-alone", "a PARTIALLY_PRESENT block without a parent is a present one",
        "BLOCK_PARTIAL_ALONE")
def _(name):
    disk = sound(name)
    at = disk.full(1, {512: noise("one", 512)})
    disk.bat[1] = at | PARTIAL
    return disk


@faulty("entry-reserved", "reserved bits of an entry are set", "ENTRY_RESERVED")
def _(name):
    disk = sound(name)
    disk.bat[0] |= 1 << 12
    return disk


@faulty("block-at-0", "a present block without an offset", "BLOCK_PLACE", reads=False)
def _(name):
    disk = sound(name)
    disk.bat[1] = FULL
    return disk


@faulty("block-past-end", "a block behind the end of the file", "BLOCK_PLACE", reads=False)
def _(name):
    disk = sound(name)
    disk.bat[1] = disk.end | FULL
    return disk


@faulty("block-past-2-64", "the largest offset: adding the block wraps", "BLOCK_PLACE", reads=False)
def _(name):
    disk = sound(name)
    disk.bat[1] = ((1 << 64) - MIB) | FULL
    return disk


@faulty("block-short", "the file ends inside its last block: the rest of it is zeros", "BLOCK_SHORT",
        notes={"FILE_NOT_WHOLE_MIB"})
def _(name):
    disk = sound(name)
    disk.full(1, {0: noise("one", 4096)})
    disk.length = disk.end - MIB + 65536
    return disk


for gone in (1, 4096):
    @faulty(f"block-cut-{gone}", "the file ends a little before its last block does", "BLOCK_SHORT",
            notes={"FILE_NOT_WHOLE_MIB"})
    def _(name, cut=gone):
        disk = sound(name)
        disk.full(1, {MIB - 8192: noise("one", 8192)})
        disk.guest.zero(2 * MIB - cut, cut)
        disk.length = disk.end - cut
        return disk


@refused("bat-cut", "the file ends inside the last entry of the BAT that counts", "BAT_CUT")
def _(name):
    disk = Image(name, 6 * MIB)
    disk.state(5, ZERO)
    disk.length = disk.bat_at + 6 * 8 - 1
    return disk


@made("bat-cut-padding", "the file ends in the padding of the BAT region: nothing is lost",
      notes={"FILE_NOT_WHOLE_MIB"})
def _(name):
    disk = Image(name, 6 * MIB)
    disk.state(5, ZERO)
    disk.length = disk.bat_at + 6 * 8
    return disk


@faulty("block-twice", "two blocks at one offset", "BLOCK_OVERLAP")
def _(name):
    disk = sound(name)
    disk.state(1, FULL, disk.bat[0] & ~7)
    disk.guest.write(MIB, disk.guest.read(0, MIB))
    return disk


@faulty("blocks-cross", "two blocks of 2 MiB overlap by 1", "BLOCK_OVERLAP")
def _(name):
    disk = Image(name, 8 * MIB, 2 * MIB)
    at = disk.full(0, {0: noise("zero", 4096), MIB: noise("both", 4096)})
    disk.full(2, {2 * MIB - 512: noise("two", 512)}, at=at + MIB)
    disk.guest.write(4 * MIB, noise("both", 4096))
    disk.end += MIB
    return disk


@faulty("block-over-metadata", "a block lies over the metadata", "BLOCK_OVERLAP")
def _(name):
    disk = sound(name)
    disk.state(1, FULL, 2 * MIB)
    disk.guest.write(MIB, disk.metadata_bytes())
    return disk


@faulty("block-over-anchor", "the space that an UNMAPPED block keeps is another's", "BLOCK_OVERLAP")
def _(name):
    disk = sound(name)
    disk.state(1, UNMAPPED, disk.bat[0] & ~7)
    return disk


@made("leftover-offset", "ZERO and NOT_PRESENT with an offset: only Windows minds",
      notes={"BLOCK_LEFTOVER_OFFSET"}, windows=(2, {"BLOCK_LEFTOVER_OFFSET"}))
def _(name):
    disk = sound(name)
    disk.state(1, ZERO, disk.bat[0] & ~7)
    disk.state(2, NONE, disk.bat[3] & ~7)
    return disk


@made("bat-padding", "what lies in the BAT region behind its last entry is nothing",
      notes={"BAT_PADDING"})
def _(name):
    disk = sound(name)
    disk.bat[6] = 5 << 40 | FULL
    disk.bat[4095] = (1 << 64) - 1
    return disk


@faulty("bitmap-alone", "a bitmap entry is set on a disk without a parent", "BITMAP_ENTRY_ALONE")
def _(name):
    disk = Image(name, 5 << 30, 256 * MIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.full(19, {0: noise("last", 512)})
    disk.bat[16] = disk.allocate(MIB) | FULL
    return disk


# ---- space

def leak(disk, length):
    """Space that nothing refers to, and that holds something."""
    disk.bytes[disk.allocate(length)] = noise("lost", 512)


@made("gap-between", "a hole between blocks that nothing refers to, and of the file", notes={"SPACE_UNUSED"})
def _(name):
    disk = sound(name)
    disk.allocate(3 * MIB)
    disk.full(1, {0: noise("one", 512)})
    return disk


@made("leak-between", "space between blocks that nothing refers to", status=3, found={"SPACE_LEAKED"})
def _(name):
    disk = sound(name)
    leak(disk, 3 * MIB)
    disk.full(1, {0: noise("one", 512)})
    return disk


@made("leak-many", "space leaked in two places", status=3, found={"SPACE_LEAKED"})
def _(name):
    disk = sound(name)
    for block in (1, 2):
        leak(disk, MIB)
        disk.full(block, {0: noise("behind", 512)})
    return disk


@faulty("leak-and-damage", "damage counts over leaks", "SPACE_LEAKED", "BLOCK_STATE_5")
def _(name):
    disk = sound(name)
    disk.state(2, 5)
    leak(disk, MIB)
    disk.full(1, {0: noise("one", 512)})
    return disk


@made("trailing-space", "the file goes on behind its last structure",
      notes={"FILE_TRAILING_SPACE"})
def _(name):
    disk = sound(name)
    disk.allocate(4 * MIB)
    return disk
