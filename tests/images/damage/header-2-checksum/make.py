#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The newer header is damaged: the older one counts."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.headers[1].damaged = True
save(disk)
