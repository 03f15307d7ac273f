#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each header has a DataWriteGuid of its own: without the current one, no child would know its parent."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import save, sound

disk = sound()
disk.headers[0].data_guid = bytes(range(16))
save(disk)
