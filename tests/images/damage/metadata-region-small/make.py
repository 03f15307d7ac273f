#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The metadata region is 4 KiB long, less than its table."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
for table in disk.tables:
    guid, at, _, required = table.entries[1]
    table.entries[1] = (guid, at, 4096, required)
save(disk)
