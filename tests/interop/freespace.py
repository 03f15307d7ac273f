#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What we call free of the disks that file systems fill is what dumpe2fs calls free, by whole MiB; and which
file systems are not trusted."""
import os
import random
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import image
import tables
import tap
from command import is_safe, run, vhdx
from disks import GIB, MIB, noise

FREESPACE = os.environ.get("VHDX_FREESPACE", "")
SECTOR = 512


def built():
    return None if FREESPACE else "built without --free-space"


EXT = (built, tap.tool("mke2fs", "dumpe2fs", "debugfs"))


def program(name, *words, **how):
    return run([tap.find_tool(name), *words], **how)


def make_tree(folder, seed):
    """Files of all sizes; returns those that are to be deleted."""
    top, chance = os.path.join(folder, f"tree.{seed}"), random.Random(seed)
    os.mkdir(top)
    gone = []
    for number in range(60):
        length = chance.choice((100, 5000, 70000, 900000, 3 * MIB))
        with open(os.path.join(top, str(number)), "wb") as file:
            file.write(noise(f"{seed} {number}", min(length, 4096)) * (length // 4096 + 1))
        if chance.random() < 0.7:
            gone.append(str(number))
    return top, gone


def make(folder, *options, size=160 * MIB, name="fs.raw", tree=True, kind="ext4"):
    """A file system in a raw file, with files in it, of which most were deleted."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(size)
    words, gone = [], []
    if tree:
        top, gone = make_tree(folder, name)
        words = ["-d", top]
    program("mke2fs", "-q", "-F", "-t", kind, *words, *options, path)
    if gone:
        program("debugfs", "-w", "-f", "-", path, stdin="".join(f"rm {n}\n" for n in gone).encode())
    return path


def change(path, *commands):
    program("debugfs", "-w", "-f", "-", path, stdin="".join(f"{c}\n" for c in commands).encode())


def dumped(path, offset=0, size=None):
    """{MiB} that dumpe2fs calls free as a whole, of a disk of @size in which a file lies at @offset."""
    out = program("dumpe2fs", path).out
    head = dict(re.findall(r"^([A-Z][^:\n]+):[ ]+(.*)$", out.split("\nGroup 0:")[0], re.M))
    block, size = int(head["Block size"]), size or os.path.getsize(path)
    cluster, count = int(head.get("Cluster size", block)) // block, int(head["Block count"])
    runs = []
    for line in re.findall(r"^  Free blocks: ([0-9, -]+)$", out, re.M):
        for part in line.replace(" ", "").split(","):
            first, _, last = part.partition("-")
            # A range is told by the first blocks of its first and last clusters.
            end = min(int(last or first) + cluster, count)
            runs.append((offset + int(first) * block, offset + end * block))
    return whole(joined(runs), size)


def joined(runs):
    out = []
    for start, end in sorted(runs):
        if out and out[-1][1] == start:
            out[-1][1] = end
        else:
            out.append([start, end])
    return out


