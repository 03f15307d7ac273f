#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The BAT region stands in the table twice, and only one of the two is a BAT."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, noise, patch, save, sound

disk = sound()
other = disk.allocate(MIB)
patch(disk, other, noise("no table", 65536))
for table in disk.tables:
    guid, _, length, required = table.entries[0]
    table.entries.append((guid, other, length, required))
save(disk)
