# SPDX-License-Identifier: MIT
"""A signal ends the run; unlike death by the signal, that cleans up, and nothing stops it any more."""
import signal
import sys

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_by = []


def _stop(number, _):
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    _by.append(number)
    check()


def on_signals():
    for number in ENDS:
        signal.signal(number, _stop)


def check():
    """Ends the run if a signal came. Between samples too: where Python ignores exceptions, as in what it calls when an
    object goes, the first is lost."""
    if _by:
        sys.exit(128 + _by[0])
