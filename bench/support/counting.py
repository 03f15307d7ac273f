# SPDX-License-Identifier: MIT
"""How many system calls a program makes, by strace."""
import os

KINDS = {"flushes": ("fdatasync", "fsync"), "writes": ("pwrite64", "pwritev", "pwritev2"),
         "reads": ("pread64", "preadv", "preadv2"), "sizes": ("ftruncate", "fallocate"), "calls": ("total",)}


def strace(path):
    """Words to put before a command, whose counts go to @path."""
    return ["strace", "-f", "-c", "-o", path]


def counts(path):
    """Of each kind, what strace counted; calls are all, of whatever kind."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            # "% time, seconds, usecs/call, calls, errors (or nothing), name"; of the total too.
            if len(words) >= 5 and words[3].isdigit():
                found[words[-1]] = int(words[3])
    os.unlink(path)
    return {kind: sum(found.get(call, 0) for call in calls) for kind, calls in KINDS.items()}
