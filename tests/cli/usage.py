#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command line: verbs, options, sizes, help."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re

import command
import samples
import tap
from command import VHDX, run, vhdx, vhdx_json
from disks import GIB, KIB, MIB, TIB


def verbs():
    out = run([VHDX, "--help"]).out
    found = re.findall(r"^ {2,}(\w+) {2,}\S", out, re.M)
    # The program behind this one is not built everywhere.
    return [verb for verb in found if verb != "mount" or os.environ.get("VHDX_MOUNT")]


@tap.case("--help lists the verbs, and every verb has its own")
def _(folder):
    found = verbs()
    assert {"create", "info", "check", "replay", "map", "convert", "compare", "dump",
            "serve"} <= set(found), found
    for verb in found:
        for option in ("--help", "-h"):
            result = vhdx(verb, option)
            assert result.out.startswith(f"Usage: vhdx {verb} "), result
            assert "--help" in result.out, result
        # It counts over whatever else is there.
        assert vhdx(verb, "--help", "a", "b", "c", "d").out.startswith("Usage:")


@tap.case("no line of help is wider than 100 columns")
def _(folder):
    for verb in verbs():
        wide = [line for line in vhdx(verb, "--help").out.splitlines() if len(line) > 100]
        assert not wide, (verb, wide)


@tap.case("every option that help shows is one, and does not crash without its argument")
def _(folder):
    for verb in verbs():
        for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", vhdx(verb, "--help").out, re.M):
            result = run([VHDX, verb, option], status=None)
            assert result.status >= 0 and "unknown option" not in result.err, result


@tap.case("--version")
def _(folder):
    for option in ("--version", "-V"):
        assert re.fullmatch(r"vhdx \d+\.\d+\.\d+\n", run([VHDX, option]).out)


@tap.case("no verb: the usage, as an error")
def _(folder):
    result = run([VHDX], status=1)
    assert not result.out and "vhdx" in result.err, result


@tap.case("an unknown verb; a near one is suggested")
def _(folder):
    result = run([VHDX, "creat"], status=1)
    assert result.err.count("\n") == 1 and "'create'" in result.err and not result.out, result
    result = run([VHDX, "frobnicate"], status=1)
    assert result.err.count("\n") == 1 and "frobnicate" in result.err, result
    for word in ("", "\n", "--frobnicate", "x" * 5000):
        result = run([VHDX, word], status=1)
        assert result.err.count("\n") == 1 and not result.out, result


@tap.case("an unknown option, one without its argument, one with an argument too many")
def _(folder):
    for verb in verbs():
        status = 2 if verb == "compare" else 1
        command.fails(verb, "--frobnicate", status=status, says="--frobnicate")
        command.fails(verb, "-Z", status=status, says="-Z")
        command.fails(verb, "--help=no", status=status)
    command.fails("create", "--block-size", says="--block-size")
    command.fails("create", "x.vhdx", "4M", "--seed", says="--seed")


@tap.case("operands missing, and too many")
def _(folder):
    os.chdir(folder)
    for words in (["info"], ["check"], ["map"], ["convert"], ["convert", "a"], ["create"],
                  ["create", "a.vhdx"], ["dump"], ["dump", "header"]):
        command.fails(*words)
    for words in (["info", "a", "b"], ["check", "a", "b"], ["map", "a", "b"], ["convert", "a", "b", "c"],
                  ["create", "a", "4M", "c"], ["dump", "header", "a", "b"]):
        command.fails(*words)
    for words in (["compare"], ["compare", "a"], ["compare", "a", "b", "c"]):
        command.fails(*words, status=2)
    assert not os.listdir(folder)


@tap.case("-- ends the options")
def _(folder):
    os.chdir(folder)
    vhdx("create", "--", "--help.vhdx", "4M")
    assert vhdx_json("info", "--json", "--", "--help.vhdx")["virtual-size"] == 4 * MIB


@tap.case("options may follow operands")
def _(folder):
    path = os.path.join(folder, "x.vhdx")
    vhdx("create", path, "4M", "--block-size", "1M")
    assert vhdx_json("info", path, "--json")["cluster-size"] == MIB


