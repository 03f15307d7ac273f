#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Logical Sector Size lies across the end of its region."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound
from image import ITEM_LOGICAL

disk = sound()
item = disk.item(ITEM_LOGICAL)
disk.items.remove(item)
item.offset, item.data, item.length = MIB - 2, b"\0\2", 4
disk.items.append(item)
save(disk)
