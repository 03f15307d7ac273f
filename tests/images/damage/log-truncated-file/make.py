#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file is shorter than its log says it was when last flushed."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Entry, dirty, save

disk, page = dirty()
disk.append(Entry(1, [page], flushed=disk.end + MIB))
save(disk)
