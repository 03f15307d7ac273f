#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The plugin's manual page: its examples run as they are written, and it tells of every parameter."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import select
import struct
import subprocess

import command
import disks
import manpage
import samples
import tap
from command import VHDX, vhdx
from disks import MIB, Model, noise
from server import PLUGIN, clean, environment, plain, served

PAGE = "nbdkit-vhdx-plugin.1"


def typed(folder):
    """An environment for what a reader types. nbdkit looks for plugins in its own folder alone, so a
    wrapper puts the path of the plugin that was built where the word `vhdx` is."""
    tools = os.path.join(folder, "tools")
    os.mkdir(tools)
    wrapper = samples.write(tools, "nbdkit", f"""#!/bin/bash
words=()
for word; do
	[ "$word" != vhdx ] || word={PLUGIN}
	words+=("$word")
done
exec {tap.find_tool("nbdkit")} "${{words[@]}}"
""".encode())
    os.chmod(wrapper, 0o755)
    os.symlink(VHDX, os.path.join(tools, "vhdx"))
    return environment(PATH=f"{tools}:{os.environ['PATH']}")


def partitioned():
    """A disk whose first partition takes 8 MiB from the first MiB on."""
    model = Model(16 * MIB)
    entry = struct.pack("<4xB3xII", 0x83, 2048, 16384)
    model.write(446, entry.ljust(64, b"\0") + b"\x55\xaa")
    model.write(2 * MIB, noise("partition", 100000))
    return model


def files(folder):
    """What the examples name."""
    model = partitioned()
    raw = model.save(os.path.join(folder, "made.raw"))
    vhdx("convert", raw, os.path.join(folder, "disk.vhdx"))
    os.mkdir(os.path.join(folder, "base"))
    samples.family(os.path.join(folder, "base"), folder)
    return model


@tap.case("the examples do what is written above them", served, plain,
          tap.tool("bash", "nbdinfo", "nbdcopy", "qemu-io"))
def _(folder):
    model, env, said = files(folder), typed(folder), []
    for text in manpage.examples(PAGE):
        # Those of nbdkit that stay in the background keep its standard output.
        out = os.path.join(folder, "out")
        with open(out, "wb") as file:
            command.run(["bash", "-e", "-u", "-o", "pipefail", "-c", text], cwd=folder, env=env, stdout=file)
        with open(out, encoding="utf-8") as file:
            said.append(file.read())
    assert len(said) == 6, said
    assert "export-size: 16777216" in said[0] and "is_read_only: true" in said[0], said[0]
    assert disks.digest(os.path.join(folder, "disk.raw")) == model.digest()
    assert "data" in said[3] and "hole,zero" in said[3], said[3]
    assert said[4].split() == [str(8 * MIB)], said[4]
    copied = os.path.join(folder, "copied.raw")
    vhdx("convert", os.path.join(folder, "new.vhdx"), copied)
    with open(copied, "rb") as file:
        assert file.read(16 * MIB) == model.read(0, 16 * MIB)
    ended(os.path.join(folder, "pid"))
    clean(os.path.join(folder, "disk.vhdx"))
    model.write(MIB, b"\1" * 65536)
    vhdx("convert", "--force", os.path.join(folder, "disk.vhdx"), copied)
    assert disks.digest(copied) == model.digest()


def ended(pid_file):
    """Waits for the server that the last example told to stop."""
    with open(pid_file, encoding="ascii") as file:
        number = int(file.read())
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        return
    assert select.select([process], [], [], 60)[0], "the server does not end"
    os.close(process)


@tap.case("the page has the parameters of --help, and no others", served)
def _(_):
    told = subprocess.run(["nbdkit", "--help", PLUGIN], capture_output=True, text=True, check=True,
                          env=environment()).stdout
    known = set(re.findall(r"^\[?([a-z-]+)=", told, re.MULTILINE))
    synopsis = set(re.findall(r"^\.Op Cm ([a-z-]+) Ns =", manpage.text(PAGE), re.MULTILINE))
    described = set(re.findall(r"^\.It (?:Oo )?Cm ([a-z-]+) Ns =", manpage.text(PAGE), re.MULTILINE))
    assert known == synopsis == described, (known, synopsis, described)


@tap.case("the page is sound mdoc", tap.tool("mandoc"))
def _(_):
    assert not manpage.unsound(manpage.path(PAGE)), manpage.unsound(manpage.path(PAGE))


tap.main()
