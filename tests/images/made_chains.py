# SPDX-License-Identifier: MIT
"""Differencing images whose bitmaps, locator or parents are damaged, missing or not allowed."""
import os
import struct

from cases import faulty, made, refused
from disks import MIB, noise
from image import (FULL, ITEM_DISK_ID, ITEM_LOCATOR, PARTIAL, REQUIRED, UNKNOWN, Image, Item, guid_text,
                   named_guid)


def family(name, size=8 * MIB, **more):
    parent = Image("base", size, **more)
    parent.full(0, {0: noise("base 0", MIB)})
    parent.full(2, {0: noise("base 2", MIB)})
    disk = Image(name, size, parent=parent, **more)
    disk.partial(0, {512: noise("child 0", 1024)})
    disk.full(1, {0: noise("child 1", 512)})
    return disk, parent


# ---- bitmaps

@faulty("bitmap-missing", "a partial block whose chunk has no bitmap cannot be read", "BITMAP_MISSING",
        reads=False)
def _(name):
    disk, parent = family(name)
    at = disk.bitmap(0)
    del disk.bat[disk.bitmap_index(0)]
    disk.full(5, {}, at=at)
    return [disk, parent]


@faulty("bitmap-past-end", "a bitmap block behind the end of the file", "BITMAP_PLACE", reads=False)
def _(name):
    disk, parent = family(name)
    at = disk.bitmap(0)
    disk.bat[disk.bitmap_index(0)] = (1 << 40) | FULL
    disk.full(5, {}, at=at)
    return [disk, parent]


for gone in (1, 4096):
    @faulty(f"bitmap-cut-{gone}", "the file ends inside a bitmap block: it is none, not one of zeros",
            "BITMAP_PLACE", notes={"FILE_NOT_WHOLE_MIB"}, reads=False)
    def _(name, cut=gone):
        parent = Image("base", 8 * MIB)
        parent.full(0, {0: noise("base 0", MIB)})
        disk = Image(name, 8 * MIB, parent=parent)
        at = disk.full(0, {512: noise("child 0", 1024)})
        disk.bat[disk.payload_index(0)] = at | PARTIAL
        disk.set_bits(0, (1, 2))
        disk.length = disk.end - cut
        return [disk, parent]


@faulty("bitmap-state", "a reserved state of a bitmap entry that nothing needs", "BITMAP_STATE")
def _(name):
    parent = Image("base", 4 * MIB)
    parent.full(0, {0: noise("base 0", MIB)})
    disk = Image(name, 4 * MIB, parent=parent)
    disk.full(1, {0: noise("child 1", 512)})
    disk.bat[disk.bitmap_index(0)] = 3
    return [disk, parent]


@faulty("bitmap-overlap", "a bitmap block lies over a payload block", "BITMAP_OVERLAP", reads=None)
def _(name):
    parent = Image("base", 4 * MIB)
    parent.full(0, {0: noise("base 0", MIB)})
    disk = Image(name, 4 * MIB, parent=parent)
    at = disk.full(1, {0: b"\xff" * 512})
    disk.bat[disk.bitmap_index(0)] = at | FULL
    return [disk, parent]


@made("bitmap-leftover", "an offset in a bitmap entry that is not present: only Windows minds",
      notes={"BITMAP_LEFTOVER_OFFSET"}, windows=(2, {"BITMAP_LEFTOVER_OFFSET"}))
def _(name):
    parent = Image("base", 4 * MIB)
    parent.full(0, {0: noise("base 0", MIB)})
    disk = Image(name, 4 * MIB, parent=parent)
    at = disk.full(1, {0: noise("child 1", 512)})
    disk.bat[disk.bitmap_index(0)] = at
    return [disk, parent]


# ---- locator

@refused("locator-missing", "HasParent, and no parent locator", "LOCATOR_MISSING")
def _(name):
    disk, parent = family(name)
    disk.items.pop()
    return [disk, parent]


