# SPDX-License-Identifier: MIT
"""What is expected of each of our own images."""
import os

CASES = {}


class Case:
    """@opens: info can; @reads: convert can, and gives the guest's contents.

    @status and @found are check's exit status and the names of the faults that it counts, @notes the
    names of some that it does not count; @chain is (status, found) with --chain, @windows with
    --windows. @args are given to every verb; "{folder}" in them is the images' folder. @failure is what
    a failing convert exits with: 2, the image is inconsistent; 1, it is something else. @log is its
    state, and @info what info exits with, as info shows them."""

    def __init__(self, name, why, build, opens=True, reads=None, status=0, found=(), notes=(),
                 chain=None, windows=None, args=(), failure=2, log="clean", info=0):
        self.name = name
        self.why = why
        self.build = build
        self.opens = opens
        self.reads = opens if reads is None else reads
        self.status = status
        self.found = set(found)
        self.notes = set(notes)
        self.chain = chain
        self.windows = windows
        self.args = args
        self.failure = failure
        self.log = log
        self.info = info

    def write(self, folder):
        """Writes the images into a folder of the case's name; returns the leaf's path."""
        top = os.path.join(folder, self.name)
        os.makedirs(top)
        paths = []
        for image in self.build():
            where = os.path.join(top, image.folder) if hasattr(image, "folder") else top
            os.makedirs(where, exist_ok=True)
            paths.append(image.write(where))
        return paths[0]


def made(name, why, **expected):
    """Registers a function that returns an image, or the leaf first of a chain."""
    def register(build):
        def images():
            built = build(name)
            return built if isinstance(built, list) else [built]
        assert name not in CASES
        CASES[name] = Case(name, why, images, **expected)
        return build
    return register


def refused(name, why, *found, **expected):
    expected.setdefault("status", 2)
    return made(name, why, opens=False, found=found, **expected)


def faulty(name, why, *found, **expected):
    """Opens and can be read, but check counts a fault."""
    expected.setdefault("status", 2)
    return made(name, why, found=found, **expected)
