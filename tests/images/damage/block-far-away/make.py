#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Block 1 is FULLY_PRESENT at the largest offset: adding its size wraps."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, MIB, save, sound

disk = sound()
disk.bat[1] = (1 << 64) - MIB | FULL
save(disk)
