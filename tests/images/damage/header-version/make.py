#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Version of the current header is 2."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.headers[1].version = 2
save(disk)
