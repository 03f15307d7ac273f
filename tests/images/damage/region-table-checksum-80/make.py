#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A checksum over the bytes that a region table uses is none: it covers 64 KiB."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import patch, save, sound

disk = sound()
disk.tables[0].checksum_length = 80
patch(disk, 0x30000 + 60000, b"\1")
save(disk)
