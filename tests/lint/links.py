#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the documents lead to is there: files and headings of links, files that are named, sections of docs/FORMAT.md."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import glob
import re

import tap

TOP = os.path.normpath(os.path.join(HERE, os.pardir, os.pardir))
# Where what a document names may lie: beside the file, at the top, and what CONTRIBUTING says of lib/.
ROOTS = ("", "lib", "tests")
# What a reader makes.
MADE = re.compile(r"build")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def documents():
    found = sorted(path for pattern in ("*.md", "docs/*.md", "tests/*.md", "bench/*.md") for path in glob.glob(os.path.join(TOP, pattern)))
    assert len(found) > 10, found
    return found


def prose(path):
    """Without what is code."""
    return re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S)


def anchors(path):
    """Of its headings, as the sites that show Markdown name them."""
    titles = re.findall(r"^#+ (.*)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@tap.case("each link leads to a file, and to a heading of it")
def _(_):
    for path in documents():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
            if re.match(r"\w+:", target):
                continue
            name, _, anchor = target.partition("#")
            found = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            assert os.path.exists(found), (os.path.relpath(path, TOP), target)
            assert not anchor or anchor in anchors(found), (os.path.relpath(path, TOP), target, sorted(anchors(found)))


@tap.case("each path of a source that a document names is there")
def _(_):
    seen = 0
    for path in documents():
        for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]*\.(?:[ch]|def|py|sh|md|json|build|map))`", prose(path)):
            if MADE.match(name):
                continue
            seen += 1
            places = [os.path.join(TOP, root, name) for root in ROOTS] + [os.path.join(os.path.dirname(path), name)]
            assert any(map(os.path.exists, places)), (os.path.relpath(path, TOP), name)
    assert seen > 20, seen


@tap.case("each section of docs/FORMAT.md that sources, documents and problems name is there")
def _(_):
    known = set(re.findall(r"^#+ ([\d.]*\d)\.? ", read(os.path.join(TOP, "docs", "FORMAT.md")), re.M))
    named = [(one, "problems.def") for one in
             re.findall(r'^PROBLEM\(\d+, [^"]*"([^"]*)"', read(os.path.join(TOP, "lib", "base", "problems.def")), re.M)]
    for folder in "include", "lib", "cli", "docs":
        for path in glob.glob(os.path.join(TOP, folder, "**", "*.[chm]*"), recursive=True):
            named += [(one, os.path.relpath(path, TOP)) for one in re.findall(r"\bF (\d+(?:\.\d+)*)\b", read(path))]
    assert len(known) > 40 and len(named) > 100, (len(known), len(named))
    assert not [pair for pair in named if pair[0] not in known], [pair for pair in named if pair[0] not in known]


tap.main()
