#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Both headers are zeros, and the log is empty."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import patch, save, sound

disk = sound()
for at in (0x10000, 0x20000):
    patch(disk, at, bytes(4096))
save(disk)
