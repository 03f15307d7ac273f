# SPDX-License-Identifier: MIT
"""Manual pages as a test sees them: options, examples, and whether they are sound mdoc."""
import os
import re

import command

FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, os.pardir, "man")


def path(name):
    return os.path.join(FOLDER, name)


def text(name):
    with open(path(name), encoding="ascii") as file:
        return file.read()


def section(name, title):
    """The lines of a section, without its title; "" when the page has none."""
    found = re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", text(name), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def examples(name):
    """The literal blocks of the examples, as a reader would type them."""
    return [block.replace("\\e", "\\") for block in
            re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section(name, "EXAMPLES"), re.MULTILINE | re.DOTALL)]


def options(name, described=False):
    """Options that the page names, or those that it has a paragraph for: each by its longest name, with what follows it
    as --help shows it."""
    found = {}
    for line in re.findall(r"^\.It (Fl .*)$" if described else r"^\.(?:It )?(Fl .*)$", text(name), re.MULTILINE):
        words = re.findall(r"Fl (\S+)((?: (?:Ns )?(?:Op )?(?:= )?(?:Ns )?(?:Ar|Cm) \S+)?)", line)
        short = [word for word, _ in words if not word.startswith("-")]
        long = [(word, value) for word, value in words if word.startswith("-")]
        for word, value in long or [(word, value) for word, value in words]:
            value = re.search(r"Ar (\S+)", value)
            known = found.setdefault("-" + word, [None, set()])
            known[0] = known[0] or (value[1] if value else None)
            known[1] |= {"-" + one for one in short} if long else set()
    return found


def unsound(page):
    """What mandoc says of a page, which is nothing of a sound one."""
    said = command.run(["mandoc", "-T", "lint", "-W", "all", page], status=None)
    # It also speaks of pages that are not installed here.
    return [line for line in (said.out + said.err).splitlines()
            if os.path.basename(page) in line and "referenced manual not found" not in line]
