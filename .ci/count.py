#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count.py STAGE TESTLOG TOTALS: what a meson test run did, case by case.

Reads meson's testlog.json, names every case that failed or was skipped, and adds a line
"STAGE passed failed skipped" to the file TOTALS. Exit status 1 when anything failed.
"""

import json
import re
import sys

PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*SKIP\b\s*(.*))?", re.IGNORECASE | re.MULTILINE)
CASE = re.compile(r"^(not )?ok\b[ \t]*\d*[ \t]*(?:-[ \t]*)?([^#\n]*)(?:#[ \t]*(.*))?$", re.MULTILINE)
GOOD = {"OK", "SKIP"}


def tap_cases(output, plan):
    """Yields (outcome, name) for each case of a test that prints TAP."""
    if plan.group(1) == "0":
        yield "skipped", plan.group(2) or "everything"
    for bad, name, directive in CASE.findall(output):
        if directive.upper().startswith("SKIP"):
            yield ("failed" if bad else "skipped"), f"{name.strip()} ({directive[4:].strip()})"
        else:
            yield ("failed" if bad else "passed"), name.strip()


def test_cases(test):
    """Yields (outcome, name) for each case of one test of the log."""
    output = test.get("stdout", "")
    result = test["result"]
    plan = PLAN.search(output)
    if not plan:
        outcome = {"OK": "passed", "SKIP": "skipped"}.get(result, "failed")
        lines = output.strip().splitlines()
        why = lines[-1] if outcome == "skipped" and lines else result
        yield outcome, why
        return
    cases = list(tap_cases(output, plan))
    yield from cases
    failed = any(outcome == "failed" for outcome, _ in cases)
    if result not in GOOD and not failed:
        yield "failed", f"the test as a whole: {result}"
    elif plan.group(1) != "0" and len(cases) != int(plan.group(1)) and not failed:
        yield "failed", f"{len(cases)} cases of {plan.group(1)} ran"


def main():
    stage, log, totals = sys.argv[1:]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            test = json.loads(line)
            for outcome, name in test_cases(test):
                counts[outcome] += 1
                if outcome != "passed":
                    print(f"{outcome}: {stage}: {test['name']}: {name}")
    with open(totals, "a", encoding="utf-8") as out:
        print(stage, counts["passed"], counts["failed"], counts["skipped"], file=out)
    sys.exit(counts["failed"] > 0)


main()
