#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""parent_linkage2 is no GUID."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.locator["parent_linkage2"] = "none"
save(disk, base)
