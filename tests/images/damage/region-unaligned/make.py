#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The BAT region does not begin on a MiB, as some programs make fixed disks."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

disk = sound()
disk.allocate(MIB)
disk.bat_at = disk.allocate(2 * MIB) + MIB // 2
for table in disk.tables:
    guid, _, length, required = table.entries[0]
    table.entries[0] = (guid, disk.bat_at, length, required)
save(disk)
