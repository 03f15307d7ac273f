#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""More than 1023 items are not the user's, which Microsoft's parser refuses."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound
from image import Item, named_guid

disk = sound()
disk.items += [Item(named_guid(f"item {i}"), b"", 0) for i in range(1019)]
save(disk)
