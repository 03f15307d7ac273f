#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file ends inside the header section."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, save, sound

save(sound(), length=MIB // 2)
