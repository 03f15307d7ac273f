#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log, with nothing to replay, lies behind the end of the file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import for_both, save, sound

disk = sound()
for_both(disk.headers, log_offset=1 << 30)
save(disk)
