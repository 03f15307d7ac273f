#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Slurm recipe of docs/SCALE.md, on a Slurm of one node: many chains, some jobs dying, run again until all is there."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import signal
import time

import cephnode
import slurmnode
import tap
from cephnode import POOL
from command import VHDX, vhdx
from disks import KIB, MIB, noise
from script import vhdxio

RECIPE = os.path.join(HERE, os.pardir, os.pardir, "docs", "scale", "convert.sbatch")
CHAINS = 6
LONG = 256 * MIB  # a copy that somebody can interrupt
PARTS = "'VM's number {} = $HOME; rm -r x'"  # names are no more than names


class Estate:
    """Chains, the list that says where each goes, and the recipe in a folder of its own."""

    def __init__(self, folder, first=4 * MIB, env=os.environ):
        self.folder = folder
        self.env = env
        self.pairs = [self._chain(number, 4 * MIB if number else first) for number in range(CHAINS)]
        self.list = os.path.join(folder, "the list")
        with open(self.list, "w", encoding="utf-8") as file:
            file.writelines(f"{source}|{out}\n" for source, out in self.pairs)
        # Tasks find the command as users have it: by its name.
        os.mkdir(os.path.join(folder, "bin"))
        os.symlink(os.path.realpath(VHDX), os.path.join(folder, "bin", "vhdx"))

    def _chain(self, number, size):
        name = os.path.join(self.folder, PARTS.format(number))
        os.mkdir(name)
        raw, base, child = (os.path.join(name, last) for last in ("base.raw", "base.vhdx", "child.avhdx"))
        piece = noise(f"chain {number}", MIB)
        with open(raw, "wb") as file:
            for index in range(size // MIB):
                file.write(index.to_bytes(8, "little") + piece[8:])
        vhdx("convert", "-q", "--no-sync", raw, base)
        os.unlink(raw)
        vhdx("create", "-q", "--parent", base, child)
        vhdxio(child, lines=[f"write {number * 4 * KIB} 64K {number + 1}", "close"])
        return child, self.destination(number)

    def destination(self, number):
        return os.path.join(self.folder, f"{PARTS.format(number)}.raw")

    def submit(self, node):
        kept = ",".join(["PATH", *(name for name in self.env if name.startswith("CEPH_"))])
        return node.submit(f"--array=1-{CHAINS}%4", f"--chdir={self.folder}", f"--export={kept}", RECIPE, self.list,
                           env={**self.env, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"})

    def log(self, number):
        with open(os.path.join(self.folder, f"vhdx-convert.{number + 1}.log"), encoding="utf-8") as file:
            return file.read()

    def judge(self):
        there = self.copies()
        for number, (source, out) in enumerate(self.pairs):
            assert out in there, f"chain {number} is missing: {self.log(number)}"
            vhdx("compare", source, out, env=self.env)

    def copies(self):
        """What tells each copy from another one that has its name."""
        return {out: os.stat(out).st_ino for _, out in self.pairs if os.path.exists(out)}

    def left(self):
        """What there is beside copies and their records."""
        return [name for name in os.listdir(self.folder) if name.startswith(".")]


class InCluster(Estate):
    """With destinations in a pool of a cluster."""

    def __init__(self, folder, cluster, first):
        self.cluster = cluster
        super().__init__(folder, first, cluster.env)

    def destination(self, number):
        return f"rbd:{POOL}/vm {number}"

    def copies(self):
        return {f"rbd:{POOL}/{name}": self.cluster.info(f"{POOL}/{name}")["id"]
                for name in self.cluster.images() if re.fullmatch(r"vm \d", name)}

    def left(self):
        return [name for name in self.cluster.images() if not re.fullmatch(r"vm \d", name)]


def process_of(out, seconds=30):
    """The number of the process that converts to @out."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if b"convert" in words and os.fsencode(out) in words:
                return int(name)
    raise AssertionError(f"nothing converts to {out}")


def in_the_middle(node, estate, stop):
    """Runs the list, whose first copy is stopped after it began; then runs it again, and judges."""
    out = estate.pairs[0][1]
    job = estate.submit(node)
    stop(job, process_of(out))
    node.wait(job)
    first = estate.copies()
    assert out not in first and not os.path.exists(out + ".done"), "it ended before it was stopped"
    assert len(first) == CHAINS - 1, first
    job = estate.submit(node)
    node.wait(job)
    assert set(node.states(job).values()) == {"COMPLETED"}, node.states(job)
    estate.judge()
    assert first.items() <= estate.copies().items(), "what was complete was copied again"
    assert "complete copy" in estate.log(1) and "complete copy" not in estate.log(0)
    assert not estate.left(), estate.left()


def clear(estate):
    for _, out in estate.pairs:
        for path in out, out + ".done":
            if os.path.exists(path):
                os.unlink(path)
    for number in range(CHAINS):
        os.unlink(os.path.join(estate.folder, f"vhdx-convert.{number + 1}.log"))


@tap.case("a list of chains is converted; run again, nothing is done twice, and what changed is", tap.whole,
          slurmnode.needs)
def _(folder):
    estate = Estate(folder)
    with slurmnode.Slurm() as node:
        for _ in range(2):
            job = estate.submit(node)
            node.wait(job)
            assert set(node.states(job).values()) == {"COMPLETED"}, node.states(job)
            estate.judge()
        assert all("complete copy" in estate.log(number) for number in range(CHAINS))
        inodes = estate.copies()
        vhdxio(estate.pairs[3][0], lines=["write 1M 4K 77", "close"])
        node.wait(estate.submit(node))
        estate.judge()
        changed = [out for out, inode in estate.copies().items() if inodes[out] != inode]
        assert changed == [estate.pairs[3][1]], changed


@tap.case("a job that is killed, or cancelled, in the middle leaves no copy, and ends right when it is run again",
          tap.whole, slurmnode.needs)
def _(folder):
    estate = Estate(folder, LONG)
    with slurmnode.Slurm() as node:
        in_the_middle(node, estate, lambda job, process: os.kill(process, signal.SIGKILL))
        clear(estate)
        in_the_middle(node, estate, lambda job, process: node.cancel(f"{job}_1"))


@tap.case("a job that is killed on its way into a Ceph cluster leaves no image, and ends right when it is run again",
          tap.whole, slurmnode.needs, cephnode.installed, cephnode.client)
def _(folder):
    with cephnode.Cluster() as cluster, slurmnode.Slurm() as node:
        in_the_middle(node, InCluster(folder, cluster, LONG), lambda job, process: os.kill(process, signal.SIGKILL))


@tap.case("a list that was submitted twice at once ends right when it is run again", tap.whole, slurmnode.needs)
def _(folder):
    estate = Estate(folder)
    with slurmnode.Slurm(cpus=8) as node:
        for job in [estate.submit(node), estate.submit(node)]:
            node.wait(job)
        estate.judge()
        job = estate.submit(node)
        node.wait(job)
        assert set(node.states(job).values()) == {"COMPLETED"}, [estate.log(number) for number in range(CHAINS)]
        estate.judge()


tap.main()
