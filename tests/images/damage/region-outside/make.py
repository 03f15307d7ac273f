#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table says that the metadata lies far behind the end of the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
for table in disk.tables:
    guid, _, length, required = table.entries[1]
    table.entries[1] = (guid, 1 << 60, length, required)
save(disk)
