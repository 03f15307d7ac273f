#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The entry of a bitmap that no block needs has the reserved state 1."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

base = Image("base", 4 * MIB)
base.full(0, {0: noise("base", MIB)})
disk = Image("disk", 4 * MIB, parent=base)
disk.full(1, {0: noise("child", 512)})
disk.bat[disk.bitmap_index(0)] = 1
save(disk, base)
