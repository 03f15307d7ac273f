#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is printed: JSON that parses, one line a thing whatever names hold, progress, and its loss."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import subprocess

import command
import disks
import samples
import tap
from command import VHDX, run, vhdx, vhdx_json
from disks import MIB
from image import UNKNOWN, Image, Item

REPORTING = (["info"], ["info", "--chain"], ["check"], ["check", "--chain"], ["check", "--windows"],
             ["map"], ["dump", "header"], ["dump", "region"], ["dump", "metadata"], ["dump", "log"],
             ["dump", "bat"])


@tap.case("--json of every reporting verb parses")
def _(folder):
    paths = [samples.dynamic(folder)[0], samples.family(folder)[0], samples.dirty(folder)[0]]
    for path in paths:
        for words in REPORTING:
            assert vhdx_json(*words, "--json", path), words
        assert vhdx_json("compare", "--json", path, path)["identical"] is True
    assert vhdx_json("compare", "--json", paths[0], paths[1], status=1)["identical"] is False


@tap.case("check --json of a damaged image parses and has qemu-img's keys")
def _(folder):
    path, disk = samples.dynamic(folder)
    disk.headers[0].damaged = True
    disk.bat[1] = disk.bat[0]
    disk.write(folder)
    shown = vhdx_json("check", "--json", path, status=2)
    for key in ("filename", "format", "check-errors", "corruptions", "leaks", "total-clusters",
                "allocated-clusters"):
        assert key in shown, key
    assert shown["filename"] == path and shown["format"] == "vhdx" and shown["check-errors"] == 0
    findings = shown["vhdx"]["findings"]
    assert shown["corruptions"] == len([f for f in findings if f["severity"] in ("damage", "locked")])
    for finding in findings:
        assert {"problem", "name", "severity", "file", "text", "section"} <= set(finding), finding
        assert "\n" not in finding["text"]


@tap.case("check's numbers and names are those of text output too")
def _(folder):
    path, disk = samples.dynamic(folder)
    disk.headers[0].damaged = True
    disk.write(folder)
    text = vhdx("check", path, status=2).out
    assert "202 HEADER_CHECKSUM damage" in text, text
    quiet = vhdx("check", "-q", path, status=2)
    assert not quiet.out, quiet


@tap.case("of 3000 faults of one kind check tells 1000, and counts all")
def _(folder):
    disk = Image("disk", 4096 * MIB)
    for block in range(3000):
        disk.state(block, 5)
    path = disk.write(folder)
    shown = vhdx_json("check", "--json", path, status=2)
    told = [f for f in shown["vhdx"]["findings"] if f["name"] == "BLOCK_STATE_5"]
    assert len(told) == 1000 and all(f["text"] for f in told), len(told)
    assert shown["corruptions"] == 3000, shown["corruptions"]
    text = vhdx("check", path, status=2).out
    assert text.count("\n") < 1010 and "Faults: 3000," in text, text[-500:]


NAMES = ("a b.vhdx", "a\nb.vhdx", "a\tb\x1b[31m\x7f.vhdx", "ä–漢字😀.vhdx", "\"quoted\\\".vhdx", "a\u2028b\u202e.vhdx",
         "\x85\x9b.vhdx", "%s%n%d.vhdx", "-.vhdx", "a'b$(c)`d`.vhdx", "\x01.vhdx", "line\r\nfeed.vhdx")


def is_one_line_each(text):
    for line in text.split("\n"):
        assert command.is_safe(line), ascii(line)


for name in NAMES:
    @tap.case(f"a file named {ascii(name)}")
    def _(folder, leaf=name):
        plain = samples.dynamic(folder)[0]
        path = os.path.join(folder, leaf)
        os.rename(plain, path)
        for words in REPORTING:
            ours = vhdx(*words, path).out
            os.rename(path, plain)
            expected = vhdx(*words, plain).out
            os.rename(plain, path)
            assert ours.count("\n") == expected.count("\n"), (words, ours)
            is_one_line_each(ours)
        for words in (["info"], ["check"]):
            assert vhdx_json(*words, "--json", path)["filename"] == path
        os.unlink(path)
        for words in REPORTING:
            command.fails(*words, path)
        made = vhdx("create", path, "4M")
        assert made.out.count("\n") == 1, made
        is_one_line_each(made.out)
        command.fails("create", path, "4M")


