#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Child and parent have different Virtual Disk IDs."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save
from image import ITEM_DISK_ID

disk, base = family()
disk.item(ITEM_DISK_ID).data = bytes(range(16))
save(disk, base)
