#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reserved bits beside Required are set in the entry of the BAT."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
for table in disk.tables:
    table.entries[0] = table.entries[0][:3] + (0x80000001,)
save(disk)
