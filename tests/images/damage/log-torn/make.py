#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""LogGuid is set, and the only entry of the log is torn."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, dirty, save

disk, page = dirty()
entry = Entry(1, [page])
entry.torn = True
disk.append(entry)
save(disk)
