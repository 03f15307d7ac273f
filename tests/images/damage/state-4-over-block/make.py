#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Block 2 has the reserved state 4 at the space of block 3: that stays block 3's."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.bat[2] = disk.bat[3] & ~7 | 4
save(disk)
