#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The active sequence goes on at the start of the log."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Entry, dirty, save

disk, page = dirty()
empty = (disk.bat_at, bytes(4096))
disk.append(Entry(5, [empty], tail=0), at=MIB - 5 * 4096)
first = disk.append(Entry(6, [empty], tail=MIB - 5 * 4096))
disk.append(Entry(7, [page], tail=first))
save(disk)
