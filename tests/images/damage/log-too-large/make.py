#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log to replay is larger than 1 GiB."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Entry, dirty, for_both, save

disk, page = dirty()
for_both(disk.headers, log_offset=disk.allocate(1025 * MIB), log_length=1025 * MIB)
disk.append(Entry(1, [page]))
save(disk)
