#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A key of the parent locator stands there twice, with the same value."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.locator = [*disk.locator.items(), ("relative_path", disk.locator["relative_path"])]
save(disk, base)
