#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A block of the parent lies behind the end of its file."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import FULL, family, save

disk, base = family()
base.bat[2] = 1 << 40 | FULL
save(disk, base)
