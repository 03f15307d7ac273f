#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A page of the BAT was written 8 bytes too far on, as old versions of QEMU did."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

disk = Image("disk", 5 << 30, 256 * MIB)
for block in (0, 3, 15):
    disk.full(block, {0: noise(f"block {block}", 4096)})
disk.bat = {index + 1: entry for index, entry in disk.bat.items()}
save(disk)
