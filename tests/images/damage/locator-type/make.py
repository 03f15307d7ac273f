#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parent locator is of a type that nobody knows."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save
from image import UNKNOWN

disk, base = family()
disk.locator_type = UNKNOWN
save(disk, base)
