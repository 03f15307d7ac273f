#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HasParent of a child is not set, and its locator and its bitmap show that it should be."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, family, save, u32

disk, base = family()
disk.items[0].data = u32(MIB) + u32(0)
save(disk, base)
