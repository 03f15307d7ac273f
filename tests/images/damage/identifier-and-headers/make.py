#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Neither an identifier nor the signature of a header: nothing shows that this is an image."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import for_both, save, sound

disk = sound()
disk.identifier = bytes(8)
for_both(disk.headers, signature=bytes(4))
save(disk)
