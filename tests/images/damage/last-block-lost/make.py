#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The last block of a disk that ends inside it lies behind the end of the file: only the disk's part is lost."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, MIB, Image, noise, save

disk = Image("disk", 5 * MIB + 512, 2 * MIB)
disk.full(0, {0: noise("first", 4096)})
disk.full(2, {MIB: noise("last", 512)})
disk.bat[2] = 1 << 40 | FULL
save(disk)
