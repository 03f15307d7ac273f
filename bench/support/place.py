# SPDX-License-Identifier: MIT
"""Where a module of bench/ works, and with what: folders, programs, and how much it is to do."""
import contextlib
import os
import tempfile

from support import leftovers, programs
from support.filesystems import FileSystems


class Place:
    """with Place(rounds=7) as place: ... All that it made is gone afterwards."""
    vhdx, plugin, vhdxio = programs.VHDX, programs.PLUGIN, programs.VHDXIO
    tool = staticmethod(programs.tool)     # the path of a program of bench/meson.build
    timed = staticmethod(programs.timed)
    quietly = staticmethod(programs.quietly)

    def __init__(self, rounds, quick=False, smoke=False):
        self.rounds = rounds
        self.quick = quick or smoke
        self.smoke = smoke
        self.have = programs.Missing().have
        self._stack = contextlib.ExitStack()
        self._systems = None

    def __enter__(self):
        leftovers.adopt()
        top = os.environ.get("BENCH_DIR") or tempfile.gettempdir()
        top = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vhdx-bench-", dir=os.path.abspath(top)))
        self._systems = FileSystems(self._stack, top)
        return self

    def __exit__(self, *error):
        leftovers.end_children()
        own = list(self._systems.folders.values())
        for folder in filter(None, own):
            leftovers.unmount_below(folder, own)
        return self._stack.__exit__(*error)

    def folder(self, kind):
        """A folder on a file system of that kind ("ext4", "tmpfs", "xfs", "btrfs"), or None."""
        return self._systems.folder(kind)

    def size(self, full, quick, smoke):
        """Whichever of them is asked for."""
        return smoke if self.smoke else quick if self.quick else full
