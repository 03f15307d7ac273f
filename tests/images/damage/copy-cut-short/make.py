#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A copy that ended early: the last 3 of 120 blocks are missing."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

disk = Image("disk", 120 * MIB, fixed=True)
for block in range(120):
    disk.full(block, {0: noise(f"block {block}", 512)})
save(disk, length=disk.file_size() - 3 * MIB)
