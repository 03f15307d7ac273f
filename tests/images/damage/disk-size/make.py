#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The disk's size is no whole number of sectors."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound, u64
from image import ITEM_SIZE

disk = sound()
disk.item(ITEM_SIZE).data = u64(8 * MIB - 1)
save(disk)
