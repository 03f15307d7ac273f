#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FlushedFileOffset counts in the head alone: an earlier entry's is larger than the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Entry, dirty, save

disk, page = dirty()
first = disk.append(Entry(1, [page], flushed=disk.end + 8 * MIB))
disk.append(Entry(2, [page], tail=first))
save(disk)
