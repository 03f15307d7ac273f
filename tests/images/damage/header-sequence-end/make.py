#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The sequence number is the largest there is: adding 1 would make it 0."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.headers[0].sequence, disk.headers[1].sequence = (1 << 64) - 2, (1 << 64) - 1
save(disk)
