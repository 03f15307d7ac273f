#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An item that nobody knows is not required: it is kept, and nothing is wrong."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import UNKNOWN, USER, Item

disk = sound()
disk.items[2:2] = [Item(UNKNOWN, b"unknown", 0), Item(UNKNOWN, b"the user's", USER)]
save(disk)
