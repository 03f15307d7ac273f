#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Both headers are damaged, and the log has a change that counts."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, for_both, save

disk, page = dirty()
disk.append(Entry(1, [page]))
for_both(disk.headers, damaged=True)
save(disk)
