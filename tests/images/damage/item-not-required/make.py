#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Physical Sector Size is not marked as required, as some programs write it."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_PHYSICAL, REQUIRED

disk = sound()
disk.item(ITEM_PHYSICAL).flags &= ~REQUIRED
save(disk)
