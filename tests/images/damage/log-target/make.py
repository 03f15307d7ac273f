#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An entry of the log writes far behind the end that the log gives the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty()
disk.append(Entry(1, [page, (1 << 40, bytes(4096))]))
save(disk)
