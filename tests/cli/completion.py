#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the shells make of a tabulator, at a terminal: verbs, the options of --help, their values, images, folders."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import contextlib
import functools
import re

import interactive
import tap
from command import VHDX, run, vhdx

SCRIPT = os.path.join(HERE, os.pardir, os.pardir, "completion", "generate")


@functools.lru_cache(None)
def generated(name):
    return run([SCRIPT, name, os.path.realpath(VHDX), "/dev/stdout"]).out


@contextlib.contextmanager
def shell(name, folder):
    """In a folder where names are in the way: folders called as a verb and a format, other files beside images."""
    directory, place = os.path.join(folder, "functions"), os.path.join(folder, "place")
    for path in (directory, place, *(os.path.join(place, one) for one in ("info", "raw", "somewhere", "kept.vhdx"))):
        os.mkdir(path)
    for one in ("my disk.vhdx", "some.vhdx", "notes.txt", "note.avhdx", "odd.img", "UPPER.VHDX"):
        with open(os.path.join(place, one), "wb"):
            pass
    with open(os.path.join(directory, {"bash": "vhdx", "zsh": "_vhdx"}[name]), "w", encoding="utf-8") as file:
        file.write(generated(name))
    with interactive.shell(name, directory, place) as found:
        yield found


def verbs():
    """All but mount where that is a program which was not built."""
    told = re.findall(r"^ {2}(\w+) +\S", run([VHDX, "--help"]).out, re.M)
    return [verb for verb in told if verb != "mount" or os.environ.get("VHDX_MOUNT")]


def options_of(verb):
    text = vhdx(verb, "--help").out.split("\n\n")[1]
    return {name for pair in re.findall(r"^ {2}(-\w)?(?:, )? *(--[\w-]+)?", text, re.M) for name in pair if name}


LINES = {
    "a verb, though a folder is called so": [("inf", "info ")],
    "the verbs that help is asked of": [("hel", "help "), ("help sal", "help salvage "), ("help info ", "help info ")],
    "a value, though a folder is called so": [("convert -O r", "convert -O raw "), ("create --type d", "create --type dynamic ")],
    "a value behind a sign of equality": [("create --type=f", "create --type=fixed "), ("check --progress=", "check --progress=json "),
                                          ("create --parent=no", "create --parent=note.avhdx ")],
    "an image before other files": [("info not", "info note.avhdx "), ("info U", "info UPPER.VHDX ")],
    "other files where no image is called so": [("info odd", "info odd.img "), ("convert od", "convert odd.img ")],
    "names with spaces, quoted as they were begun": [("info my", r"info my\ disk.vhdx "), (r"info my\ d", r"info my\ disk.vhdx "),
                                                     ('info "my', 'info "my disk.vhdx" '), ("info 'my d", "info 'my disk.vhdx' ")],
    "options and files behind operands": [("info some.vhdx --js", "info some.vhdx --json "), ("diff some.vhdx odd.img U", "diff some.vhdx odd.img UPPER.VHDX ")],
    "a folder where one is wanted": [("info --parent-dir s", "info --parent-dir somewhere/"),
                                     ("mount some.vhdx so", "mount some.vhdx somewhere/")],
    "a structure, then an image": [("dump --json m", "dump --json metadata "), ("dump log U", "dump log UPPER.VHDX ")],
    "nothing for a size": [("resize some.vhdx ", "resize some.vhdx "), ("create --log-size ", "create --log-size ")],
    "any file as a value that is no image": [("repair --undo not", "repair --undo note")],
    "no option behind --, but files": [("info -- --js", "info -- --js"), ("info -- U", "info -- UPPER.VHDX ")],
    "a shell's command": [("serve --run printen", "serve --run printenv ")],
    "paths from the home folder": [("info ~/U", "info ~/UPPER.VHDX "), ("info $HOME/U", "info $HOME/UPPER.VHDX ")],
}


def add(name):
    for title, lines in LINES.items():
        @tap.case(f"{name} completes {title}", tap.tool(name))
        def _(folder, lines=lines):
            with shell(name, folder) as typed:
                for begun, whole in lines:
                    if begun.startswith("mount ") and "mount" not in verbs():
                        continue
                    found = typed.completed(f"vhdx {begun}")
                    assert found == f"vhdx {whole}", (begun, found)

    @tap.case(f"{name} completes a value behind a sign of equality that it leaves in the word", tap.tool(name))
    def _(folder):
        with shell(name, folder) as typed:
            if name == "bash":
                typed.type("COMP_WORDBREAKS=${COMP_WORDBREAKS//=}; echo do''ne\n")
                typed.wait(rb"done\r?\n")
            for begun, whole in (("create --type=f", "create --type=fixed "), ("check --progress=", "check --progress=json "),
                                 ("create --parent=no", "create --parent=note.avhdx "), ("create --parent=my", r"create --parent=my\ disk.vhdx "),
                                 ("info --parent-dir=some", "info --parent-dir=somewhere/"), ("create --log-size=", "create --log-size="),
                                 ("create --type=fixed --js", "create --type=fixed --js"), ("info --nothing=", "info --nothing="),
                                 ("info --json -- --type=f", "info --json -- --type=f")):
                found = typed.completed(f"vhdx {begun}")
                assert found == f"vhdx {whole}", (begun, found)

    @tap.case(f"{name} offers all verbs, and of each its options", tap.tool(name))
    def _(folder):
        with shell(name, folder) as typed:
            assert set(verbs()) <= set(typed.offered("vhdx ")), typed.offered("vhdx ")
            assert set(verbs()) == set(typed.offered("vhdx help ")), typed.offered("vhdx help ")
            assert set(typed.offered("vhdx com")) == {"compare", "commit", "compact"}
            for verb in verbs():
                offered = {word.rstrip("=") for word in typed.offered(f"vhdx {verb} -")}
                assert offered == options_of(verb), (verb, offered ^ options_of(verb))
            if "--ceph-conf" in options_of("convert"):
                assert typed.completed("vhdx convert --ceph-conf not") == "vhdx convert --ceph-conf note"
            assert set(typed.offered("vhdx create --sector-size ")) == {"512", "4096"}

    @tap.case(f"{name} offers images and folders to look into, and all files to copy from", tap.tool(name))
    def _(folder):
        images = {"UPPER.VHDX", r"my\ disk.vhdx", "note.avhdx", "some.vhdx", "info", "raw", "somewhere", "kept.vhdx"}
        with shell(name, folder) as typed:
            offered = [word.rstrip("/") for word in typed.offered("vhdx info ")]
            assert set(offered) == images and len(offered) == len(images), offered
            offered = [word.rstrip("/") for word in typed.offered("vhdx convert ")]
            assert set(offered) == images | {"notes.txt", "odd.img"}, offered
            first = offered[:5]
            assert name != "bash" or set(first) == {word for word in images if word.lower().endswith("vhdx")}, first


add("bash")
add("zsh")


tap.main()