def whole(runs, size):
    found = set()
    for start, end in runs:
        first, last = -(-start // MIB), end // MIB
        found.update(range(first, last))
        if end == size and size % MIB and start <= last * MIB:
            found.add(last)
    return found


def convert(path, *options):
    image = path[:-len(".raw")] + ".vhdx"
    vhdx("convert", "-q", *options, path, image)
    return image


def free_of(image, each=1):
    """({MiB}, the text of what else is there); asked for in pieces of @each MiB."""
    lines = run([FREESPACE, image, str(each)]).out.splitlines()
    found = set()
    for line in lines[:-1]:
        first, count = map(int, line.split())
        found.update(range(first, first + count))
    return found, lines[-1].removeprefix("others: ")


def refused(image, says):
    result = run([FREESPACE, image], status=1)
    lines = result.err.splitlines()
    assert len(lines) == 1 and is_safe(lines[0]) and not result.out, result
    assert re.search(says, lines[0]), f"does not say '{says}': {result}"


SHAPES = {
    "ext4 as it is made": [],
    "ext4, blocks of 1024": ["-b", "1024"],
    "ext4, blocks of 2048": ["-b", "2048"],
    "ext4, blocks of 4096": ["-b", "4096"],
    "ext4 without 64bit": ["-O", "^64bit"],
    "ext4 with 64bit and blocks of 1024": ["-O", "64bit", "-b", "1024"],
    "ext4, clusters of 64 KiB": ["-O", "bigalloc", "-C", "65536", "-b", "4096"],
    "ext4, clusters of 16 KiB and blocks of 1024": ["-O", "bigalloc", "-C", "16384", "-b", "1024"],
    "ext4 with meta_bg": ["-O", "meta_bg,^resize_inode", "-b", "1024"],
    "ext4 with meta_bg and 64bit": ["-O", "meta_bg,^resize_inode,64bit", "-b", "1024"],
    "ext4 without a journal": ["-O", "^has_journal"],
    "ext4, inodes of 128 bytes": ["-I", "128"],
    "ext4, checksums of descriptors alone": ["-O", "uninit_bg,^metadata_csum", "-b", "1024"],
    "ext4, checksums of descriptors alone, 64bit": ["-O", "uninit_bg,^metadata_csum,64bit", "-b", "1024"],
    "ext4 without checksums": ["-O", "^uninit_bg,^metadata_csum", "-b", "1024"],
    "ext4, its seed of checksums stored": ["-O", "metadata_csum,metadata_csum_seed", "-b", "1024"],
    "ext4, metadata_csum without 64bit": ["-O", "metadata_csum,^64bit", "-b", "1024"],
    "ext4 without flex_bg": ["-O", "^flex_bg", "-b", "1024"],
    "ext4, large flexible groups": ["-G", "64", "-b", "1024"],
    "ext4, a superblock in each group": ["-O", "^sparse_super,^resize_inode", "-b", "1024"],
    "ext4, two copies of the superblock": ["-O", "sparse_super2", "-b", "1024"],
    "ext4, tables of several MiB in each group": ["-O", "^flex_bg", "-b", "1024", "-N", "160000"],
    "ext4, small groups": ["-g", "1024", "-b", "1024"],
    "ext4, no room for more groups": ["-O", "^resize_inode", "-b", "1024"],
    "ext4, mounts protected": ["-O", "mmp"],
    "ext4, tables at the beginning": ["-E", "packed_meta_blocks=1", "-b", "1024"],
    "ext4, larger directories, inline data, casefold": ["-O", "large_dir,inline_data,casefold"],
    "ext4, quota, project, verity, orphan file": ["-O", "quota,project,verity,orphan_file"],
    "ext3": ["-b", "1024"],
    "ext2": ["-b", "1024"],
    "ext2 of revision 0": ["-r", "0", "-b", "1024"],
}


def compare_shape(kind, options):
    def check(folder):
        path = make(folder, *options, kind=kind)
        expected = dumped(path)
        assert 20 < len(expected) < 150, len(expected)  # of 160: the case says something
        found, others = free_of(convert(path, "--block-size", "1M"))
        assert found == expected and not others, (sorted(found - expected), sorted(expected - found))
    return check


for shape, options in tap.sampled(SHAPES.items(), 10):
    tap.add(f"{shape}: what dumpe2fs calls free is free", compare_shape(shape[:4], options), *EXT)


@tap.case("sizes that end within a MiB, a group, a cluster", *EXT)
def _(folder):
    for number, (size, *options) in enumerate((
            (100 * MIB + 512, "-b", "1024"), (100 * MIB + 513 * 1024, "-b", "1024"),
            (129 * MIB + 4096, "-b", "4096"), (63 * MIB + 12288, "-O", "bigalloc", "-C", "65536"),
            (100 * MIB - 4096, "-b", "4096", "-O", "^resize_inode"))):
        path = make(folder, *options, size=size, name=f"{number}.raw", tree=size > 99 * MIB)
        found, _ = free_of(convert(path))
        assert found == dumped(path) and found, (size, options)


@tap.case("a last cluster that reaches past the file system's end is free up to there", *EXT)
def _(folder):
    path = make(folder, "-O", "bigalloc,^metadata_csum", "-C", "65536", "-b", "4096", size=64 * MIB, tree=False)
    change(path, f"ssv blocks_count {64 * 256 - 15}")
    found, _ = free_of(convert(path))
    assert found == dumped(path) and 62 in found and 63 not in found, sorted(found)


@tap.case("a piece of several MiB is free when all of it is", *EXT)
def _(folder):
    path = make(folder, "-b", "1024", size=165 * MIB)
    disk, expected = convert(path), dumped(path)
    for each in (2, 3, 32, 256):
        found, _ = free_of(disk, each)
        pieces = [set(range(at, at + each)) for at in range(0, 165, each)]
        assert found == set().union(*(p for p in pieces if {m for m in p if m < 165} <= expected)), each


@tap.case("a whole disk of 16 GiB that was never written", *EXT)
def _(folder):
    path = make(folder, size=16 * GIB, tree=False)
    found, _ = free_of(convert(path))
    assert found == dumped(path) and len(found) > 15000, len(found)


def lay(folder, size, sectors, *parts, name="disk.raw", sector=SECTOR):
    """A raw disk of a table's sectors, and of files at the offsets given."""
    path = os.path.join(folder, name)
    with open(path, "wb") as disk:
        disk.truncate(size)
        for number, data in sectors.items():
            disk.seek(number * sector)
            disk.write(data)
    for offset, part in parts:
        run(["dd", "status=none", "conv=notrunc,sparse", "bs=64K", "oflag=seek_bytes", f"seek={offset}",
             f"if={part}", f"of={path}"])
    return path


@tap.case("GPT with two partitions of ext4, swap and nothing: each is found", *EXT, tap.tool("mkswap"))
def _(folder):
    first = make(folder, "-b", "1024", size=100 * MIB, name="1.raw")
    second = make(folder, size=150 * MIB, name="2.raw")
    swap = os.path.join(folder, "3.raw")
    with open(swap, "wb") as file:
        file.truncate(10 * MIB)
    run([tap.find_tool("mkswap"), swap], status=None)
    size = 300 * MIB
    table = tables.gpt(size // SECTOR, SECTOR, {
        1: (2048, 101 * 2048 - 1), 2: (120 * 2048, 270 * 2048 - 1), 5: (275 * 2048, 285 * 2048 - 1),
        7: (290 * 2048, 291 * 2048 - 1)})
    disk = lay(folder, size, table, (MIB, first), (120 * MIB, second), (275 * MIB, swap))
    found, others = free_of(convert(disk))
    assert found == dumped(first, MIB, size) | dumped(second, 120 * MIB, size)
    assert others == "swap in partition 5", others


