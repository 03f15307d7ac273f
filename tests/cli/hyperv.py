#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdx-hyperv(7): each command of Hyper-V and qemu-img that concerns disks is there, and what stands beside it works."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import shlex
import shutil

import manpage
import samples
import script
import tap
from command import VHDX, fails, run, vhdx, vhdx_json
from disks import MIB, noise

PAGE = "vhdx-hyperv.7"
CMDLETS = {"Convert-VHD", "Dismount-VHD", "Get-VHD", "Merge-VHD", "Mount-VHD", "New-VHD", "Optimize-VHD", "Resize-VHD", "Set-VHD",
           "Test-VHD", "Checkpoint-VM", "Get-VMCheckpoint", "Restore-VMCheckpoint", "Remove-VMCheckpoint", "Export-VM",
           "Export-VMCheckpoint"}
STAYING = {"mount", "serve"}


def commands():
    """Of the page: each command of ours with its words, as a reader would type it."""
    lines = [line.replace("\\&", "") for line in manpage.text(PAGE).splitlines() if line.startswith(".Li vhdx ")]
    return [re.sub(r" [;:,.]$", "", re.sub(r" (Ar|Li) ", " ", line[4:])).split()[1:] for line in lines]


@tap.case("each cmdlet for disks and each command of qemu-img is there", tap.tool("qemu-img"))
def _(_):
    titles = "\n".join(re.findall(r"^\.It (?:Li )?(.*)$", manpage.text(PAGE), re.M))
    assert CMDLETS <= set(re.findall(r"\b[A-Z]\w+-VM?\w*", titles)), CMDLETS - set(re.findall(r"\b[A-Z]\w+-VM?\w*", titles))
    syntax = run(["qemu-img", "--help"]).out.split("Command syntax:")[1].split("Command parameters:")[0]
    known = set(re.findall(r"^ {2}(\w+) ", syntax, re.M))
    assert len(known) > 10 and known <= set(re.findall(r"qemu-img (\w+)", titles)), known


def files(folder):
    """What the page names; disks of 40 MiB stand for those of 40 GiB."""
    there = os.path.join
    for name in "ABDE":
        vhdx("create", "-q", "--block-size", "1M", there(folder, f"{name}.vhdx"), "50M")
        script.vhdxio(there(folder, f"{name}.vhdx"), lines=["write 1M 64K 5", "write 9M 4K 6"])
    vhdx("convert", there(folder, "B.vhdx"), there(folder, "B.raw"))
    shutil.copy(there(folder, "E.vhdx"), there(folder, "ext4.vhdx"))
    vhdx("create", "-q", "--parent", there(folder, "D.vhdx"), there(folder, "C.avhdx"))
    script.vhdxio(there(folder, "C.avhdx"), lines=["write 3M 4K 7"])
    samples.write(folder, "D.raw", noise("raw", 4 * MIB) + bytes(46 * MIB))


def told(words):
    """The command as it can be tried: smaller, with what it makes not there yet, and what stands for names."""
    names = {"SIZE": "45M", "/dev/sdb": "D.raw"}
    return [names.get(word, re.sub(r"^([+-]?\d+)G$", r"\1M", word)) for word in words]


def made(words):
    """The file that a command makes, or None."""
    if words[0] == "create" and "--parent" not in words:
        return words[-2]
    return words[-1] if words[0] in ("create", "convert", "diff") else None


@tap.case("our commands do what they say, on disks of that name", lambda: None if os.environ.get("VHDX_FREESPACE") else
          "--free-space is not built")
def _(folder):
    assert len(commands()) > 35, len(commands())
    kept = os.path.join(folder, "kept")
    os.mkdir(kept)
    files(kept)
    for number, words in enumerate(map(told, commands())):
        if words[0] in STAYING:
            continue
        place = os.path.join(folder, str(number))
        run(["cp", "-r", "--sparse=always", kept, place])
        new = made(words) and os.path.join(place, made(words))
        if new and os.path.exists(new):
            os.unlink(new)
        if "--free-space" in words:
            fails(*words[:-1], os.path.join(place, words[-1]), says="no ext2, ext3 or ext4")
        else:
            run([os.path.realpath(VHDX), *words], cwd=place)
        if new and new.endswith("vhdx"):
            vhdx("check", "--chain", new)
        assert not new or os.path.exists(new), words
        shutil.rmtree(place)


def beside(title):
    """Our command beside that one, as it can be tried."""
    text = manpage.text(PAGE).replace("\\&", "")
    line = text.split(f".It Li {title}\n")[1].split(".It ")[0]
    return told(re.search(r"^\.Li vhdx (.*?)(?: [:,.;])?$", line, re.M)[1].split())


@tap.case("a copy has the physical sectors that were asked for, and an identifier of its own")
def _(folder):
    os.chdir(folder)
    vhdx("create", "-q", "--physical-sector-size", "512", "D.vhdx", "50M")
    script.vhdxio("D.vhdx", lines=["write 1M 64K 5"])
    was = vhdx_json("info", "--json", "D.vhdx")["vhdx"]
    for title, size in ("-PhysicalSectorSizeBytes 4096", 4096), ("-ResetDiskIdentifier", 512):
        vhdx(*beside(f"Set-VHD -Path D.vhdx {title}"))
        now = vhdx_json("info", "--json", "W.vhdx")["vhdx"]
        assert was["physical-sector-size"] == 512 and now["physical-sector-size"] == size, (title, now)
        assert was["disk-id"] != now["disk-id"], title
        vhdx("compare", "D.vhdx", "W.vhdx")
        os.unlink("W.vhdx")


@tap.case("what is said of children that are QEMU's, QEMU does", tap.tool("qemu-img"))
def _(folder):
    os.chdir(folder)
    for name in "D.vhdx", "E.vhdx":
        vhdx("create", "-q", name, "50M")
    titles = [title for title in re.findall(r"^\.It Li (qemu-img .*)$", manpage.text(PAGE), re.M) if re.search(r"\bC\.", title)]
    assert len(titles) == 5, titles
    for title in sorted(titles, key=lambda title: " commit " in title):  # last, for it may empty the child 
        run(title.split())


@tap.case("our commands that stay while they are used have only options that are known")
def _(_):
    for words in filter(lambda words: words[0] in STAYING, commands()):
        if words[0] == "mount" and not os.environ.get("VHDX_MOUNT"):
            continue
        known = vhdx(words[0], "--help").out
        for option in filter(lambda word: word.startswith("-"), words):
            assert re.search(rf"^ +{option}\b", known, re.M), (shlex.join(words), option)


tap.main()
