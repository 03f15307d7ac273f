#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An item that is not required lies behind its region."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound
from image import UNKNOWN, USER, Item

disk = sound()
item = Item(UNKNOWN, b"", USER)
item.offset, item.length = 4 * MIB, 16
disk.items.append(item)
save(disk)
