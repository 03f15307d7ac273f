# SPDX-License-Identifier: MIT
"""What a write of 4 KiB, and a request over NBD, cost in system calls, which no noise changes.

Writes: 100 of them, one in each block of a disk with blocks of 1 MiB, by tests/tools/vhdxio and by qemu-io (in
writeback mode), less a run of one write, by 99. Requests: the difference of a long run under strace and a short one."""
import functools
import os
import tempfile

from support.counting import counts, strace
from support.fiojobs import Images, jobs
from support.row import Row
from support.samples import MIB, remove
from support.serving import known_servers

TITLE = "System calls of one write, and of one request"
COUNT = 100
SIZE = 128 * MIB
KINDS = ("flushes", "writes", "calls")


def lines(count, every):
    """@count writes, a flush after each @every of them (0: none)."""
    for number in range(count):
        yield f"write {number * MIB} 4096 {number % 255 + 1}"
        if every and number % every == every - 1:
            yield "flush"


def qemu_lines(count, every):
    for line in lines(count, every):
        word, *rest = line.split()
        yield f"write -P {rest[2]} {rest[0]} {rest[1]}" if word == "write" else line


def commands(texts):
    return [word for text in texts for word in ("-c", text)]


class Disks:
    """Makes the disk that is written to, and counts what that costs. Names of its methods are what a row is about."""

    def __init__(self, place, folder):
        self.place = place
        self.folder = folder
        self.disk, self.child, self.trace = (os.path.join(folder, name) for name in ("d.vhdx", "c.vhdx", "counts"))

    def new_blocks(self):
        self.place.quietly(self.place.vhdx, "create", "--force", "--block-size", "1M", self.disk, SIZE)
        return self.disk

    def present_blocks(self):
        path = self.new_blocks()
        self.place.quietly(self.place.vhdxio, path, *commands(lines(COUNT, 0)))
        return path

    def recycled_space(self):
        """The file has room that an earlier session left: trimmed blocks below one that stays."""
        path = self.new_blocks()
        self.place.quietly(self.place.vhdxio, path, *commands(lines(COUNT, 0)), "-c", f"write {COUNT * MIB} 4096 1",
                           "-c", "flush", "-c", f"trim 0 {COUNT * MIB}")
        return path

    def over_a_parent(self):
        remove(self.child)
        self.place.quietly(self.place.vhdx, "create", "--parent", self.present_blocks(), "--block-size", "1M",
                           self.child)
        return self.child

    def qemu_new_blocks(self):
        self.place.quietly("qemu-img", "create", "-q", "-f", "vhdx", "-o", "block_size=1M", self.disk, SIZE)
        return self.disk

    def qemu_present_blocks(self):
        path = self.qemu_new_blocks()
        self.place.quietly("qemu-io", "-f", "vhdx", *commands(qemu_lines(COUNT, 0)), path)
        return path

    def ours(self, path, count, every):
        self.place.quietly(*strace(self.trace), self.place.vhdxio, *commands(lines(count, every)), path)
        return counts(self.trace)

    def qemu(self, path, count, every):
        self.place.quietly(*strace(self.trace), "qemu-io", "-t", "writeback", "-f", "vhdx",
                           *commands(qemu_lines(count, every)), path)
        return counts(self.trace)

    def each_further(self, make, run, every):
        """What a write costs when the start, a session's first write and the close are left out."""
        one, whole = (run(make(), count, min(every, count)) for count in (1, COUNT))
        return {kind: (whole[kind] - one[kind]) / (COUNT - 1) for kind in KINDS}


def writing(place, folder):
    """What is written where, with a flush after how many writes; what may be spent on it by a write."""
    disks = Disks(place, folder)
    peer = place.have("qemu-io") and place.have("qemu-img")
    for name, make, qemu_make, everies in (
            ("new blocks", disks.new_blocks, disks.qemu_new_blocks, (0, 1, 10)),
            ("present blocks", disks.present_blocks, disks.qemu_present_blocks, (0, 1)),
            ("recycled space", disks.recycled_space, None, (0, 1, 10)),
            ("over a parent's blocks", disks.over_a_parent, None, (0, 1, 10))):
        for every in everies[:place.size(3, 2, 1)]:
            sources = {"vhdx": functools.partial(disks.each_further, make, disks.ours, every)}
            if peer and qemu_make:
                sources["qemu-io"] = functools.partial(disks.each_further, qemu_make, disks.qemu, every)
            how = {0: "no flush", 1: "a flush after each"}.get(every, f"a flush after each {every}")
            yield from rows_of(f"{name}, {how}", sources, KINDS, flushes(name, every))


def flushes(name, every):
    """How many a write may cost: one a guest's flush, or two where what was recycled or a parent's must be durable
    before what points there."""
    twice = name in ("recycled space", "over a parent's blocks")
    return {"flushes": (2 if twice else 1) / every if every else 0}


def rows_of(name, sources, kinds, at_most, limit=None):
    """A row a kind; each source counts once, when it is first wanted."""
    once = {program: functools.cache(source) for program, source in sources.items()}
    for kind in kinds:
        yield Row(f"{name}: {kind}", {program: (lambda found=found, kind=kind: found()[kind])
                                      for program, found in once.items()},
                  unit="a request" if limit else "a write", limit=limit, at_most=at_most.get(kind), rounds=1)


def serving(place, folder):
    servers = [name for name in known_servers(place) if name != "qemu-nbd" or not place.smoke]
    images = Images(folder, place.size(256, 32, 8), servers)
    trace = os.path.join(folder, "counts")

    def each(server, job):
        found = []
        for seconds in place.size((0.2, 1.2), (0.1, 0.4), (0.02, 0.05)):
            requests = images.run(server, job, seconds, strace(trace))[1]
            found.append((requests, counts(trace)))
        (few, short), (many, long) = found
        return {kind: (long[kind] - short[kind]) / max(many - few, 1) for kind in long}

    for job in jobs():
        if job.depth == 1 and (job.name == "4 KiB reads" or not place.quick):
            yield from rows_of(f"served, {job.name}", {server: functools.partial(each, server, job)
                                                       for server in servers}, ("calls",), {}, "nbdkit file")


def rows(place):
    top = place.folder("ext4")
    if not (top and place.have("strace")):
        return
    with tempfile.TemporaryDirectory(dir=top) as folder:
        if os.path.exists(place.vhdxio):
            yield from writing(place, folder)
        if os.path.exists(place.plugin) and place.have("nbdkit") and place.have("fio"):
            yield from serving(place, folder)
