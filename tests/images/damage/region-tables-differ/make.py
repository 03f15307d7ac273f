#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Both region tables are valid, and the second names another place for the BAT."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

disk = sound()
guid, _, length, required = disk.tables[1].entries[0]
disk.tables[1].entries[0] = (guid, disk.allocate(MIB), length, required)
save(disk)
