#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log, with nothing to replay, is larger than Microsoft's parser takes."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, for_both, save, sound

disk = sound()
for_both(disk.headers, log_offset=disk.allocate(1025 * MIB), log_length=1025 * MIB)
save(disk)
