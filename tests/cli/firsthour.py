#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A newcomer's mistakes: each answer says what is wrong and what to do next."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import shutil
import subprocess

import command
import disks
import samples
import tap
from command import VHDX, run, vhdx
from disks import MIB
from lockbytes import WRITER, locked

BY_QEMU = "qemu-img convert -O raw makes a raw disk of it"
PAGE = bytes(MIB)

# name: what stands in the file, where, what it is said to be, and what helps.
FORMATS = {
    "qcow2": (b"QFI\xfb\0\0\0\3", 0, "a qcow2 image", BY_QEMU),
    "qed": (b"QED\0", 0, "a QED image", BY_QEMU),
    "vmdk": (b"KDMV\1\0\0\0", 0, "a VMDK image", BY_QEMU),
    "cowd": (b"COWD", 0, "a VMDK image", BY_QEMU),
    "descriptor": (b"# Disk DescriptorFile\n", 0, "the descriptor of a VMDK image", BY_QEMU),
    "vdi": (b"\x7f\x10\xda\xbe", 0x40, "a VDI image", BY_QEMU),
    "parallels": (b"WithoutFreeSpace", 0, "a Parallels image", BY_QEMU),
    "parallels2": (b"WithouFreSpacExt", 0, "a Parallels image", BY_QEMU),
    "dynamic.vhd": (b"conectix", 0, "a VHD image, the format before VHDX", BY_QEMU),
    "fixed.vhd": (b"conectix", MIB - 512, "a VHD image, the format before VHDX", BY_QEMU),
    "e01": (b"EVF\t\r\n\xff\0", 0, "an EWF image", "ewfexport"),
    "gz": (b"\x1f\x8b\x08", 0, "packed by gzip", "gunzip"),
    "xz": (b"\xfd7zXZ\0", 0, "packed by xz", "unxz"),
    "zst": (b"\x28\xb5\x2f\xfd", 0, "packed by zstd", "unzstd"),
    "bz2": (b"BZh91AY&SY", 0, "packed by bzip2", "bunzip2"),
    "lz4": (b"\x04\x22\x4d\x18", 0, "packed by lz4", "unlz4"),
    "zip": (b"PK\3\4", 0, "a zip archive", "unzip"),
    "7z": (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", "7z x"),
    "tar": (b"ustar", 257, "a tar archive", "tar -xf"),
    "wim": (b"MSWIM\0\0\0", 0, "a WIM archive", "wimapply"),
}
RAW = {
    "iso": (b"\1CD001", 32768, "a CD's image"),
    "mbr": (b"\x55\xaa", 510, "a raw disk"),
    "ext4": (b"\x53\xef", 1080, "a raw disk, with a file system and no partitions"),
}


def put(folder, name, data, offset):
    content = bytearray(PAGE)
    content[offset:offset + len(data)] = data
    return samples.write(folder, name, bytes(content))


def says(words, text, status=1):
    """The line that the command fails with, its verb left out."""
    result = run([VHDX, *words], status=status)
    assert result.err.count("\n") == 1 and not result.out, result
    assert text in result.err, f"does not say {text!r}: {result}"


# ---- The command itself ----

@tap.case("help and version are understood as words too")
def _(_):
    general = run([VHDX, "--help"]).out
    for words in (["help"], ["-h"]):
        assert run([VHDX, *words]).out == general
    one = vhdx("convert", "--help").out
    for words in (["help", "convert"], ["--help", "convert"]):
        assert run([VHDX, *words]).out == one
    assert run([VHDX, "version"]).out == run([VHDX, "--version"]).out
    says(["help", "conver"], "did you mean 'convert'?")


@tap.case("no argument at all: the verbs in groups, and examples, one of which runs as it stands")
def _(folder):
    text = run([VHDX], status=1).err
    assert text == run([VHDX, "--help"]).out
    assert len(re.findall(r"^[A-Z].*:$", text, re.M)) >= 5, text
    examples = re.findall(r"^ {4}(vhdx .*?) {2,}", text, re.M)
    assert len(examples) == 3, text
    os.chdir(folder)
    order = sorted(examples, key=lambda line: "create" not in line)
    for line in order:
        run([VHDX, *line.split()[1:]])


@tap.case("the first words of help fit a screen of 40 lines and 100 columns")
def _(_):
    lines = run([VHDX, "--help"]).out.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100, (len(lines), max(map(len, lines)))


@tap.case("a word of qemu-img, of Hyper-V or of everyday language leads to the verb")
def _(_):
    for word, verb in (("fix", "repair"), ("merge", "commit"), ("shrink", "compact"), ("snapshot", "create"),
                       ("fsck", "check"), ("cp", "convert"), ("rescue", "salvage"), ("Get-VHD", "info"),
                       ("Optimize-VHD", "compact"), ("CONVERT-VHD", "convert"), ("inof", "info"),
                       ("covnert", "convert"), ("serv", "serve")):
        says([word, "x"], f"did you mean '{verb}'?")
    for word in ("umount", "unmount", "Dismount-VHD"):
        says([word, "x"], "fusermount3 -u MOUNTPOINT")
    for word in ("zz", "xy", "frobnicate"):  # nothing near is made up
        says([word, "x"], "see 'vhdx --help'")


@tap.case("a file instead of a verb: how to look at it; an option first: where it belongs")
def _(folder):
    os.chdir(folder)
    says(["disk.vhdx"], "'vhdx info disk.vhdx'")
    says(["./disk"], "'vhdx info ./disk'")
    samples.write(folder, "image", b"")
    says(["image"], "'vhdx info image'")
    says(["--json", "info", "x"], "a verb comes first")


@tap.case("a mistyped option: the one that was meant")
def _(folder):
    path = samples.dynamic(folder)[0]
    command.fails("info", "--jsn", path, says="did you mean '--json'")
    command.fails("create", "--blocksize=1M", path, "4M", says="did you mean '--block-size'")
    command.fails("info", "--pretty", path, says="see 'vhdx info --help'")


@tap.case("an option of qemu-img: the one that does it here, if it has another name")
def _(folder):
    path = samples.dynamic(folder)[0]
    for words, option in ((["create", "-b", path, "x"], "--parent"), (["check", "-r", "all", path], "vhdx repair"),
                          (["rebase", "-b", path, path], "--parent"), (["rebase", "-u", path], "--unsafe"),
                          (["info", "--output=json", path], "--json"), (["info", "-U", path], "--force-share"),
                          (["info", "--backing-chain", path], "--chain"), (["convert", "-m", "8", path, "x"], "--threads"),
                          (["convert", "-o", "subformat=fixed", path, "x"], "--type")):
        command.fails(*words, says=f"did you mean '{option}")
        known = vhdx(words[0], "--help").out
        assert option.startswith("vhdx") or f"{option} " in known, (words, option)


@tap.case("a file whose name begins with a minus: how to write it")
def _(folder):
    os.chdir(folder)
    command.fails("info", "-x.vhdx", says=r"written \./-x\.vhdx")
    command.fails("info", "--json", "-x.vhdx", says=r"written \./-x\.vhdx")
    command.fails("info", "-Z", says="see 'vhdx info --help'")
    vhdx("create", "./-x.vhdx", "4M")


# ---- Operands ----

@tap.case("operands the wrong way round: the right order")
def _(folder):
    os.chdir(folder)
    vhdx("create", "disk.vhdx", "4M")
    command.fails("create", "40G", "new.vhdx", says="expected new.vhdx 40G")
    command.fails("resize", "8M", "disk.vhdx", says="expected disk.vhdx 8M")
    command.fails("resize", "+8M", "disk.vhdx", says=r"expected disk.vhdx \+8M")
    command.fails("dump", "disk.vhdx", "bat", says="expected bat disk.vhdx")
    assert os.listdir(folder) == ["disk.vhdx"]


@tap.case("the name of a disk may be a number")
def _(folder):
    os.chdir(folder)
    vhdx("create", "40G", "4M")
    vhdx("resize", "40G", "8M")


@tap.case("a size without its unit, or with one of 1000: what to write")
def _(folder):
    os.chdir(folder)
    vhdx("create", "disk.vhdx", "4M")
    for size in ("10GB", "10 GB", "1.5G", "10 G", "ten"):
        command.fails("create", "new.vhdx", size, says="whole number with K, M, G or T, as in 40G")
    command.fails("create", "new.vhdx", "10", says="'10' is 10 bytes .*as in 10G")
    command.fails("resize", "disk.vhdx", "20", says="'20' is 20 bytes .*as in 20G")
    command.fails("create", "new.vhdx", says="size is missing .*as in 40G")
    assert os.listdir(folder) == ["disk.vhdx"]


# ---- Files of other kinds ----

for kind, (data, offset, what, help_) in FORMATS.items():
    @tap.case(f"{kind}: what it is and what helps; it is no raw disk unless -f raw says so")
    def _(folder, kind=kind, data=data, offset=offset, what=what, help_=help_):
        path, out = put(folder, f"x.{kind}", data, offset), os.path.join(folder, "x.vhdx")
        for verb in (["info"], ["map"], ["check"], ["dump", "bat"], ["repair"], ["replay"], ["compact"]):
            command.fails(*verb, path, says=f"not a VHDX image; it is {re.escape(what)}: .*{help_}")
        command.fails("convert", path, out, says=f"is {re.escape(what)}: .*{help_}.*-f raw")
        command.fails("compare", path, path, status=2, says=f"is {re.escape(what)}")
        with open(path, "rb") as file:
            command.fails("convert", "-", out, stdin=file.fileno(), says=f"standard input: is {re.escape(what)}")
        assert not os.path.exists(out)
        vhdx("convert", "-f", "raw", path, out)
        vhdx("compare", "-f", "raw", path, out)


for kind, (data, offset, what) in RAW.items():
    @tap.case(f"{kind} where a VHDX is wanted: how to make one of it; it is a raw disk to convert")
    def _(folder, kind=kind, data=data, offset=offset, what=what):
        path, out = put(folder, f"x.{kind}", data, offset), os.path.join(folder, "x.vhdx")
        for verb in ("info", "map", "resize"):
            more = ["8M"] if verb == "resize" else []
            command.fails(verb, path, *more, says=f"it is {re.escape(what)}: vhdx convert -f raw")
        vhdx("convert", path, out)
        vhdx("compare", path, out)


@tap.case("a name that belongs to another format: the file is made, and a warning says what it holds")
def _(folder):
    path = samples.dynamic(folder)[0]
    os.chdir(folder)
    assert "holds a raw disk" in vhdx("convert", path, "x.qcow2", loud=True).err
    assert "holds a VHDX" in vhdx("create", "x.VHD", "4M", loud=True).err
    vhdx("convert", "-O", "raw", path, "y.qcow2")
    vhdx("convert", path, "y.img")


# ---- Programs that are missing ----

@tap.case("without nbdkit, serve says what is missing")
def _(folder):
    path = samples.dynamic(folder)[0]
    if "plugin is not installed" in run([VHDX, "serve", "--run", "true", path], status=None).err:
        raise tap.Skip("no plugin")
    command.fails("serve", path, env={**os.environ, "PATH": folder}, says="nbdkit: is not installed .*package nbdkit")


@tap.case("serve tells a terminal where it serves and how it ends, and a pipe nothing")
def _(folder):
    path = samples.dynamic(folder)[0]
    with open(os.path.join(folder, "nbdkit"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod(file.name, 0o755)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    if "plugin is not installed" in run([VHDX, "serve", path], status=None, env=env).err:
        raise tap.Skip("no plugin")
    assert not run([VHDX, "serve", path], env=env).out
    for words, place in (([], "nbd://localhost:10809"), (["-b", "::1", "-p", "7"], "nbd://[::1]:7"),
                         (["-U", "/tmp/s"], "nbd+unix:///?socket=/tmp/s"), (["--run", "true"], None)):
        reading, terminal = os.openpty()
        run([VHDX, "serve", *words, path], env=env, stdout=terminal)
        os.write(terminal, b"end\n")
        said = os.read(reading, 1000).decode()
        assert said.startswith(f"Serving at {place} until Ctrl-C" if place else "end"), (words, said)
        os.close(terminal)
        os.close(reading)


@tap.case("without the program behind it, mount says which package has it")
def _(folder):
    alone = shutil.copy(VHDX, folder)  # nothing is built beside it
    result = run([alone, "mount", "disk.vhdx", folder], status=None)
    if "not installed" not in result.err:
        raise tap.Skip("it is installed on this machine")
    assert result.status == 1 and "package vhdx-fuse" in result.err, result


# ---- Files that others have ----

@tap.case("an image in use: the process that has it")
def _(folder):
    path = samples.dynamic(folder)[0]
    # Locks of another process, which says when they are there.
    program = ("import sys; sys.path[:0]=sys.argv[2:]; import lockbytes\n"
               "with lockbytes.locked(sys.argv[1], *lockbytes.WRITER):\n"
               "    print(flush=True); sys.stdin.read()\n")
    with subprocess.Popen([sys.executable, "-c", program, path, os.path.join(HERE, os.pardir, "support")],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        command.fails("resize", path, "16M", says=f"in use by another process: {holder.pid}, python")
        command.fails("info", path, says=f"open for writing in another process: {holder.pid}, python")
        holder.stdin.close()
    vhdx("resize", path, "16M")


@tap.case("a lock whose owner cannot be seen is reported all the same")
def _(folder):
    path = samples.dynamic(folder)[0]
    with locked(path, *WRITER):
        how = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
        os.chmod(path, 0o666)
        try:
            command.fails("resize", path, "16M", says="in use by another process", **how)
        except PermissionError:
            raise tap.Skip("another user may not run the command here") from None


@tap.case("a child that was moved without its parent: the option that finds it")
def _(folder):
    other = os.path.join(folder, "moved")
    os.mkdir(other)
    child = samples.family(folder, other, ".\\base.vhdx")[0]
    for verb in (["map"], ["convert", "-O", "raw"]):
        more = [os.path.join(folder, "out")] if verb[0] == "convert" else []
        command.fails(*verb, child, *more, says="--parent-dir DIR")
    assert "not open (--parent-dir DIR" in vhdx("info", child).out
    assert "--parent-dir" not in vhdx("info", "--no-parent", child).out
    vhdx("map", "--parent-dir", folder, child)


@tap.case("a pipe whose reader has seen enough, as head and less: nothing is said")
def _(folder):
    path = samples.dynamic(folder, size=64 * MIB)[0]
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["info"], ["map"], ["dump", "bat"], ["check"]):
        result = run([VHDX, *words, path], status=None, stdout=writing)
        assert result.status and not result.err, result
    os.close(writing)


@tap.case("a disk that is full: what is printed is lost, and that is said")
def _(folder):
    path = samples.dynamic(folder)[0]
    with open("/dev/full", "wb") as full:
        result = run([VHDX, "info", path], status=1, stdout=full)
    assert result.err.count("\n") == 1 and "No space left" in result.err, result


@tap.case("'-' on a terminal is refused, for nobody types a disk, or can read one")
def _(folder):
    path, out = samples.dynamic(folder)[0], os.path.join(folder, "out")
    keyboard, terminal = os.openpty()
    command.fails("convert", "-", out, stdin=terminal, says="standard input: is a terminal", timeout=20)
    assert "standard output: is a terminal" in run([VHDX, "convert", path, "-"], status=1, stdout=terminal).err
    os.close(keyboard)
    os.close(terminal)
    assert not os.path.exists(out)


# ---- The demo ----

DEMO = os.path.join(HERE, os.pardir, os.pardir, "scripts", "demo")


@tap.case("the demo of one's own image: a sound one is shown, a broken one explained, and both are only read")
def _(folder):
    path, disk = samples.dynamic(folder, "my disk")
    before = disks.snapshot(folder)
    assert "Images are identical." in run([DEMO, path]).out
    assert not disks.changes(before, disks.snapshot(folder))
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), b"XXXX", 192 << 10)
    before = disks.snapshot(folder)
    out = run([DEMO, path]).out
    assert "301 REGION_TABLE_SIGNATURE" in out and "vhdx repair --dry-run" in out, out
    assert not disks.changes(before, disks.snapshot(folder))


@tap.case("the demo of what is no image says so, and how to name one")
def _(folder):
    for path in (os.path.join(folder, "missing.vhdx"), folder):
        result = run([DEMO, path], status=1)
        assert result.err.count("\n") == 1 and "make demo IMAGE=" in result.err and not result.out, result
    result = run([DEMO, samples.write(folder, "x.vhdx", b"QFI\xfb" + PAGE)], status=1)
    assert "it is a qcow2 image" in result.err, result


@tap.case("what the demo prints to a pipe has no control characters")
def _(folder):
    path = samples.dynamic(folder)[0]
    assert "\x1b" not in run([DEMO, path], env={**os.environ, "TERM": "xterm"}).out


tap.main()
