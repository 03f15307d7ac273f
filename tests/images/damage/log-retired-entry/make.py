#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An entry before the head's Tail would damage what is there now: it does not count."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty()
disk.append(Entry(10, [(disk.bat_at, bytes(4096))]))
disk.append(Entry(11, [page]))
save(disk)
