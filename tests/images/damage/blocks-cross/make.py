#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Blocks of 2 MiB overlap by 1 MiB."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

disk = Image("disk", 8 * MIB, 2 * MIB)
at = disk.full(0, {0: noise("zero", 4096), MIB: noise("both", 4096)})
disk.full(2, {2 * MIB - 512: noise("two", 512)}, at=at + MIB)
disk.end += MIB
disk.guest.write(4 * MIB, noise("both", 4096))
save(disk)
