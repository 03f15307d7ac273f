# SPDX-License-Identifier: MIT
"""What follows from a row's samples, as they are in the JSON: medians, spreads, ratios, and whether a goal is met."""
import json
import re
import statistics


def as_json(result):
    """With a line for the samples of one run, not of one sample."""
    return re.sub(r"\[\s+([-0-9.e,\s]+?)\s+\]", lambda found: f"[{' '.join(found.group(1).split())}]",
                  json.dumps(result, indent=1)) + "\n"


def is_rate(row):
    return row["unit"].endswith("/s")


def values(row, name):
    return row["runs"][name]["values"]


def median(row, name):
    return statistics.median(values(row, name))


def peak(row, name):
    """The highest resident memory of all rounds in MiB, or None."""
    return max((p for p in row["runs"][name].get("peak_mib", ())), default=None)


def spread(row, name):
    """What the middle half of the samples covers, in percent of the median; None where that says nothing."""
    found, middle = values(row, name), median(row, name)
    if len(found) < 3 or not middle:
        return None
    quarters = statistics.quantiles(found, n=4, method="inclusive")
    return 100 * (quarters[2] - quarters[0]) / middle


def ratio(row, other):
    """Ours divided by theirs: the median of what each round says, for what else a machine does comes and goes.
    None where theirs is none or nothing."""
    if other not in row["runs"]:
        return None
    pairs = [ours / theirs for ours, theirs in zip(values(row, "vhdx"), values(row, other)) if theirs]
    return statistics.median(pairs) if pairs else None


def best_ratio(row, other):
    """Of the best samples. Where a virtual machine gives freed memory back to its host, whoever gets it again pays for
    it, at random: this says more there. None as above."""
    best = max if is_rate(row) else min
    theirs = best(values(row, other)) if other in row["runs"] else 0
    return best(values(row, "vhdx")) / theirs if theirs else None


def best_peer(row):
    """Its name, or None."""
    peers = [name for name in row["runs"]
             if (name in row["peers"] if row["peers"] is not None else name not in ("vhdx", row["limit"]))]
    best = max if is_rate(row) else min
    return best(peers, key=lambda name: median(row, name), default=None)


def _sign(row):
    return "≥" if is_rate(row) else "≤"


def goals(row):
    """Each goal in words, what ours has instead, or None where that cannot be known, and whether that misses it."""
    if row["goal"] is not None:
        against = row["against"] or row["limit"]
        found = ratio(row, against)
        missed = found is not None and (found < row["goal"] if is_rate(row) else found > row["goal"])
        yield f"{_sign(row)} {row['goal']:g} of {against}", found, missed
    if row["at_most"] is not None:
        found = median(row, "vhdx")
        yield f"≤ {row['at_most']:g} {row['unit']}", found, found > row["at_most"]
    if row["most_mib"] is not None:
        found = peak(row, "vhdx")
        yield f"≤ {row['most_mib']:g} MiB", found, found is not None and found > row["most_mib"]


def goal_text(row):
    return ", ".join(text for text, _, _ in goals(row))


def misses(row):
    """What ours misses, in words."""
    return [f"{found:.3g}, not {text}" for text, found, missed in goals(row) if missed]


def all_missed(result):
    return [(table, row) for table in result["tables"] for row in table["rows"] if misses(row)]
