# SPDX-License-Identifier: MIT
"""Figures as people read them: four digits or so, and the unit."""


def number(value, unit):
    if unit == "s":
        scale, unit = next(((scale, name) for scale, name in ((1, "s"), (1e-3, "ms")) if value >= scale),
                           (1e-6, "us"))
        value /= scale
    if unit.startswith("/") and value >= 1e5:
        return f"{value / 1e3:,.0f}k {unit}"
    return f"{value:,.{_places(value)}f} {unit}"


def _places(value):
    return 0 if value >= 1000 or not value else 1 if value >= 100 else 2 if value >= 10 else 3


def times(ratio):
    """A ratio with the digits that mean something."""
    places = 0 if ratio >= 100 else 1 if ratio >= 10 else 2 if ratio >= 0.1 or not ratio else 3
    return f"{ratio:.{places}f}"
