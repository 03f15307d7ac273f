#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The image was not closed cleanly, and its log holds only empty entries."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, save, sound

disk = sound()
disk.begin_log()
disk.append(Entry(9, []))
disk.append(Entry(10, []))
save(disk)
