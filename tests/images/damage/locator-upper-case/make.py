#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parent's GUID is written in capitals, and parent_linkage2 is zero: nothing is wrong."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.locator["parent_linkage"] = disk.locator["parent_linkage"].upper()
disk.locator["parent_linkage2"] = "{00000000-0000-0000-0000-000000000000}"
save(disk, base)
