#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each of two images is the other's parent."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, family, save
from image import guid_text

disk, _ = family()
base = Image("base", 8 * MIB, parent=disk)
for one, other in ((disk, base), (base, disk)):
    one.locator = {"parent_linkage": guid_text(other.headers[1].data_guid),
                   "relative_path": ".\\" + other.name + ".vhdx"}
save(disk, base)
