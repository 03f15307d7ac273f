#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A region that is not required lies behind the end of the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound
from image import UNKNOWN

disk = sound()
for table in disk.tables:
    table.entries.append((UNKNOWN, 1 << 50, MIB, 0))
save(disk)
