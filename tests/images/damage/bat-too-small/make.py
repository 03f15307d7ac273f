#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The disk's size was changed to 64 TiB: the table for it would not fit."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound, u64
from image import ITEM_SIZE

disk = sound()
disk.item(ITEM_SIZE).data = u64(64 << 40)
save(disk)
