#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Both headers have the same number, and one says that the log lies where the metadata is."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

disk = sound()
disk.headers[0].sequence = disk.headers[1].sequence
disk.headers[0].log_offset = 2 * MIB
save(disk)
