#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Block 2 is UNMAPPED and keeps a place behind the end of the file: nothing is lost."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.bat[2] = 1 << 30 | 3
save(disk)
