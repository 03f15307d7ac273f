#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The BAT has no entries for sector bitmaps, so that all behind 4 GiB is misplaced."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

disk = Image("disk", 5 << 30, 256 * MIB)
for block in (0, 16, 17):
    disk.full(block, {0: noise(f"block {block}", 4096)})
disk.bat = {index - index // 17: entry for index, entry in disk.bat.items()}
save(disk)
