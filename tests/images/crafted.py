#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images made for one rule each, from the folder VHDX_TEST_IMAGES, and judged by the judge beside it."""
import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import judges
import tap

CRAFTED = os.path.join(judges.IMAGES, "crafted")
# MiB of address space that a command may use; a sanitizer reserves far more than that.
SPACE_MIB = 1024


def load():
    """(judge, cases), or why there are none."""
    runner = judges.load("runcases")
    if not runner:
        return "no runcases.py", []
    try:
        with open(os.path.join(CRAFTED, "manifest.json"), encoding="utf-8") as file:
            return runner, json.load(file)["cases"]
    except OSError as error:
        return f"no crafted images ({error.strerror})", []


RUNNER, CASES = load()


def judge(case, folder):
    how = {"vhdx": command.VHDX, "timeout": 20.0 if tap.sampling() == 1 else 200.0, "tmp": folder,
           "judge": RUNNER.ours, "as": SPACE_MIB if tap.sampling() == 1 else 0}
    bad, said = RUNNER.one(case, CRAFTED, how)[1:3]
    assert not bad, f"{'; '.join(bad)}\nsaid: {said}"


for each in CASES:
    tap.add(f"{each['name']}: {each['why']}", lambda folder, case=each: judge(case, folder))
if not CASES:
    tap.add("crafted images", None, lambda: RUNNER)

tap.main()
