#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Both region tables are zeros: the regions must be found by what they look like."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import patch, save, sound

disk = sound()
for at in (0x30000, 0x40000):
    patch(disk, at, bytes(65536))
save(disk)
