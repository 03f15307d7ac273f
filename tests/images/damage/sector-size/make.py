#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Logical Sector Size is 1024."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound, u32
from image import ITEM_LOGICAL

disk = sound()
disk.item(ITEM_LOGICAL).data = u32(1024)
save(disk)
