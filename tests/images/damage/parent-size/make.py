#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parent is smaller than the child: what it lacks reads as zeros."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

base = Image("base", 4 * MIB)
base.full(3, {0: noise("base", MIB)})
disk = Image("disk", 8 * MIB, parent=base)
disk.full(1, {0: noise("child", 512)})
save(disk, base)
