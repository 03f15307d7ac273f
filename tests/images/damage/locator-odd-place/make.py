#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The strings of the parent locator begin at odd offsets, which Microsoft's parser refuses."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save, u32

disk, base = family()
raw = bytearray(disk.locator_bytes())
table = 20 + 12 * len(disk.locator)
for i in range(20, table, 12):
    for at in (i, i + 4):
        raw[at:at + 4] = u32(int.from_bytes(raw[at:at + 4], "little") + 1)
raw[table:table] = b"\0"
disk.items[-1].data = bytes(raw)
save(disk, base)
