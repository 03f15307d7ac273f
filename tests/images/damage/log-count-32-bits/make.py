#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DescriptorCount is 32 bits: 65537 is not 1, so that entry does not count."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty()
first = disk.append(Entry(1, [page]))
entry = Entry(2, [(disk.bat_at, bytes(4096))], tail=first)
entry.count = 65537
disk.append(entry)
save(disk)
