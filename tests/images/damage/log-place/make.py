#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log to replay lies behind the end of the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, for_both, save

disk, page = dirty()
disk.append(Entry(1, [page]))
disk.patches = []
for_both(disk.headers, log_offset=1 << 40)
disk.log = {}
save(disk)
