#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reserved flags of the File Parameters are set."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound, u32

disk = sound()
disk.items[0].data = u32(MIB) + u32(1 << 5)
save(disk)
