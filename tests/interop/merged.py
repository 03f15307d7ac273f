#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chains after `vhdx commit` and `vhdx rebase`: others read them; killed at each system call, they open and read as
before, and the next run finishes."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import judges
import killing
import links
import peers
import tap
from changes import judge_chain
from command import VHDX, vhdx
from disks import MIB

SIZE = 24 * MIB
KILLED_SIZE = 6 * MIB
TRACED = (tap.tool("strace"), tap.whole)


def judge_base(folder, path, model):
    """As judge_chain, of a disk without a parent, which QEMU reads too."""
    judge_chain(folder, path, model)
    if not judges.lint_there():
        judges.lint(path)
    if peers.have("qemu-img") and links.info(path)["logical-sector-size"] == 512:
        peers.qemu_check(path)
        assert peers.qemu_digest(path, folder) == (model.digest(), model.size), "QEMU reads other contents"


@tap.case("what chains of 1, 2 and 5 links were merged into, others read as the leaf was")
def _(folder):
    for children in tap.sampled((2, 1, 5)):
        for sector in (512, 4096):
            chain = links.make(folder, f"disk{children}-{sector}-", SIZE, children, sector)
            base, leaf = chain[0], chain[-1]
            vhdx("commit", "-q", "--into", base.path, leaf.path)
            judge_base(folder, base.path, leaf.model)
            judge_chain(folder, leaf.path, leaf.model)
            vhdx("commit", "-q", "--delete", "--into", base.path, leaf.path)
            judge_base(folder, base.path, leaf.model)


@tap.case("fixed disks that were merged into, others read too")
def _(folder):
    base, child = links.make(folder, "disk", SIZE, 1, kind="fixed")
    vhdx("commit", "-q", "--delete", child.path)
    judge_base(folder, base.path, child.model)
    peers.vhdiinfo(base.path, SIZE, "fixed")


@tap.case("chains upon other parents others read as before")
def _(folder):
    for children in tap.sampled((2, 1, 5)):
        for sector in (512, 4096):
            chain = links.make(folder, f"disk{children}-{sector}-", SIZE, children, sector)
            other, = links.make(folder, f"other{children}-{sector}-", SIZE, 0, sector)
            middle, leaf = chain[(children + 1) // 2], chain[-1]
            vhdx("rebase", "-q", "--parent", other.path, middle.path, loud=True)
            judge_chain(folder, leaf.path, leaf.model)
            vhdx("rebase", "-q", "--parent", chain[0].path, leaf.path)
            judge_chain(folder, leaf.path, leaf.model)
            if not judges.lint_there():
                judges.lint(leaf.path)


# ---- Killed ----

class Killed:
    """A chain and a disk beside it, made anew before each trial; their expected contents as a raw file."""

    def __init__(self, folder, children):
        self.model, self.work = os.path.join(folder, "model"), os.path.join(folder, "work")
        os.mkdir(self.model)
        chain = links.make(self.model, "disk", KILLED_SIZE, children)
        links.make(self.model, "other", KILLED_SIZE, 0)
        self.expected = chain[-1].model.save(os.path.join(folder, "expected.raw"))
        self.base, self.leaf = (os.path.join(self.work, link.name) for link in (chain[0], chain[-1]))
        self.other = os.path.join(self.work, "other0.vhdx")

    def fresh(self):
        killing.copy_all(self.model, self.work)

    def left(self, path=None):
        vhdx("compare", "-q", path or self.leaf, self.expected)
        links.sound(path or self.leaf)


@tap.case("a merge of two links, killed at each call: the leaf reads as before, and the next run finishes", *TRACED)
def _(folder):
    killed = Killed(folder, 2)

    def done():
        killed.left()
        killed.left(killed.base)
        parent = links.info(os.path.join(killed.work, "disk1.vhdx"))["parent"]
        assert parent["linkage"] == f"{{{links.info(killed.base)['data-write-guid']}}}", parent
        assert not parent["linkage2"].strip("{}0-"), parent
    killing.kill_at_calls(folder, [VHDX, "commit", "-q", "--into", killed.base, killed.leaf],
                          killed.fresh, killed.left, done)


@tap.case("a rebase, killed at each call: the child reads as before, and the next run finishes", *TRACED)
def _(folder):
    killed = Killed(folder, 2)

    def done():
        killed.left()
        assert links.info(killed.leaf)["parent"]["relative-path"] == ".\\other0.vhdx"
    killing.kill_at_calls(folder, [VHDX, "rebase", "-q", "--parent", killed.other, killed.leaf],
                          killed.fresh, killed.left, done)


tap.main()
