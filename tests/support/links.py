# SPDX-License-Identifier: MIT
"""Chains of disks made by the command: random contents in every link, and what each reads as."""
import os
import random

import command
import disks
from command import vhdx, vhdx_json
from script import Script

BLOCKS = ("1M", "2M", "4M", "8M")


class Link:
    def __init__(self, path, model):
        self.path = path
        self.name = os.path.basename(path)
        self.model = model


def settle(path, script):
    """Learns what was trimmed."""
    raw = contents(path)
    script.settle(raw)
    os.unlink(raw)


def make(folder, name, size, children, sector=512, kind="dynamic"):
    """A base and @children links upon it, the base first, with blocks of different sizes."""
    chance, links = random.Random(name), []
    for number in range(children + 1):
        path = os.path.join(folder, f"{name}{number}.vhdx")
        words = ["--parent", links[-1].path] if links else ["--sector-size", str(sector), "--type", kind]
        vhdx("create", "-q", "--block-size", chance.choice(BLOCKS), *words, path, *([] if links else [str(size)]))
        script = Script(disks.Model(size, links[-1].model if links else None), sector)
        script.seeds = 1000 * (number + 1) + chance.randrange(100) * 100000
        script.scatter(chance, 12, most=3 << 20)
        script.run(path)
        settle(path, script)
        links.append(Link(path, script.model))
    return links


def contents(path, *words):
    """The disk as a raw file beside it."""
    raw = path + ".raw"
    vhdx("convert", "--no-sync", "--force", *words, path, raw)
    return raw


def digest(path, *words):
    raw = contents(path, *words)
    found = disks.digest(raw), os.path.getsize(raw)
    os.unlink(raw)
    return found


def holds(path, model, *words):
    """The disk reads as the model, and nothing in its chain is wrong."""
    assert digest(path, *words) == (model.digest(), model.size), f"{path} reads otherwise"
    sound(path, *words)


def sound(path, *words):
    """Nothing is wrong in the disk's chain."""
    status, found = command.check(path, "--chain", *words)
    counted = {name for name, all_of in found.items() if all_of[0]["severity"] not in ("note", "leak")}
    assert not counted and status in (0, 3), (status, sorted(found))


def info(path, *words):
    return vhdx_json("info", "--json", *words, path)["vhdx"]
