#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An item has no ItemId."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import NIL, USER, Item

disk = sound()
disk.items.append(Item(NIL, b"nobody's", USER))
save(disk)
