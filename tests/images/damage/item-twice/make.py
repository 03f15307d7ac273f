#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The disk's size stands in the table twice, with the same value."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound, u64
from image import ITEM_SIZE, REQUIRED, VIRTUAL_DISK, Item

disk = sound()
disk.items.append(Item(ITEM_SIZE, u64(8 * MIB), REQUIRED | VIRTUAL_DISK))
save(disk)
