#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reserved flags of the Virtual Disk ID are set."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_DISK_ID

disk = sound()
disk.item(ITEM_DISK_ID).flags |= 0x10
save(disk)
