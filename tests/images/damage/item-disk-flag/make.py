#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Logical Sector Size is not marked as the virtual disk's, which Microsoft's parser refuses."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_LOGICAL, VIRTUAL_DISK

disk = sound()
disk.item(ITEM_LOGICAL).flags &= ~VIRTUAL_DISK
save(disk)
