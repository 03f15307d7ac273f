#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The BAT region is not in the table."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
for table in disk.tables:
    del table.entries[0]
save(disk)
