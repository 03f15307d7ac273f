#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Virtual Disk ID is missing."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_DISK_ID

disk = sound()
disk.items.remove(disk.item(ITEM_DISK_ID))
save(disk)
