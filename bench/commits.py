# SPDX-License-Identifier: MIT
"""Threads that write 4 KiB and flush, again and again: each time is a commit.

Through the library, against pwrite and fdatasync on a raw file, in one process and in slices that take turns. On the raw
file each thread flushes for itself; beside it is one whose threads share flushes, one of which runs at a time. An
allocating write goes to a block that has no space yet; the raw file is sparse there. Over NBD each thread is a connection
of its own. Where fdatasync has to reach no device, as on tmpfs, there is nothing to measure."""
import json
import os
import subprocess
import tempfile

from support.fiojobs import Images, Job
from support.row import Row, Sample
from support.serving import known_servers
from support.together import Together

TITLE = "Commits: 4 KiB written and flushed"
RAW, SHARED = "raw file", "raw, shared flushes"
TARGETS = {"vhdx": "vhdx", RAW: "raw", SHARED: "shared"}
KINDS = {"overwrite": "overwrites", "allocate": "allocating writes", "mix": "overwrites, one in ten allocates"}


def commits(place, folder, kind, threads):
    seconds = place.size(1.5, 0.3, 0.02)
    words = ["--kind", kind, "--threads", threads, "--seconds", seconds, "--slices", place.size(20, 6, 1)]
    for target in TARGETS.values():
        words += ["--target", target]
    done = subprocess.run([place.tool("commits"), *map(str, words), os.path.join(folder, "commits")], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def rates(place, folder, kind, threads):
    def measure():
        found = commits(place, folder, kind, threads)
        return {name: Sample(found[target]["per_second"]) for name, target in TARGETS.items()}
    return Together(TARGETS, measure).runs()


def flushes(place, folder, kind, threads):
    def measure():
        found = commits(place, folder, kind, threads)
        return {name: Sample(found[target]["flushes_per_commit"]) for name, target in TARGETS.items()}
    return Together(TARGETS, measure).runs()


def goal_of(kind):
    """An allocating write has a log entry to flush too, and its page to write in place."""
    return None if kind != "overwrite" else 0.95


def crowds(place):
    return (2,) if place.smoke else (1, 16) if place.quick else (1, 4, 16)


def said(threads):
    return f"{threads} thread{'s' * (threads > 1)}"


def library_rows(place, folder):
    kinds = {kind: name for kind, name in KINDS.items() if kind != "mix" or not place.quick}
    for kind, name in kinds.items():
        for threads in crowds(place):
            yield Row(f"{name}, {said(threads)}", rates(place, folder, kind, threads), unit="/s", limit=RAW, peers=(),
                      goal=goal_of(kind), primes=False)
    threads = max(crowds(place))
    for kind, name in () if place.quick and not place.smoke else kinds.items():
        yield Row(f"flushes of the file for each of {name}, {said(threads)}",
                  flushes(place, folder, kind, threads), unit="flushes", peers=(), rounds=3, primes=False)


def served_rows(place, folder):
    servers = known_servers(place)
    images = Images(folder, place.size(256, 64, 8), servers)
    seconds = place.size(0.8, 0.2, 0.03)

    def run(server, job):
        return lambda: Sample(images.run(server, job, seconds)[0])

    for threads in crowds(place):
        job = Job("commits", 1, ("--rw=randwrite", "--bs=4k", "--norandommap", "--fsync=1", f"--numjobs={threads}",
                                 "--group_reporting"))
        yield Row(f"overwrites over NBD, {threads} connection{'s' * (threads > 1)}",
                  {server: run(server, job) for server in servers}, unit="/s", limit="nbdkit file", goal=0.95,
                  primes=False)


def rows(place):
    top = place.folder("ext4")
    if not top:
        return
    with tempfile.TemporaryDirectory(dir=top) as folder:
        yield from library_rows(place, folder)
        if os.path.exists(place.plugin) and place.have("nbdkit") and place.have("fio"):
            yield from served_rows(place, folder)
