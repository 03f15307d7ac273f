#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The chunk of three blocks that are PARTIALLY_PRESENT has no bitmap; what lies between them can be read."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, noise, save

disk, base = family()
disk.partial(7, {0: noise("child 7", 4096)})
del disk.bat[disk.bitmap_index(0)]
save(disk, base)
