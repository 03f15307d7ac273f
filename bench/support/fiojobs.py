# SPDX-License-Identifier: MIT
"""What fio asks of a served image: reads, overwrites, and writes that allocate."""
import dataclasses
import os

from support.samples import MIB, remove
from support.serving import SERVERS, Serving

BLOCK = 2 * MIB
HUGE = 512 << 30  # more blocks than a run can allocate


@dataclasses.dataclass
class Job:
    name: str
    depth: int
    words: tuple
    allocates: bool = False

    @property
    def kind(self):
        return "read" if self.words[0].endswith("read") else "write"


def jobs():
    for depth in 1, 32:
        for name, *words in (("4 KiB reads", "--rw=randread", "--bs=4k", "--norandommap"),
                             ("4 KiB overwrites", "--rw=randwrite", "--bs=4k", "--norandommap"),
                             ("256 KiB reads", "--rw=read", "--bs=256k"),
                             ("256 KiB overwrites", "--rw=write", "--bs=256k")):
            yield Job(name, depth, tuple(words))
        yield Job("4 KiB allocating writes", depth, ("--rw=write", "--replay_no_stall=1"), True)


class Images:
    """In @folder, for each server an image of @mib of data; and new ones, which are made when they are wanted."""

    def __init__(self, folder, mib, servers):
        self.folder = folder
        self.mib = mib
        self.log = os.path.join(folder, "iolog")
        self._write_log()
        for server in servers:
            self._fill(server)

    def _path(self, kind, server):
        return os.path.join(self.folder, f"{kind}.{server.replace(' ', '-')}")

    def _fill(self, server):
        """All images are written alike: how large the kernel's pieces of the page cache are depends on it, and what a
        write costs on how large they are."""
        path = self._path("data", server)
        SERVERS[server][1](path, self.mib * MIB)
        with Serving(server, path) as serving:
            serving.fio("--rw=write", "--bs=4k", "--iodepth=8", f"--size={self.mib}M")

    def _write_log(self):
        """Allocating writes, each into a new block, with a flush after each 32; more than fio gets to before it is
        stopped, for at a log's end it leaves at once. With fio's own option for flushes, and 32 requests in flight,
        every third would be one."""
        with open(self.log, "w", encoding="ascii") as file:
            file.write("fio version 2 iolog\nnbd add\nnbd open\n")
            for number in range(HUGE // BLOCK):
                file.write(f"nbd write {number * BLOCK} 4096\n")
                if number % 32 == 31:
                    file.write("nbd sync 0 0\n")

    def run(self, server, job, seconds, before=()):
        """The rate of its requests, how many they were, what each took of the server's CPU in seconds, and the
        highest memory of the server, which is new."""
        path = self._path("new" if job.allocates else "data", server)
        if job.allocates:
            remove(path)
            SERVERS[server][1](path, HUGE)
        os.sync()  # what went before is not this one's to write
        words = [f"--read_iolog={self.log}"] if job.allocates else [f"--size={self.mib}M", "--time_based"]
        with Serving(server, path, before) as serving:
            start = serving.cpu()
            found = serving.fio(f"--runtime={seconds * 1000:.0f}ms", f"--iodepth={job.depth}", *words,
                                *job.words)[job.kind]
            used, peak = serving.cpu() - start, serving.peak_mib()
        if job.allocates:
            remove(path)
        return found["iops"], found["total_ios"], used / found["total_ios"], peak
