#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A mark says that the file's creation was never finished."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import REQUIRED, Item, guid

disk = sound()
disk.items.append(Item(guid("71CC85F0-1B69-4E28-9558-C3BF83AE75D3"), b"", REQUIRED))
save(disk)
