#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Nothing refers to 3 MiB between two blocks, and they are a hole of the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, noise, save, sound

disk = sound()
disk.allocate(3 * MIB)
disk.full(2, {0: noise("behind", 512)})
save(disk)
