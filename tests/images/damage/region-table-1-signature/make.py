#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The first region table has no signature: the second counts."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import patch, save, sound

disk = sound()
patch(disk, 0x30000, bytes(4))
save(disk)
