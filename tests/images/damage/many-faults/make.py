#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A header, a region table, three blocks and the metadata are damaged at once."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, patch, save, sound

disk = sound()
disk.headers[1].damaged = True
disk.tables[0].damaged = True
patch(disk, disk.metadata_at + 31, b"\1")
disk.bat[1] = disk.bat[0]
disk.bat[2] = 4
disk.bat[3] = 1 << 40 | FULL
save(disk)
