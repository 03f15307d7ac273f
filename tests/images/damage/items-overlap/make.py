#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two items share a byte: the Virtual Disk ID and one of the user's."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_DISK_ID, UNKNOWN, USER, Item, named_guid

disk = sound()
disk.item(ITEM_DISK_ID).offset = 70000
item = Item(UNKNOWN, named_guid("disk")[15:] + b"the user's", USER)
item.offset = 70015
disk.items.append(item)
save(disk)
