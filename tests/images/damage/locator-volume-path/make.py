#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""volume_path has no volume's GUID in front."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, base = family()
disk.locator["volume_path"] = "D:\\base.vhdx"
save(disk, base)
