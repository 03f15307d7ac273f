#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file type identifier is damaged; the headers show that this is an image."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.identifier = b"vhdxfilf"
save(disk)
