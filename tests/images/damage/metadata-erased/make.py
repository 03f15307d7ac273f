#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The metadata region is zeros: the sizes of disk and blocks are lost."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import patch, save, sound

disk = sound()
patch(disk, disk.metadata_at, bytes(128 << 10))
save(disk)
