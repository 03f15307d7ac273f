#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BlockSize is 3 MiB, which is no power of two."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound, u32

disk = sound()
disk.items[0].data = u32(3 * MIB) + u32(0)
save(disk)
