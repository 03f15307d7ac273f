# SPDX-License-Identifier: MIT
"""Programs that one command measures at once, in slices that take turns."""


class Together:
    """@measure() returns a Sample for each name; each of runs() takes its own out of what one call found."""

    def __init__(self, names, measure):
        self._names = names
        self._measure = measure
        self._found = {}

    def _run(self, name):
        def run():
            if name not in self._found:
                self._found = self._measure()
            return self._found.pop(name)
        return run

    def runs(self):
        return {name: self._run(name) for name in self._names}
