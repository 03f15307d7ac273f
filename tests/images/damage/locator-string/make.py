#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A path of the parent locator holds half of a surrogate pair."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.locator["relative_path"] = ".\\\udc00.vhdx"
save(disk, base)
