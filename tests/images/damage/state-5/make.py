#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Blocks 2 and 5 have state 5, UNMAPPED of version 0.95; block 5 keeps its former space."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

disk = sound()
disk.bat[2] = 5
disk.bat[5] = disk.allocate(MIB) | 5
save(disk)
