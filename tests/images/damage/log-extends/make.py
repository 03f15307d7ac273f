#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log makes the file longer, by a whole number of MiB."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, save, sound

disk = sound()
disk.length = disk.end
disk.full(2, {})
page = disk.bat_page()
del disk.bat[2]
disk.begin_log()
disk.append(Entry(1, [page], flushed=disk.length, last=disk.end))
save(disk)