@tap.case("a name that is not UTF-8")
def _(folder):
    plain = samples.dynamic(folder)[0]
    path = os.fsencode(folder) + b"/\xff\xfe\xc3(\x80.vhdx"
    os.rename(plain, path)
    for words in REPORTING:
        is_one_line_each(vhdx(*words, path).out)
        assert vhdx_json(*words, "--json", path)
    os.unlink(path)
    command.fails("info", path)


@tap.case("what stands in an image is escaped: creator, locator, names of users' items")
def _(folder):
    parent = Image("base\n\x1b[2J", 4 * MIB)
    child = Image("child", 4 * MIB, parent=parent)
    child.creator = "evil\r\nvhdx info: fake line\x1b[31m\u202e\x7f\x9b"
    child.locator["key\nwith lines"] = "value\nwith lines"
    child.items.append(Item(UNKNOWN, "a\nb".encode("utf-16-le"), 1))
    parent.write(folder)
    path = child.write(folder)
    for words in REPORTING:
        is_one_line_each(vhdx(*words, path).out)
        assert vhdx_json(*words, "--json", path)
    assert vhdx_json("info", "--json", path)["vhdx"]["creator"] == child.creator
    os.unlink(os.path.join(folder, parent.name + ".vhdx"))
    command.fails("map", path, status={1, 2})


@tap.case("--progress=json: one object a line, never falling, up to the end")
def _(folder):
    path = samples.dynamic(folder, size=64 * MIB)[0]
    raw = samples.write(folder, "x.raw", disks.noise("x", 4 * MIB) * 16)
    child = samples.family(folder)[0]
    for words in (["convert", raw, os.path.join(folder, "a.vhdx")], ["check", path],
                  ["check", "--chain", child],
                  ["convert", path, os.path.join(folder, "b.raw")], ["compare", path, path]):
        result = run([VHDX, words[0], "--progress=json", *words[1:]])
        lines = [json.loads(line) for line in result.err.splitlines()]
        assert lines, words
        done = [line["done"] for line in lines]
        assert done == sorted(done) and lines[-1]["done"] == lines[-1]["total"] > 0, lines
        assert lines[-1]["percent"] == 100


@tap.case("-p draws a bar on standard error, and nothing on standard output")
def _(folder):
    path = samples.dynamic(folder)[0]
    result = run([VHDX, "convert", "-p", path, os.path.join(folder, "x.raw")])
    assert "100.0%" in result.err and not result.out, result


@tap.case("without -p nothing is drawn where standard error is no terminal; -q counts over -p")
def _(folder):
    path = samples.dynamic(folder)[0]
    vhdx("convert", path, os.path.join(folder, "x.raw"))
    result = run([VHDX, "convert", "-p", "-q", path, os.path.join(folder, "y.raw")])
    assert not result.err and not result.out, result


@tap.case("a terminal gets a bar, and with -q none")
def _(folder):
    path = samples.dynamic(folder)[0]
    for number, more in enumerate(([], ["-q"])):
        leader, follower = os.openpty()
        process = subprocess.Popen([VHDX, "convert", *more, path,
                                    os.path.join(folder, f"{number}.raw")],
                                   stdin=subprocess.DEVNULL, stderr=follower)
        os.close(follower)
        assert process.wait() == 0
        try:
            drawn = os.read(leader, 10000)
        except OSError:
            drawn = b""
        os.close(leader)
        # What is done at once needs no bar; but never with -q, and never a line left unfinished.
        assert not (more and drawn), drawn
        assert not drawn or drawn.endswith(b"\n"), drawn


@tap.case("-q: create prints nothing, without it one line")
def _(folder):
    assert vhdx("create", os.path.join(folder, "a.vhdx"), "4M").out.count("\n") == 1
    assert not vhdx("create", "-q", os.path.join(folder, "b.vhdx"), "4M").out


