# SPDX-License-Identifier: MIT
"""Small images that many tests start from."""
import os

from disks import MIB, noise
from image import Entry, Image


def dynamic(folder, name="disk", size=8 * MIB):
    """(path, image) of a dynamic disk with data in two blocks."""
    disk = Image(name, size)
    disk.full(0, {0: noise("zero", 8192)})
    disk.full(size // MIB - 1, {MIB - 512: noise("last", 512)})
    return disk.write(folder), disk


def family(folder, child_folder=None, relative=None):
    """(child's path, parent's path, child's image) of a child and its parent."""
    parent = Image("base", 8 * MIB, 2 * MIB)
    parent.full(0, {0: noise("base", 65536)})
    child = Image("child", 8 * MIB, parent=parent)
    child.partial(0, {512: noise("child", 512)})
    if relative:
        child.locator["relative_path"] = relative
    return child.write(child_folder or folder), parent.write(folder), child


def dirty(folder):
    """(path, image) of a disk whose log must be replayed."""
    disk = Image("dirty", 8 * MIB)
    disk.full(0, {0: noise("zero", 8192)})
    page = disk.bat_page()
    disk.bat.clear()
    disk.begin_log()
    disk.append(Entry(1, [page]))
    return disk.write(folder), disk


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path
