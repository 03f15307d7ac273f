# SPDX-License-Identifier: MIT
"""What a module of bench/ yields: one piece of work, and how each program does it."""
import dataclasses
import typing


@dataclasses.dataclass
class Sample:
    value: float
    peak_mib: float = None  # the highest resident memory
    cpu: float = None       # seconds of it


@dataclasses.dataclass
class Row:
    """@runs are functions that return a Sample, or its value alone. Ours is "vhdx"; others are peers, or the limit."""
    name: str
    runs: typing.Dict[str, typing.Callable]
    unit: str = "s"         # of a rate ("/s", "MiB/s"), more is better; of all else, less
    limit: str = None       # which of the runs does only what the hardware and the kernel force on everybody
    peers: tuple = None     # None: all runs but ours and the limit
    goal: float = None      # ours divided by @against: at most this; at least, of a rate
    against: str = None     # None: the limit
    at_most: float = None   # what ours may be, in the unit
    most_mib: float = None  # what ours may have of memory
    rounds: int = None      # no more than this
    primes: bool = True     # whether each runs once before, which does not count, so that caches are warm
