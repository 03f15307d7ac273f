#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table gives the disk's size 4 bytes, and its 8 are there."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_SIZE

disk = sound()
disk.item(ITEM_SIZE).length = 4
save(disk)
