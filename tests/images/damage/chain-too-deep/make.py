#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A chain of 258 images."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 3, "support"))

from damaged import MIB, Image, noise, save

images = [Image("base", 2 * MIB)]
images[0].full(0, {0: noise("base", 4096)})
for number in range(256):
    images.append(Image(f"child-{number}", 2 * MIB, parent=images[-1]))
disk = Image("disk", 2 * MIB, parent=images[-1])
save(disk, *images)
