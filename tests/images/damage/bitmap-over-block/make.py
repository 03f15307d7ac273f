#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bitmap of a chunk lies over a block."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, family, save

disk, base = family()
disk.bat[disk.bitmap_index(0)] = disk.bat[5] & ~7 | FULL
save(disk, base)
