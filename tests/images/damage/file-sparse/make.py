#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file has holes: Windows refuses it while they are there."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

save(sound())
