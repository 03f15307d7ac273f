#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parent was changed since the child was made of it."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, for_both, save

disk, base = family()
for_both(base.headers, data_guid=bytes(range(16)))
save(disk, base)
