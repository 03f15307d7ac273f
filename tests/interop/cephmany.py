#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many chains into one Ceph pool by several processes at once, some of which are killed and run again."""
import atexit
import concurrent.futures
import functools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import links
import tap
from cephnode import POOL
from disks import MIB

CHAINS, WORKERS = 50, 4


def each(function, items):
    """By so many at once; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, items))


@functools.lru_cache(None)
def chains():
    """The leaf of each, made once for all cases; fewer where cases are sampled."""
    folder = tempfile.mkdtemp(prefix="vhdx-test.")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return each(lambda number: links.make(folder, f"c{number:02}", (3 + number % 7) * MIB, number % 4)[-1],
                range(max(8, CHAINS // tap.sampling())))


def judge(cluster, leaves):
    found = json.loads(cluster.rbd("ls", "--long", "--format=json", POOL))
    sizes = {image["image"]: image["size"] for image in found}
    assert sizes == {name_of(leaf): leaf.model.size for leaf in leaves}, sizes
    each(lambda leaf: cluster.vhdx("compare", leaf.path, f"rbd:{POOL}/{name_of(leaf)}"), leaves)
    for leaf in leaves[::7]:
        cluster.holds(f"{POOL}/{name_of(leaf)}", leaf.model)


def name_of(leaf):
    return leaf.name.removesuffix(".vhdx")


@cephnode.case(f"{CHAINS} chains by {WORKERS} processes at once")
def _(_, cluster):
    leaves = chains()
    each(lambda leaf: cluster.vhdx("convert", leaf.path, f"rbd:{POOL}/{name_of(leaf)}"), leaves)
    judge(cluster, leaves)


@cephnode.case(f"{CHAINS} chains by {WORKERS} processes at once, each killed at some moment and run again")
def _(_, cluster):
    leaves = chains()
    seconds = {leaf.name: random.Random(leaf.name).uniform(0, 0.5) for leaf in leaves}

    def move(leaf):
        target = f"rbd:{POOL}/{name_of(leaf)}"
        with cluster.start("convert", leaf.path, target) as process:
            time.sleep(seconds[leaf.name])
            process.kill()
            process.communicate()
            assert process.returncode in (0, -signal.SIGKILL), process.returncode
        if name_of(leaf) not in cluster.images():
            cluster.vhdx("convert", leaf.path, target)
        return process.returncode

    killed = each(move, leaves).count(-signal.SIGKILL)
    assert killed, "all had ended before they were killed"
    judge(cluster, leaves)


@cephnode.case(f"images that lie in RBD come back by {WORKERS} processes at once")
def _(folder, cluster):
    leaves = chains()[:12]
    each(lambda leaf: cluster.vhdx("convert", leaf.path, f"rbd:{POOL}/{name_of(leaf)}"), leaves)

    def fetch(leaf):
        back = os.path.join(folder, name_of(leaf) + "-back.vhdx")
        cluster.vhdx("convert", "--no-sync", f"rbd:{POOL}/{name_of(leaf)}", back)
        links.holds(back, leaf.model)
    each(fetch, leaves)


tap.main()
