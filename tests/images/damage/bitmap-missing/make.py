#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Blocks are PARTIALLY_PRESENT, and their chunk has no bitmap."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.bitmap(0)
del disk.bat[disk.bitmap_index(0)]
save(disk, base)
