#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A copy that ended early, inside the last block of a fixed disk."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

disk = Image("disk", 6 * MIB, 2 * MIB, fixed=True)
for block in range(3):
    disk.full(block, {0: noise(f"start of {block}", 512), MIB: noise(f"middle of {block}", MIB)})
save(disk, length=disk.file_size() - MIB // 2)
