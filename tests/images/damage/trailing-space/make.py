#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file goes on for 4 MiB behind its last structure, as one that was preallocated."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

disk = sound()
save(disk, length=disk.file_size() + 4 * MIB)
