#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A region that nobody knows is not required: it is kept, and nothing is wrong."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, noise, patch, save, sound
from image import UNKNOWN

disk = sound()
at = disk.allocate(MIB)
patch(disk, at, noise("unknown", 65536))
for table in disk.tables:
    table.entries.append((UNKNOWN, at, MIB, 0))
save(disk)
