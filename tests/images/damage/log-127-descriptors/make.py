#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An entry with 127 descriptors, of which the last stands in a second sector."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty(64 << 30, 126 * 512 + 5 - 15)
disk.append(Entry(1, [disk.bat_page(i) for i in range(126)] + [page]))
save(disk)
