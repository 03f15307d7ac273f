#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log does not begin on a MiB, as some programs make fixed disks."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, for_both, save, sound

disk = sound()
at = disk.allocate(2 * MIB)
for_both(disk.headers, log_offset=at + MIB // 2)
save(disk)
