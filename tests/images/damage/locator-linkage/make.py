#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parent's GUID in the locator has a letter that is no digit."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.locator["parent_linkage"] = disk.locator["parent_linkage"][:-2] + "x}"
save(disk, base)