@tap.case("sizes: K, M, G and T are powers of 1024, in either case")
def _(folder):
    for text, size in (("4194304", 4 * MIB), ("64K", 64 * KIB), ("3M", 3 * MIB), ("5m", 5 * MIB),
                       ("2G", 2 * GIB), ("1T", TIB), ("64t", 64 * TIB), ("00512", 512)):
        path = os.path.join(folder, text + ".vhdx")
        vhdx("create", "--block-size", "32M", path, text)
        assert vhdx_json("info", "--json", path)["virtual-size"] == size, text


for bad in ("", " ", "0", "0M", "-1", "-5M", "+5M", "1.5G", "M", "5X", "5MM", " 5M", "5M ", "5 M", "0x1000",
            "5GB", "1e9", "nan", "18446744073709551616", "99999999999999999999999", "16777216T",
            "18446744073709551615", "9223372036854775808", "17592186044416M", "65T", "513", "100",
            "5M\n", "5\u00a0M", "\u0665M"):
    @tap.case(f"size {bad.encode('unicode_escape').decode()!r} is refused".replace("#", ""))
    def _(folder, text=bad):
        command.fails("create", "--", os.path.join(folder, "x.vhdx"), text)
        assert not os.listdir(folder)


for option, wrong in (("--block-size", ("0", "512K", "3M", "512M", "4G", "1", "4294967296", "-1M", "x",
                                        "18446744073709551616")),
                      ("--sector-size", ("0", "1024", "513", "520", "4097", "-512", "8K")),
                      ("--physical-sector-size", ("0", "1024", "513", "8K")),
                      ("--log-size", ("0", "512K", "1", "3", "1500K", "-1M", "4G", "64G")),
                      ("--type", ("", "Dynamic", "differencing", "thick")),
                      ("--profile", ("", "amiga", "Windows")),
                      ("--seed", ("", "xy", "0x00"))):
    @tap.case(f"{option} refuses what it should")
    def _(folder, name=option, values=wrong):
        path = os.path.join(folder, "x.vhdx")
        for value in values:
            command.fails("create", name, value, path, "4M")
            command.fails("create", f"{name}={value}", path, "4M")
            assert not os.listdir(folder), value


for option, wrong in (("-f", ("", "qcow2", "VHDX")), ("-O", ("", "vhd")), ("--threads", ("0", "65", "x")),
                      ("--block-size", ("0", "3M")), ("--type", ("differencing", "x")),
                      ("--sector-size", ("0", "1024")), ("--physical-sector-size", ("0", "1024", "8K"))):
    @tap.case(f"convert {option} refuses what it should")
    def _(folder, name=option, values=wrong):
        path, out = samples.dynamic(folder)[0], os.path.join(folder, "x.vhdx")
        for value in values:
            command.fails("convert", name, value, path, out)
            assert os.listdir(folder) == ["disk.vhdx"], value


@tap.case("options for a VHDX mean nothing for a raw destination, and are refused")
def _(folder):
    path = samples.dynamic(folder)[0]
    for words in (["--type", "fixed"], ["--block-size", "1M"], ["--sector-size", "512"],
                  ["--physical-sector-size", "512"]):
        command.fails("convert", *words, path, os.path.join(folder, "x.raw"))
    assert os.listdir(folder) == ["disk.vhdx"]


@tap.case("options that exclude each other")
def _(folder):
    child, parent, _ = samples.family(folder)
    out = os.path.join(folder, "x.vhdx")
    before = sorted(os.listdir(folder))
    command.fails("create", "--parent", parent, "--type", "fixed", out)
    command.fails("create", "--type", "differencing", out, "8M")
    command.fails("create", "--windows-path", "C:\\x.vhdx", out, "8M")
    command.fails("create", "--profile", "azure", out, str(4 * MIB + 512))
    command.fails("create", "--parent", parent, "--sector-size", "4096", out)
    command.fails("create", "--parent", parent, "--profile", "azure", out, says="azure.*fixed")
    assert sorted(os.listdir(folder)) == before and child


@tap.case("nbd:// is an export, not a file's name")
def _(folder):
    os.chdir(folder)
    path = samples.dynamic(folder)[0]
    command.fails("convert", path, "nbd://localhost:1/no-such-export")
    command.fails("convert", "nbd+unix:///x?socket=/no/such/socket", "x.raw")
    assert os.listdir(folder) == ["disk.vhdx"]


tap.main()
