#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""LeaveBlocksAllocated is set in a child, where it means nothing."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, family, save, u32

disk, base = family()
disk.items[0].data = u32(MIB) + u32(3)
save(disk, base)
