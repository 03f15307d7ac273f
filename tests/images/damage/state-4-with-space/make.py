#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Block 1 has the reserved state 4, and space of its own."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.bat[1] = disk.bat[1] & ~7 | 4
save(disk)