@tap.case("a disk with sectors of 4096 bytes, and GPT", *EXT)
def _(folder):
    part, size = make(folder, size=100 * MIB, name="1.raw"), 128 * MIB
    table = tables.gpt(size // 4096, 4096, {3: (2 * 256, 102 * 256 - 1)})
    disk = lay(folder, size, table, (2 * MIB, part), sector=4096)
    found, _ = free_of(convert(disk, "--sector-size", "4096"))
    assert found == dumped(part, 2 * MIB, size)


@tap.case("DOS table: a partition that begins within a MiB, logical ones", *EXT)
def _(folder):
    size, odd = 300 * MIB, 63
    parts = [make(folder, "-b", "1024", size=90 * MIB, name=f"{n}.raw") for n in (1, 2)]
    start = 100 * 2048
    sectors = {0: tables.dos([(tables.LINUX, odd, 90 * 2048), (tables.EXTENDED, start, 190 * 2048)]),
               **tables.logical(start, [(start, start + 2048, 90 * 2048)])}
    disk = lay(folder, size, sectors, (odd * SECTOR, parts[0]), (101 * MIB, parts[1]))
    found, _ = free_of(convert(disk))
    expected = [dumped(parts[0], odd * SECTOR, size), dumped(parts[1], 101 * MIB, size)]
    assert found == expected[0] | expected[1] and all(len(e) > 20 for e in expected)


@tap.case("partitions that overlap: what they share is in use", *EXT)
def _(folder):
    size, part = 200 * MIB, make(folder, "-b", "1024", size=150 * MIB, name="1.raw")
    sectors = {0: tables.dos([(tables.LINUX, 2048, 150 * 2048), (tables.LINUX, 100 * 2048, 80 * 2048)])}
    found, _ = free_of(convert(lay(folder, size, sectors, (MIB, part))))
    expected = {m for m in dumped(part, MIB, size) if m < 100}
    assert found == expected and expected, (sorted(found), sorted(expected))


@tap.case("a file system and a table on one disk are refused", *EXT)
def _(folder):
    path = make(folder)
    with open(path, "r+b") as file:
        file.write(tables.dos([(tables.LINUX, 2048, 100 * 2048)]))
    refused(convert(path), "ext4 on the whole disk and a partition table: which of them is in use cannot be told")


@tap.case("a disk without ext2, ext3, ext4 is refused, and what is there is named", *EXT,
          tap.tool("mkfs.vfat", "mkfs.ntfs", "mkfs.xfs"))
def _(folder):
    blank = os.path.join(folder, "blank.raw")
    with open(blank, "wb") as file:
        file.truncate(20 * MIB)
    refused(convert(blank), r"no ext2, ext3 or ext4 whose free space is known \(nothing is recognized\)")
    made = []
    for kind, words in (("vfat", []), ("ntfs", ["-Q", "-F"]), ("xfs", ["-f"])):
        path = os.path.join(folder, f"{kind}.raw")
        with open(path, "wb") as file:
            file.truncate(310 * MIB)
        run([tap.find_tool(f"mkfs.{kind}"), *words, path], status=0)
        made.append(path)
        refused(convert(path), rf"\(there is {kind} on the whole disk\)")
    table = tables.gpt(2000 * 2048, SECTOR, {n + 1: ((400 * n + 10) * 2048, (400 * n + 320) * 2048 - 1)
                                            for n in range(3)})
    disk = lay(folder, 2000 * MIB, table, *(((400 * n + 10) * MIB, p) for n, p in enumerate(made)))
    refused(convert(disk), r"\(there is vfat in partition 1, ntfs in partition 2, xfs in partition 3\)")


# What a file system's own tools leave when it is not clean, and what is said of it.
UNCLEAN = {
    "not unmounted, without a journal": (["-O", "^has_journal"], "ssv state 0", "was not unmounted cleanly"),
    "with a journal to replay": ([], "feature needs_recovery", "its journal must be replayed"),
    "marked as having errors": ([], "ssv state 3", "is marked as having errors"),
    "with orphans to be freed": ([], "ssv state 5", "it has deleted files to be freed"),
    "with orphans in a file": (["-O", "orphan_file"], "feature orphan_present", "it has deleted files to be freed"),
}


def refuse_unclean(options, command, says):
    def check(folder):
        path = make(folder, "-b", "1024", *options, size=64 * MIB, tree=False)
        change(path, command)
        refused(convert(path), f"the ext4 on the whole disk .*{says}.*mount and unmount it, or run e2fsck")
        table = tables.gpt(100 * 2048, SECTOR, {4: (2048, 65 * 2048 - 1)})
        refused(convert(lay(folder, 100 * MIB, table, (MIB, path))), f"the ext4 in partition 4 .*{says}")
    return check


for name, row in UNCLEAN.items():
    tap.add(f"{name}: refused", refuse_unclean(*row), *EXT)


@tap.case("in use on another host: refused", *EXT)
def _(folder):
    path = make(folder, "-b", "1024", "-O", "mmp,^metadata_csum", size=64 * MIB, tree=False)
    block = int(re.search(r"block_number: (\d+)", program("debugfs", "-R", "dump_mmp", path).out).group(1))
    with open(path, "r+b") as file:  # debugfs would mend it
        file.seek(block * 1024 + 4)
        file.write((5).to_bytes(4, "little"))
    refused(convert(path), "the ext4 on the whole disk is in use on another host")


@tap.case("one that is larger than its partition, and one of features to come, are refused", *EXT)
def _(folder):
    path = make(folder, "-b", "1024", size=64 * MIB, tree=False)
    table = tables.gpt(100 * 2048, SECTOR, {1: (2048, 64 * 2048 - 1)})
    refused(convert(lay(folder, 100 * MIB, table, (MIB, path))), "in partition 1 reaches past the end of where it lies")
    for number, command in enumerate(("ssv feature_ro_compat 0x80000000", "ssv feature_incompat 0x80000000")):
        path = make(folder, "-b", "1024", "-O", "^metadata_csum", size=64 * MIB, tree=False, name=f"{number}.raw")
        change(path, command)
        assert run([FREESPACE, convert(path)], status=1).err.count("\n") == 1


@tap.case("damage to a bitmap, a descriptor, a count is refused", *EXT)
def _(folder):
    for number, (options, command, says) in enumerate((
            ([], "zap_block -o 100 -l 1 -p 0x5a BITMAP", "the checksum of group 0's bitmap is wrong"),
            (["-O", "^metadata_csum,uninit_bg"], "zap_block -o 1000 -l 8 -p 0x5a BITMAP", r"group 0 has \d+ free, and says"),
            (["-O", "^metadata_csum"], "set_bg 0 free_blocks_count 5", r"group 0 has \d+ free, and says 5"),
            (["-O", "^metadata_csum"], "set_bg 1 block_bitmap 500000", "tables of group 1 lie outside"),
            ([], "set_bg 1 checksum 77", "the checksum of group 1 is wrong"))):
        path = make(folder, "-b", "1024", *options, size=64 * MIB, tree=False, name=f"{number}.raw")
        bitmap = re.search(r"Block bitmap at (\d+)", program("dumpe2fs", path).out).group(1)
        change(path, command.replace("BITMAP", bitmap))
        refused(convert(path), says)


def flip(chance, data, spans):
    """Changes a few bytes within one of the (start, length)."""
    start, length = chance.choice(spans)
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[start + chance.randrange(length)] = chance.choice((0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)))


