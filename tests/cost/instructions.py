#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many instructions of our own the operations of costops.c take, against counts.json.

    instructions.py [TEXT...]               as a test: the operations whose names hold a text
    instructions.py --write                 count, and write counts.json
    instructions.py --functions OPERATION   which functions they are spent in

Callgrind counts; what is not in a file of lib/ is left out: libc and ISA-L choose code by processor. The
counts hold for one compiler and one way of building, which counts.json names; elsewhere cases are skipped."""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
import tap  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
COUNTS = os.path.join(HERE, "counts.json")
COSTOPS = os.environ.get("VHDX_COSTOPS") or os.path.join(SOURCE, "build", "tests", "cost", "costops")
UPDATE = "tests/cost/instructions.py --write"

MORE = 3  # percent above the file that fail
OF_LIB = re.compile(r".*/(lib/[a-z]+/[a-z0-9_]+\.[ch])$")


def costops(word):
    return subprocess.run([COSTOPS, word], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def functions_of(profile):
    """{(file, function): instructions} of a profile of callgrind, each function without those that it calls."""
    spent = collections.Counter()
    file = function = None
    calls = False
    for line in profile:
        if line[:3] in ("fl=", "fi=", "fe="):
            file = line[3:].strip()
        elif line.startswith("fn="):
            function = (file, line[3:].strip())
        elif line.startswith("calls="):
            calls = True
        elif line[0].isdigit():
            # The line after calls= has the cost of the callee.
            if not calls:
                spent[function] += int(line.split()[1])
            calls = False
    return spent


def count(operation):
    """{(file of lib/, function): instructions} of the operation."""
    with tempfile.TemporaryDirectory(prefix="vhdx-cost.") as folder:
        out = os.path.join(folder, "out")
        # zero and dump: of every thread, as a switch of collection would not be.
        subprocess.run(["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}",
                        "--compress-strings=no", "--compress-pos=no",
                        "--zero-before=measured", "--dump-after=measured", COSTOPS, operation],
                       check=True)
        with open(f"{out}.1", encoding="utf-8") as profile:
            spent = functions_of(profile)
    own = collections.Counter()
    for (file, function), instructions in spent.items():
        match = OF_LIB.match(file)
        if match and os.path.exists(os.path.join(SOURCE, match.group(1))):
            own[match.group(1), function] += instructions
    return own


def total(operation):
    return sum(count(operation).values())


def load():
    with open(COUNTS, encoding="utf-8") as file:
        return json.load(file)


# ---- As a test ----

def other_build():
    if not os.path.exists(COSTOPS):
        return "no costops"
    if os.environ.get("VHDX_TEST_EMULATOR"):
        return "programs are emulated here"
    build, expected = costops("--build"), load()["build"]
    return None if build == expected else f"the counts are of {expected}; this is {build}"


def compare(operation):
    was, now = load()["instructions"][operation], total(operation)
    percent = 100 * (now - was) / was
    said = f"{operation}: {was} instructions in counts.json, {now} now: {percent:+.2f}%"
    assert percent <= MORE, f"{said}. If that is meant: {UPDATE}"
    assert percent > -50, f"{said}. Is what it was still measured? If so: {UPDATE}"
    if percent < -MORE:
        print(f"# {said}. Keep it: {UPDATE}")
    else:
        print(f"# {said}")


def test():
    counts = load()
    for operation in counts["instructions"]:
        tap.add(f"{operation} takes no more instructions than it did",
                lambda folder, operation=operation: compare(operation), tap.tool("valgrind"), other_build)
    if other_build() is None:
        tap.add("every operation has a count",
                lambda folder: list_matches(costops("--list").split(), list(counts["instructions"])))
    tap.main()


def list_matches(there, counted):
    assert there == counted, f"costops knows {there}, counts.json {counted}"


# ---- By hand ----

def write():
    counts = {
        "build": costops("--build"),
        "instructions": {operation: total(operation) for operation in costops("--list").split()},
    }
    with open(COUNTS, "w", encoding="utf-8") as file:
        json.dump(counts, file, indent=2)
        file.write("\n")
    print(json.dumps(counts["instructions"], indent=2))


def show(operation):
    own = count(operation)
    for (file, function), instructions in own.most_common(30):
        print(f"{instructions:12} {100 * instructions / own.total():5.1f}%  {function}  {file}")
    print(f"{own.total():12}")


if sys.argv[1:] == ["--write"]:
    write()
elif sys.argv[1:2] == ["--functions"]:
    show(sys.argv[2])
else:
    test()
