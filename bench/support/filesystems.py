# SPDX-License-Identifier: MIT
"""Folders on file systems of each kind: there already, or mounted from a sparse file as long as the bench runs."""
import os
import sys
import tempfile
import time

from support.programs import find, quietly

SIZE = 12 << 30  # of a file system in a sparse file
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


def kind_of(path):
    return quietly("stat", "-f", "-c", "%T", path).strip().replace("ext2/ext3", "ext4")


def discards(path):
    """Whether its file system tells the disk at once of what is freed: for each piece of a file that is removed, which
    takes minutes after writes here and there, and is no part of what is measured. Below a root that is no mount point
    nobody knows."""
    try:
        return "discard" in quietly("findmnt", "-n", "-o", "OPTIONS", "--target", path).strip().split(",")
    except RuntimeError:
        return False


def needs(kind):
    """Why that cannot be had, or None."""
    if os.geteuid():
        return "only root may mount one"
    missing = [name for name in (MAKE[kind][0], "losetup", "mount", "umount") if not find(name)]
    return f"no {missing[0]}" if missing else None


class FileSystems:
    """@stack, an ExitStack, undoes all."""

    def __init__(self, stack, top):
        self.stack = stack
        self.top = top
        self.folders = {}

    def folder(self, kind):
        """The folder, or None; why there is none is told once."""
        if kind not in self.folders:
            try:
                self.folders[kind] = self._have(kind)
            except RuntimeError as error:
                print(f"no {kind}: {error}", file=sys.stderr)
                self.folders[kind] = None
        return self.folders[kind]

    def _have(self, kind):
        if kind == "tmpfs":
            if kind_of("/dev/shm") != "tmpfs":
                raise RuntimeError("/dev/shm is none")
            return self.stack.enter_context(tempfile.TemporaryDirectory(prefix="vhdx-bench-", dir="/dev/shm"))
        if kind == kind_of(self.top) and not (discards(self.top) and needs(kind) is None):
            folder = os.path.join(self.top, kind)
            os.mkdir(folder)
            return folder
        why = needs(kind)
        if why:
            raise RuntimeError(why)
        return self._mounted(kind)

    def _mounted(self, kind):
        image, point = os.path.join(self.top, f"{kind}.img"), os.path.join(self.top, kind)
        with open(image, "wb") as file:
            file.truncate(SIZE)
        self.stack.callback(os.unlink, image)
        quietly(find(MAKE[kind][0]), *MAKE[kind][1:], image)
        # Direct, so that nothing is in the page cache twice.
        device = quietly(find("losetup"), "--find", "--show", "--direct-io=on", image).strip()
        self.stack.callback(quietly, find("losetup"), "--detach", device)
        os.mkdir(point)
        quietly("mount", "-o", "nodiscard", device, point)
        self.stack.callback(_unmount, point)
        return point


def _unmount(point):
    """Somebody may be about to leave it still."""
    for attempt in range(50):
        try:
            quietly("umount", point)
            return
        except RuntimeError:
            if attempt == 49:
                raise
            time.sleep(0.1)