@tap.case("-q: compare answers by its exit status alone")
def _(folder):
    one, two = samples.dynamic(folder)[0], samples.dynamic(folder, "two", 4 * MIB)[0]
    assert not vhdx("compare", "-q", one, one).out
    assert not vhdx("compare", "-q", one, two, status=1).out


@tap.case("compare says where the first difference is")
def _(folder):
    path, disk = samples.dynamic(folder)
    raw = os.path.join(folder, "x.raw")
    vhdx("convert", path, raw)
    assert "identical" in vhdx("compare", path, raw).out
    with open(raw, "r+b") as file:
        file.seek(5 * MIB + 12345)
        file.write(b"x")
    assert f"offset {5 * MIB + 12345}." in vhdx("compare", path, raw, status=1).out
    shown = vhdx_json("compare", "--json", raw, path, status=1)
    assert shown["offset"] == 5 * MIB + 12345 and shown["a-size"] == shown["b-size"] == disk.size


@tap.case("zeros at the longer one's end make no difference, and are told")
def _(folder):
    path, disk = samples.dynamic(folder)
    raw = os.path.join(folder, "x.raw")
    vhdx("convert", path, raw)
    os.truncate(raw, disk.size + MIB)
    assert "longer" in vhdx("compare", path, raw).out
    with open(raw, "ab") as file:
        file.write(b"x")
    vhdx("compare", path, raw, status=1)


@tap.case("/dev/full as standard output is an error, for everything that prints")
def _(folder):
    path = samples.dynamic(folder)[0]
    for words in ([*w, path] for w in REPORTING):
        with open("/dev/full", "wb") as full:
            command.fails(*words, stdout=full, says="[Nn]o space left", status={1, 2})
    with open("/dev/full", "wb") as full:
        command.fails("compare", path, path, stdout=full, status=2)
        command.fails("info", "--help", stdout=full)
        result = run([VHDX, "--help"], stdout=full, status=1)
        assert result.err.count("\n") == 1, result


def closed(*numbers):
    def close():
        for number in numbers:
            os.close(number)
    return close


@tap.case("a closed standard output is an error, for everything that prints")
def _(folder):
    path = samples.dynamic(folder)[0]
    for words in ([*w, path] for w in REPORTING):
        process = subprocess.Popen([VHDX, *words], preexec_fn=closed(1), stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL)
        err = process.communicate()[1].decode()
        assert process.returncode in (1, 2) and err.count("\n") == 1, (words, process.returncode, err)


@tap.case("with all standard streams closed, files are still whole")
def _(folder):
    path = samples.dynamic(folder)[0]
    for numbers in ((0,), (1,), (2,), (0, 1), (0, 1, 2)):
        out = os.path.join(folder, "out.vhdx")
        process = subprocess.Popen([VHDX, "convert", "--force", path, out],
                                   preexec_fn=closed(*numbers))
        assert process.wait() == 0, numbers
        vhdx("compare", path, out)
        process = subprocess.Popen([VHDX, "convert", path, os.path.join(folder, "no", "x")],
                                   preexec_fn=closed(*numbers), stderr=subprocess.DEVNULL)
        assert process.wait() == 1


@tap.case("a pipe that is closed early, as by head, ends the command without a word or a signal")
def _(folder):
    disk = Image("disk", 4096 * MIB)
    for block in range(0, 4096, 2):
        disk.full(block, {})
    path = disk.write(folder)
    for words in (["map"], ["map", "--json"], ["dump", "bat"]):
        process = subprocess.Popen([VHDX, *words, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(1)
        process.stdout.close()
        err = process.stderr.read().decode()
        assert process.wait() in (1, 2) and not err, (words, process.returncode, err)


@tap.case("the locale changes nothing")
def _(folder):
    path = samples.dynamic(folder)[0]
    plain = vhdx("info", path).out
    for name in ("C", "de_DE.UTF-8", "tr_TR.UTF-8"):
        assert vhdx("info", path, env={**os.environ, "LC_ALL": name}).out == plain


tap.main()
