#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libvhdx(3): it declares the functions of the header as the header does, tells of each, and its example runs."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import shlex

import command
import manpage
import script
import tap
from command import vhdx
from package import loads

PAGE = "libvhdx.3"
INCLUDE = os.path.join(HERE, os.pardir, os.pardir, "include")


def same(text):
    """A declaration without what may differ in its spaces."""
    return re.sub(r"\s*([*(),])\s*", r"\1", re.sub(r"\s+", " ", text.strip()))


def declared():
    with open(os.path.join(INCLUDE, "vhdx.h"), encoding="ascii") as file:
        return [same(one) for one in re.findall(r"^VHDX_API ([^;]*\));", file.read(), re.M)]


def synopsis():
    found = []
    for result, name, rest in re.findall(r"^\.Ft (.*)\n\.Fn (\w+) (.*)$", manpage.section(PAGE, "SYNOPSIS"), re.M):
        found.append(same(f"{result} {name}({', '.join(shlex.split(rest))})"))
    return found


@tap.case("the page declares each function of the header as the header does, in its order")
def _(_):
    assert len(declared()) > 40, len(declared())
    assert synopsis() == declared(), set(synopsis()) ^ set(declared())


@tap.case("the page tells of each function")
def _(_):
    told = set(re.findall(r"^\.Fn (\w+)", manpage.section(PAGE, "DESCRIPTION"), re.M))
    known = {re.search(r"(\w+)\(", one)[1] for one in declared()}
    assert told == known, told ^ known


@tap.case("the example compiles without a warning, and says what it should", loads, tap.tool("cc"),
          lambda: "for another machine" if os.environ.get("VHDX_TEST_EMULATOR") else None)
def _(folder):
    image, source, program = (os.path.join(folder, name) for name in ("disk.vhdx", "example.c", "example"))
    vhdx("create", "-q", image, "4M")
    script.vhdxio(image, lines=["write 510 1 85", "write 511 1 170"])
    text, = manpage.examples(PAGE)
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    library = os.path.dirname(os.environ["VHDX_LIB_SHARED"])
    command.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", INCLUDE, source, "-o", program, "-L", library, "-lvhdx",
                 f"-Wl,-rpath,{library}"])
    assert command.run([program, image]).out == "55 aa\n"
    assert "No such file" in command.run([program, os.path.join(folder, "none")], status=1).err


tap.main()
