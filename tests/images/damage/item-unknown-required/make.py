#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An item that nobody knows is required."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import REQUIRED, UNKNOWN, Item

disk = sound()
disk.items.append(Item(UNKNOWN, b"unknown", REQUIRED))
save(disk)
