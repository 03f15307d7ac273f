#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A block behind 4 GiB lacks the bitmap of its own chunk, the second; that of the first is there."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

base = Image("base", 5 << 30, 256 * MIB)
base.full(17, {4096: noise("base", 65536)})
disk = Image("disk", 5 << 30, 32 * MIB, parent=base)
disk.partial(0, {0: noise("first chunk", 4096)})
disk.partial(136, {0: noise("second chunk", 4096)})
del disk.bat[disk.bitmap_index(1)]
save(disk, base)
