#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A partial block lies behind the end of the file, and its chunk has no bitmap: it is counted once."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import PARTIAL, family, save

disk, base = family()
disk.bat[1] = 1 << 40 | PARTIAL
disk.bitmap(0)
del disk.bat[disk.bitmap_index(0)]
save(disk, base)
