#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A block has a reserved bit, lies over another and behind the end of the file: it is counted once."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, MIB, Image, noise, save

disk = Image("disk", 8 * MIB, 2 * MIB)
disk.full(0, {0: noise("zero", 2 * MIB)})
at = disk.full(1, {0: noise("one", 2 * MIB)})
disk.bat[2] = at + MIB | FULL | 1 << 10
save(disk)
