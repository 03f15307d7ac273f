#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The creator holds half of a surrogate pair, which is no text."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import patch, save, sound

disk = sound()
patch(disk, 8, b"\x00\xdc")
save(disk)
