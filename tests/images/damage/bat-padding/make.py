#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What stands in the BAT region behind the last entry is nothing."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, save, sound

disk = sound()
disk.bat[8] = 5 << 40 | FULL
disk.bat[4095] = (1 << 64) - 1
save(disk)
