#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reserved bits of the entries of blocks 0 and 2 are set."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.bat[0] |= 1 << 12
disk.bat[2] = 1 << 19
save(disk)
