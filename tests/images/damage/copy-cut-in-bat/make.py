#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A copy that ended early, inside the BAT."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
save(disk, length=disk.bat_at + 6 * 8 + 4)
