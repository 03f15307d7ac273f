#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Logical sectors of 4096 bytes on physical ones of 512, as some programs write them."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

save(sound(logical=4096, physical=512))
