# SPDX-License-Identifier: MIT
"""Measures rows: everything in turn, several rounds, in an order that turns too, so that whatever else the machine
does meets all of them."""
import contextlib
import dataclasses
import time

from support import stopping
from support.row import Sample

LEAST = 3  # rounds, unless fewer are asked for: so that the median is no mean


def _sample(run):
    stopping.check()
    found = run()
    return found if isinstance(found, Sample) else Sample(float(found))


def measure(row, rounds, seconds):
    """The row as it is in the JSON. There are no more rounds, above a few, than fit into so many seconds."""
    assert "vhdx" in row.runs, row.name
    names = list(row.runs)
    found = {name: [] for name in names}
    most = min(rounds, row.rounds or rounds)
    if most > 1 and row.primes:
        for name in names:
            _sample(row.runs[name])  # the caches are as they will be
    start = time.monotonic()
    for number in range(most):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(_sample(row.runs[name]))
        each = (time.monotonic() - start) / (number + 1)
        if number + 1 >= LEAST and (number + 2) * each > seconds:
            break
    told = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)
            if field.name not in ("runs", "rounds", "primes")}
    return {**told, "runs": {name: _told(samples) for name, samples in found.items()}}


def _told(samples):
    told = {"values": [float(f"{s.value:.6g}") for s in samples]}
    for field in "peak_mib", "cpu":
        known = [getattr(s, field) for s in samples if getattr(s, field) is not None]
        if known:
            told[field] = [float(f"{value:.6g}") for value in known]
    return told


def measured(module, place, wanted, seconds, late):
    """Yields each row of the module whose name matches, measured; the module cleans up after each. Once it is @late
    by the monotonic clock, one round must do, so that the whole run ends in time on a slow machine too."""
    with contextlib.closing(module.rows(place)) as rows:
        for row in rows:
            if wanted.search(row.name):
                yield measure(row, 1 if time.monotonic() > late else place.rounds, seconds)
