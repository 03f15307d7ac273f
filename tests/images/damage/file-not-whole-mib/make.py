#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file goes on for 1000 bytes behind its last structure."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
save(disk, length=disk.file_size() + 1000)
