#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A gap in the sequence numbers, 7 and then 99, ends the sequence."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty()
first = disk.append(Entry(7, [page]))
disk.append(Entry(99, [(disk.bat_at, bytes(4096))], tail=first))
save(disk)
