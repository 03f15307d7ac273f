#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A disk without a parent has a parent locator."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import ITEM_LOCATOR, REQUIRED, Item, guid_text

disk = sound()
disk.locator = {"parent_linkage": guid_text(bytes(range(16))), "relative_path": "nobody.vhdx"}
disk.items.append(Item(ITEM_LOCATOR, None, REQUIRED))
save(disk)
