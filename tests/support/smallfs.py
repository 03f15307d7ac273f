# SPDX-License-Identifier: MIT
"""Small file systems that fill up: tmpfs, or ext4 in a file."""
import os
import subprocess
import time

import command
import tap

_NEEDS = (tap.root, tap.tool("mount", "umount"))
# What each kind needs, for a case.
KINDS = (("tmpfs", _NEEDS), ("ext4", (*_NEEDS, tap.tool("mke2fs", "losetup"))))


class Mount:
    """A folder's `mounted`, with a file system of that size."""

    def __init__(self, kind, folder, size):
        self.point = os.path.join(folder, "mounted")
        os.mkdir(self.point)
        if kind == "tmpfs":
            words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.point]
        else:
            image = os.path.join(folder, "fs")
            with open(image, "wb") as file:
                file.truncate(size)
            command.run([tap.find_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-m", "0",
                         "-O", "^has_journal", image])
            words = ["mount", "-o", "loop", image, self.point]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise tap.Skip(f"mount: {done.stderr}")

    def __enter__(self):
        return self.point

    def __exit__(self, *_):
        for _ in range(20):
            if not subprocess.run(["umount", self.point], capture_output=True, check=False).returncode:
                return
            time.sleep(0.1)


def free(point):
    """Blocks that are free."""
    st = os.statvfs(point)
    return st.f_bfree