@faulty("locator-alone", "a parent locator on a disk without a parent", "LOCATOR_WITHOUT_PARENT")
def _(name):
    disk = Image(name, 4 * MIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.locator = {"parent_linkage": guid_text(named_guid("nobody")), "relative_path": "nobody.vhdx"}
    disk.items.append(Item(ITEM_LOCATOR, None, REQUIRED))
    return disk


@refused("locator-type", "a locator of an unknown type", "LOCATOR_TYPE", status=1, failure=1)
def _(name):
    disk, parent = family(name)
    disk.locator_type = UNKNOWN
    return [disk, parent]


def patched(disk, offset, data):
    """The locator with some of its bytes replaced."""
    raw = bytearray(disk.locator_bytes())
    raw[offset:offset + len(data)] = data
    disk.items[-1].data = bytes(raw)


@refused("locator-count", "more keys than the item has room for", "LOCATOR_TABLE")
def _(name):
    disk, parent = family(name)
    patched(disk, 18, struct.pack("<H", 60000))
    return [disk, parent]


@refused("locator-short", "a locator that is shorter than its header", "LOCATOR_TABLE")
def _(name):
    disk, parent = family(name)
    disk.items[-1].data = disk.locator_bytes()[:18]
    return [disk, parent]


@refused("locator-offset", "a key outside the item", "LOCATOR_TABLE")
def _(name):
    disk, parent = family(name)
    patched(disk, 20, struct.pack("<I", (1 << 32) - 2))
    return [disk, parent]


@refused("locator-length", "a value that reaches behind the item", "LOCATOR_TABLE")
def _(name):
    disk, parent = family(name)
    patched(disk, 20 + 12 + 10, struct.pack("<H", 65534))
    return [disk, parent]


@refused("locator-odd", "a value of an odd number of bytes", "LOCATOR_STRING")
def _(name):
    disk, parent = family(name)
    patched(disk, 20 + 12 + 10, struct.pack("<H", 7))
    return [disk, parent]


@refused("locator-surrogate", "a path that is not UTF-16", "LOCATOR_STRING")
def _(name):
    disk, parent = family(name)
    disk.locator["relative_path"] = ".\\\udc00base.vhdx"
    return [disk, parent]


@refused("locator-no-linkage", "no parent_linkage", "LOCATOR_LINKAGE")
def _(name):
    disk, parent = family(name)
    del disk.locator["parent_linkage"]
    return [disk, parent]


@refused("locator-guid", "a parent_linkage that is no GUID", "LOCATOR_LINKAGE")
def _(name):
    disk, parent = family(name)
    disk.locator["parent_linkage"] = "{this is no GUID, although it is long}"
    return [disk, parent]


@refused("locator-no-path", "no path at all", "LOCATOR_NO_PATH")
def _(name):
    disk, parent = family(name)
    del disk.locator["relative_path"]
    return [disk, parent]


@refused("locator-twice", "a key twice", "LOCATOR_DUPLICATE")
def _(name):
    disk, parent = family(name)
    disk.locator = list(disk.locator.items()) + [("relative_path", "other.vhdx")]
    return [disk, parent]


def sharing(disk, count, length):
    """Adds @count pairs to the locator, whose values are the same @length bytes of the item."""
    first = len(disk.locator)
    disk.locator = list(disk.locator.items()) + [(f"{i:03}", "") for i in range(count)]
    raw = bytearray(disk.locator_bytes())
    for i in range(first, first + count):
        struct.pack_into("<I", raw, 20 + 12 * i + 4, len(raw))
        struct.pack_into("<H", raw, 20 + 12 * i + 10, length)
    disk.items[-1].data = bytes(raw) + "s".encode("utf-16-le") * (length // 2)


@made("locator-shared", "strings of the locator share their bytes")
def _(name):
    disk, parent = family(name)
    sharing(disk, 200, 4000)
    return [disk, parent]


@refused("locator-shared-large", "strings that share their bytes, and would fill memory", "LOCATOR_TABLE")
def _(name):
    disk, parent = family(name)
    sharing(disk, 20, 60000)
    return [disk, parent]


@faulty("locator-reserved", "a reserved field of the locator is not zero", "LOCATOR_RESERVED")
def _(name):
    disk, parent = family(name)
    patched(disk, 16, b"\1")
    return [disk, parent]


# ---- the chain

def broken_chain(name, why, *found, **expected):
    """The child itself is without a fault; its parents are not, and only --chain counts that."""
    expected.setdefault("chain", (2, set(found)))
    return made(name, why, reads=False, status=0, **expected)


@broken_chain("parent-missing", "the parent is not there", "PARENT_NOT_FOUND", failure=1)
def _(name):
    return family(name)[0]


@broken_chain("parent-mismatch", "the parent was changed since the child was made", "PARENT_MISMATCH")
def _(name):
    disk, parent = family(name)
    for header in parent.headers:
        header.data_guid = named_guid("changed")
    return [disk, parent]


@broken_chain("parent-old-header", "only the parent's older header has the child's GUID",
              "PARENT_MISMATCH")
def _(name):
    disk, parent = family(name)
    parent.headers[1].data_guid = named_guid("changed")
    return [disk, parent]


@broken_chain("linkage-nil", "a linkage of zeros stands for no parent, not even one of zeros",
              "PARENT_MISMATCH", chain=None)
def _(name):
    disk, parent = family(name)
    for header in parent.headers:
        header.data_guid = bytes(16)
    disk.locator["parent_linkage"] = guid_text(bytes(16))
    return [disk, parent]


@broken_chain("parent-itself", "an image that is its own parent", "CHAIN_CYCLE",
              info={0, 2})
def _(name):
    disk, _ = family(name)
    disk.locator["relative_path"] = f".\\{name}.vhdx"
    disk.locator["parent_linkage"] = guid_text(disk.headers[1].data_guid)
    return disk


@broken_chain("parent-circle", "parents in a circle", "CHAIN_CYCLE")
def _(name):
    disk, _ = family(name)
    other, _ = family("other")
    for a, b in ((disk, other), (other, disk)):
        a.locator["relative_path"] = f".\\{b.name}.vhdx"
        a.locator["parent_linkage"] = guid_text(b.headers[1].data_guid)
    return [disk, other]


@broken_chain("parent-sector-size", "child and parent have different sectors", "PARENT_SECTOR_SIZE")
def _(name):
    parent = Image("base", 8 * MIB, logical=4096)
    parent.full(0, {0: noise("base", 4096)})
    disk = Image(name, 8 * MIB, parent=parent)
    return [disk, parent]


@broken_chain("parent-outside", "a parent outside the child's folder is not opened",
              "PARENT_NOT_FOUND", chain=None, failure=None)
def _(name):
    disk, parent = family(name)
    disk.folder, parent.folder = "inside", "beside"
    disk.locator["relative_path"] = "..\\beside\\base.vhdx"
    return [disk, parent]


@made("parent-outside-any", "a parent outside, and --any-parent allows it", args=("--any-parent",))
def _(name):
    disk, parent = family(name)
    disk.folder, parent.folder = "inside", "beside"
    disk.locator["relative_path"] = "..\\beside\\base.vhdx"
    return [disk, parent]


@made("parent-outside-folder", "a parent outside, in a folder that --parent-dir allows",
      args=("--parent-dir", "{folder}/elsewhere", "--parent-dir", "{folder}/beside"))
def _(name):
    disk, parent = family(name)
    disk.folder, parent.folder = "inside", "beside"
    disk.locator["relative_path"] = "..\\gone\\base.vhdx"
    disk.locator["absolute_win32_path"] = "C:\\gone\\base.vhdx"
    return [disk, parent]


@made("parent-below", "a relative path down into a folder, and up again")
def _(name):
    disk, parent = family(name)
    parent.folder = os.path.join("a folder", "below")
    disk.locator["relative_path"] = "a folder\\below\\..\\below\\base.vhdx"
    return [disk, parent]


@made("parent-unicode", "a parent whose name is not ASCII")
def _(name):
    parent = Image("Grundgerüst 基礎 😀", 8 * MIB)
    parent.full(0, {0: noise("base 0", MIB)})
    disk = Image(name, 8 * MIB, parent=parent)
    disk.partial(0, {512: noise("child 0", 512)})
    return [disk, parent]


@broken_chain("parent-not-vhdx", "the parent is something else", "PARENT_UNUSABLE", chain=None,
              failure=None)
def _(name):
    disk, parent = family(name)
    parent.identifier = b"conectix"
    return [disk, parent]


@broken_chain("parent-damaged", "the parent cannot be opened", "PARENT_UNUSABLE", chain=None,
              failure=None)
def _(name):
    disk, parent = family(name)
    for table in parent.tables:
        table.damaged = True
    return [disk, parent]


@made("parent-damaged-not-needed", "--no-parent: this file alone, and what is the parent's is zeros",
      args=("--no-parent",))
def _(name):
    disk, parent = family(name)
    disk.guest.pages.clear()
    disk.guest.write(512, noise("child 0", 1024))
    disk.guest.write(MIB, noise("child 1", 512))
    for header in parent.headers:
        header.damaged = True
    return [disk, parent]


@made("child-other-disk-id", "child and parent have different identifiers of the disk",
      chain=(0, set()))
def _(name):
    disk, parent = family(name)
    parent.item(ITEM_DISK_ID).data = named_guid("another disk")
    return [disk, parent]


@made("state-partial-in-child", "a partial block with no bit set is all the parent's")
def _(name):
    disk, parent = family(name)
    disk.bitmap(0)
    disk.bat[disk.payload_index(2)] = disk.allocate(MIB) | PARTIAL
    return [disk, parent]
