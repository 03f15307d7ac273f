#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The reserved field of the parent locator is set."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
raw = bytearray(disk.locator_bytes())
raw[16] = 1
disk.items[-1].data = bytes(raw)
save(disk, base)
