#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bits of blocks that are not PARTIALLY_PRESENT are left over: nothing is wrong."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
for block in (0, 3, 4, 5):
    disk.set_bits(block, range(0, 2048, 3))
save(disk, base)
