#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An item without a value has an offset."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import UNKNOWN, USER, Item

disk = sound()
item = Item(UNKNOWN, b"", USER)
item.offset = 100000
disk.items.append(item)
save(disk)
