#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Nothing refers to 3 MiB between two blocks, and they take room."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, noise, patch, save, sound

disk = sound()
at = disk.allocate(3 * MIB)
for offset in range(0, 3 * MIB, 65536):
    patch(disk, at + offset, noise(f"lost {offset}", 65536))
disk.full(2, {0: noise("behind", 512)})
save(disk)
