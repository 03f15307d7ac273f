#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ZERO, UNMAPPED and UNDEFINED blocks of a child hide its parent: nothing is wrong."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import ZERO, family, save

disk, base = family()
for block, state in ((0, ZERO), (4, 3), (6, 1)):
    disk.state(block, state)
save(disk, base)