@tap.case("superblocks, descriptors and bitmaps changed at random: one line, or an answer", *EXT)
def _(folder):
    shapes = [["-O", "^metadata_csum,^uninit_bg"], ["-O", "^metadata_csum,^uninit_bg,meta_bg,^resize_inode,64bit"],
              ["-O", "^metadata_csum,^uninit_bg,bigalloc"], ["-O", "metadata_csum,64bit"]]
    trials, answers = max(100, 2000 // tap.sampling()), 0
    for number, options in enumerate(shapes):
        path = make(folder, "-b", "1024", *options, size=24 * MIB, tree=False, name=f"{number}.raw")
        disk = convert(path, "--type", "fixed")
        with open(path, "rb") as file:
            whole_disk = file.read()
        with open(disk, "rb") as file:
            at = file.read().index(whole_disk[1024:2048]) - 1024  # blocks of a new fixed disk follow each other
        bitmap = int(re.search(r"Block bitmap at (\d+)", program("dumpe2fs", path).out).group(1))
        head = whole_disk[:(bitmap + 4) * 1024]
        spans = [(1024, 160), (1024 + 160, 864), (2048, 256), (bitmap * 1024, 1024)]
        for seed in range(number, trials, len(shapes)):
            data = bytearray(head)
            flip(random.Random(seed), data, spans)
            if options[1].startswith("metadata"):
                data[2044:2048] = (image.crc32c(bytes(data[1024:2044])) ^ 0xffffffff).to_bytes(4, "little")
            with open(disk, "r+b") as file:
                file.seek(at)
                file.write(data)
            result = run([FREESPACE, disk], status={0, 1})
            assert result.err.count("\n") == result.status and is_safe(result.err[:-1]), (seed, result)
            assert result.status or not result.out.startswith("0 "), (seed, result)
            answers += not result.status
    assert trials // 50 < answers < trials, answers


tap.main()
