#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make.py FOLDER [NAME...]: writes our own images, those of the NAMEs or all, each into a folder of its
name. make.py --golden: prints what guests see in them, as golden.txt has it."""
import importlib
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]


def cases():
    """Every case, by its name."""
    import cases as table
    for part in ("sound", "logs", "headers", "tables", "chains"):
        importlib.import_module("made_" + part)
    return table.CASES


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--golden":
        for name, case in cases().items():
            guest = case.build()[0].guest
            print(name, guest.size, guest.digest() if case.reads else "-")
        return
    for name, case in cases().items():
        if not sys.argv[2:] or name in sys.argv[2:]:
            print(case.write(sys.argv[1]))


if __name__ == "__main__":
    main()
