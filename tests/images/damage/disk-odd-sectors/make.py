#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A disk with an odd number of sectors, which some readers refuse: nothing is wrong."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

disk = Image("disk", 3 * MIB + 512)
disk.full(3, {0: noise("last", 512)})
save(disk)
