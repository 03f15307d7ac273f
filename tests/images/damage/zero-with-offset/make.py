#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A ZERO and a NOT_PRESENT block have an offset, which Windows refuses."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import ZERO, save, sound

disk = sound()
disk.bat[2] = disk.bat[0] & ~7
disk.bat[4] = disk.bat[3] & ~7 | ZERO
save(disk)
