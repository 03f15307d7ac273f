#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A fixed disk whose blocks are all ZERO, as QEMU makes it: it grows when it is written."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, ZERO, Image, save

disk = Image("disk", 4 * MIB, fixed=True)
for block in range(4):
    disk.state(block, ZERO)
save(disk)
