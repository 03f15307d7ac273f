#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A bitmap entry is set on a disk without a parent."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, MIB, Image, noise, save

disk = Image("disk", 5 << 30, 256 * MIB)
disk.full(0, {0: noise("zero", 512)})
disk.bat[16] = disk.allocate(MIB) | FULL
disk.full(19, {0: noise("last", 512)})
save(disk)
