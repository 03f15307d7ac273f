#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log was replayed and LogGuid never cleared: replaying it again changes nothing."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import Entry, save, sound

disk = sound()
disk.begin_log()
disk.append(Entry(1, [disk.bat_page()]))
save(disk)
