#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Block 1 is PARTIALLY_PRESENT, and the disk has no parent."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import PARTIAL, save, sound

disk = sound()
disk.bat[1] |= PARTIAL
save(disk)
