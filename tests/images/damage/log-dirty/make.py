#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The image was not closed cleanly: a page of the BAT stands only in the log."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty()
disk.append(Entry(1, [page]))
save(disk)
