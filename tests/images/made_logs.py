# SPDX-License-Identifier: MIT
"""Images that were not closed cleanly: what of the log counts, and what does not."""
from cases import made, refused
from disks import GIB, MIB, noise
from image import FULL, SECTOR, ZERO, Entry, Image, named_guid

DIRTY = {"log": "dirty", "notes": {"LOG_DIRTY"}}


def pending(name, size=8 * MIB, block=1, **more):
    """A disk with a block whose BAT page only the log has; returns it too."""
    disk = Image(name, size, **more)
    disk.full(0, {0: noise("zero", 8192)})
    disk.full(block, {512: noise("pending", 8192)})
    index = disk.payload_index(block)
    page = disk.bat_page(index // 512)
    del disk.bat[index]
    disk.begin_log()
    return disk, page


def damage(disk):
    """A write that makes the disk's first BAT page empty."""
    return disk.bat_at, bytes(SECTOR)


@made("log-page", "one pending BAT page", **DIRTY)
def _(name):
    disk, page = pending(name)
    disk.append(Entry(1, [page]))
    return disk


@made("log-empty", "only empty entries: nothing to replay", log="empty", notes={"LOG_EMPTY"})
def _(name):
    disk = Image(name, 4 * MIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.begin_log()
    disk.append(Entry(9, []))
    disk.append(Entry(10, []))
    return disk


@refused("log-nothing", "LogGuid is set, and there is no entry", "LOG_NO_SEQUENCE")
def _(name):
    disk = Image(name, 4 * MIB)
    disk.begin_log()
    return disk


@refused("log-other-session", "LogGuid is set, and all entries are another session's", "LOG_NO_SEQUENCE")
def _(name):
    disk, page = pending(name)
    disk.append(Entry(1, [page]))
    disk.begin_log(named_guid("another session"))
    return disk


@refused("log-sequence-0", "sequence number 0 is not valid", "LOG_NO_SEQUENCE")
def _(name):
    disk, page = pending(name)
    disk.append(Entry(0, [page]))
    return disk


@made("log-wrap", "the sequence, and an entry, go on at the log's start", **DIRTY)
def _(name):
    disk, page = pending(name)
    disk.append(Entry(5, [damage(disk)], tail=0), at=MIB - 5 * SECTOR)
    first = disk.append(Entry(6, [damage(disk)], tail=MIB - 5 * SECTOR))
    disk.append(Entry(7, [page], tail=first))
    assert disk.log_next == SECTOR
    return disk


@made("log-127", "the 127th descriptor is in the second sector", **DIRTY)
def _(name):
    disk, page = pending(name, 64 * GIB, 126 * 512 + 5 - 15)
    pages = [disk.bat_page(i) for i in range(126)]
    assert page[0] == disk.bat_at + 126 * SECTOR
    disk.append(Entry(1, pages + [page]))
    return disk


@made("log-300", "300 descriptors take three sectors", **DIRTY)
def _(name):
    disk, page = pending(name, 150 * GIB, 299 * 512 + 5 - 37, bat_length=2 * MIB)
    assert page[0] == disk.bat_at + 299 * SECTOR
    for header in disk.headers:
        header.log_offset, header.log_length = disk.end, 2 * MIB
    disk.allocate(2 * MIB)
    disk.full(50000, {0: noise("another", 512)}, at=disk.allocate(MIB))
    # The old place of the log is free: a block takes it.
    disk.full(60000, {0: noise("old log", 512)}, at=MIB)
    pages = [disk.bat_page(i) for i in range(299)]
    disk.append(Entry(1, pages + [page]))
    return disk


@made("log-retired", "an entry before the head's Tail would damage what is there now", **DIRTY)
def _(name):
    disk, page = pending(name, GIB, 700)
    disk.append(Entry(10, [damage(disk)]))
    disk.append(Entry(11, [page]))
    return disk


@made("log-gap", "a gap in the sequence numbers ends the sequence", **DIRTY)
def _(name):
    disk, page = pending(name)
    first = disk.append(Entry(7, [page]))
    disk.append(Entry(99, [damage(disk)], tail=first))
    return disk


@made("log-torn", "the newest entry is torn: what came before counts", **DIRTY)
def _(name):
    disk, page = pending(name)
    first = disk.append(Entry(7, [page]))
    entry = Entry(8, [damage(disk)], tail=first)
    entry.torn = True
    disk.append(entry)
    return disk


@made("log-zero", "a zero descriptor erases a BAT page", **DIRTY)
def _(name):
    disk = Image(name, GIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.bat[600] = 77 * MIB | FULL
    disk.begin_log()
    disk.append(Entry(1, [(disk.bat_at + SECTOR, SECTOR)]))
    return disk


@made("log-order", "later entries, and later descriptors, count over earlier ones", **DIRTY)
def _(name):
    disk, page = pending(name)
    first = disk.append(Entry(1, [disk.bat_page(b1=ZERO, b2=ZERO)]))
    disk.append(Entry(2, [damage(disk), (disk.bat_at, SECTOR), page], tail=first))
    return disk


@made("log-page-edges", "the first and last entries of BAT pages", **DIRTY)
def _(name):
    disk = Image(name, GIB)
    disk.begin_log()
    for block in (0, 511, 512, 1023):
        disk.full(block, {0: noise(f"block {block}", 512)})
    pages = [disk.bat_page(0), disk.bat_page(1)]
    disk.bat.clear()
    disk.append(Entry(1, pages))
    return disk


@made("log-extends", "the file grows to LastFileOffset, a whole number of MiB", **DIRTY)
def _(name):
    disk = Image(name, 8 * MIB)
    disk.full(0, {0: noise("zero", 512)})
    disk.length = disk.end
    disk.full(1, {})
    page = disk.bat_page()
    del disk.bat[1]
    disk.begin_log()
    disk.append(Entry(1, [page], flushed=disk.length, last=disk.end))
    return disk


@refused("log-truncated", "the file is shorter than its log's head says", "LOG_TRUNCATED_FILE")
def _(name):
    disk, page = pending(name)
    disk.append(Entry(1, [page], flushed=disk.end + MIB))
    return disk


@made("log-flushed-earlier", "an earlier entry's FlushedFileOffset does not count", **DIRTY)
def _(name):
    disk, page = pending(name)
    first = disk.append(Entry(1, [page], flushed=disk.end + 8 * MIB))
    disk.append(Entry(2, [page], tail=first))
    return disk


@made("log-count-16", "DescriptorCount is 32 bits: 65537 is not 1", **DIRTY)
def _(name):
    disk, page = pending(name)
    first = disk.append(Entry(1, [page]))
    entry = Entry(2, [damage(disk)], tail=first)
    entry.count = 65537
    disk.append(entry)
    return disk


@refused("log-count-huge", "DescriptorCount whose product wraps at 32 bits", "LOG_NO_SEQUENCE")
def _(name):
    disk, page = pending(name)
    entry = Entry(2, [page])
    entry.count = (1 << 27) + 1
    disk.append(entry)
    return disk


@made("log-sequence-32", "sequence numbers cross 2^32", **DIRTY)
def _(name):
    disk, page = pending(name)
    first = disk.append(Entry((1 << 32) - 1, [damage(disk)]))
    disk.append(Entry(1 << 32, [page], tail=first))
    return disk


@made("log-own-tail", "a gap, then an entry that is complete alone: only that is replayed", **DIRTY)
def _(name):
    disk, page = pending(name, GIB, 700)
    disk.append(Entry(7, [damage(disk)]))
    disk.append(Entry(9, [page]))
    return disk


@refused("log-forbidden", "an entry that writes over a header is no entry", "LOG_NO_SEQUENCE")
def _(name):
    disk, page = pending(name)
    disk.append(Entry(1, [page, (64 << 10, bytes(SECTOR))]))
    return disk


@refused("log-target-far", "a page far behind the end that the log gives the file", "LOG_TARGET")
def _(name):
    disk, page = pending(name)
    disk.append(Entry(1, [page, (1 << 40, bytes(SECTOR))]))
    return disk


@made("log-of-parent", "only the parent has a log to replay")
def _(name):
    parent, page = pending("base")
    parent.append(Entry(1, [page]))
    disk = Image(name, 8 * MIB, parent=parent)
    disk.partial(1, {4096: noise("child", 512)})
    return [disk, parent]


@made("log-bits", "the log sets bits at both ends of a bitmap page", **DIRTY)
def _(name):
    parent = Image("base", 32 * MIB)
    parent.full(0, {0: noise("base 0", MIB)})
    parent.full(15, {0: noise("base 15", MIB)})
    disk = Image(name, 32 * MIB, parent=parent)
    disk.partial(0, {0: noise("first", 512), 63 * 512: noise("64th", 512)})
    disk.partial(15, {MIB - 512: noise("last", 512), MIB - 32 * 512: noise("32nd", 512)})
    bitmap = disk.bitmap(0)
    bits = bytes(disk.bytes[bitmap][:SECTOR])
    disk.bytes[bitmap] = bytes(MIB)
    disk.begin_log()
    disk.append(Entry(1, [(bitmap, bits)]))
    return [disk, parent]
