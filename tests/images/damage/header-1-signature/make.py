#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The older header has no signature."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.headers[0].signature = bytes(4)
save(disk)
