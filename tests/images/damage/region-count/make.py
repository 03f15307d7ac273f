#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""EntryCount of both region tables is 2048."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import for_both, save, sound

disk = sound()
for_both(disk.tables, count=2048)
save(disk)
