#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the parent should be, there is a folder."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import family, save

disk, _ = family()
save(disk)
os.mkdir(os.path.join(sys.argv[1], "base.vhdx"))
