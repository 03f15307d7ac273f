#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log lies over the BAT region."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, for_both, save, sound

disk = sound()
for_both(disk.headers, log_offset=3 * MIB)
save(disk)
