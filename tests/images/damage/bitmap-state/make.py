#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The entry of a bitmap that blocks need has the reserved state 3."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.bat[disk.bitmap_index(0)] = disk.bitmap(0) | 3
save(disk, base)
