#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The metadata region is larger than Microsoft's parser takes."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

disk = sound()
disk.metadata_at = disk.allocate(129 * MIB)
for table in disk.tables:
    guid, _, _, required = table.entries[1]
    table.entries[1] = (guid, disk.metadata_at, 129 * MIB, required)
save(disk)
