#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The five jobs of docs/COOKBOOK.md, done as they are written."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import struct
import subprocess

import command
import disks
import samples
import script
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB, Model, noise
from server import plain, served

PAGE = os.path.join(HERE, os.pardir, os.pardir, "docs", "COOKBOOK.md")


def blocks(title):
    with open(PAGE, encoding="ascii") as file:
        section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", file.read(), re.M | re.S)[1]
    found = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    assert found, title
    return found


def do(title, folder):
    """Does a whole job; what each block printed."""
    tools = os.path.join(folder, ".tools")
    os.mkdir(tools)
    os.symlink(os.path.realpath(VHDX), os.path.join(tools, "vhdx"))
    env = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin")
    return [command.run(["bash", "-e", "-u", "-o", "pipefail", "-c", block], cwd=folder, env=env).out
            for block in blocks(title)]


def built(variable, what):
    return lambda: None if os.environ.get(variable) else f"{what} is not built"


@tap.case("leave Hyper-V with checkpoints in place", tap.tool("qemu-img", "nbdkit"),
          served, plain)
def _(folder):
    model = Model(64 * MIB)
    model.write(MIB, noise("base", MIB))
    raw = model.save(os.path.join(folder, "base.raw"))
    there = [os.path.join(folder, name) for name in ("vm.vhdx", "vm_1.avhdx", "vm_2.avhdx")]
    vhdx("convert", raw, there[0])
    for parent, child, offset, byte in ((there[0], there[1], 5 * MIB, 1), (there[1], there[2], 5 * MIB + 4096, 2)):
        vhdx("create", "-q", "--parent", parent, child)
        script.vhdxio(child, lines=[f"write {offset} 8192 {byte}"])
        model.write(offset, bytes([byte]) * 8192)
    out = do("Leave Hyper-V with checkpoints in place", folder)
    assert all(os.path.basename(name) in out[0] for name in there), out[0]
    assert sorted(os.listdir(folder)) == [".tools", "base.raw", "vm.qcow2", "vm.raw", "vm.vhdx", "whole.vhdx"]
    assert disks.digest(os.path.join(folder, "vm.raw")) == model.digest()
    command.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", os.path.join(folder, "vm.raw"),
                 os.path.join(folder, "vm.qcow2")])


def partitioned(folder):
    """ext4 in the first partition, FAT in the second; the log is dirty."""
    rootfs = os.path.join(folder, "rootfs")
    os.makedirs(os.path.join(rootfs, "home"))
    samples.write(os.path.join(rootfs, "home"), "letter.txt", b"Dear reader,\n")
    parts = [os.path.join(folder, name) for name in ("ext4", "fat")]
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", rootfs, parts[0], "16M"], check=True, capture_output=True)
    with open(parts[1], "wb") as file:
        file.truncate(16 * MIB)
    subprocess.run(["mkfs.vfat", parts[1]], check=True, stdout=subprocess.DEVNULL)
    samples.write(folder, "report.txt", b"All is well.\n")
    subprocess.run(["mcopy", "-i", parts[1], os.path.join(folder, "report.txt"), "::/report.txt"], check=True)
    raw = os.path.join(folder, "disk.raw")
    with open(raw, "wb") as disk:
        disk.truncate(40 * MIB)
        table = b"".join(struct.pack("<4xB3xII", kind, start // 512, 16 * MIB // 512)
                         for kind, start in ((0x83, MIB), (0x0c, 17 * MIB)))
        disk.seek(446)
        disk.write(table.ljust(64, b"\0") + b"\x55\xaa")
        for part, start in zip(parts, (MIB, 17 * MIB)):
            disk.seek(start)
            with open(part, "rb") as file:
                disk.write(file.read())
    vhdx("convert", raw, os.path.join(folder, "evidence.vhdx"))
    script.vhdxio(os.path.join(folder, "evidence.vhdx"), lines=[f"write {39 * MIB} 4K 5", "flush", "kill"], status=-9)
    for name in (*parts, raw, os.path.join(folder, "report.txt")):
        os.unlink(name)


@tap.case("get files out of someone's VHDX, without root and without a write",
          tap.tool("mke2fs", "debugfs", "mkfs.vfat", "mcopy", "fusermount3"), built("VHDX_MOUNT", "the mount"),
          lambda: None if os.path.exists("/dev/fuse") else "no /dev/fuse")
def _(folder):
    partitioned(folder)
    out = do("Get files out of someone's VHDX, without root and without a write", folder)
    assert "p1" in out[0] and "p2" in out[0] and "letter.txt" in out[1], out
    for name, text in ("letter.txt", b"Dear reader,\n"), ("report.txt", b"All is well.\n"):
        with open(os.path.join(folder, name), "rb") as file:
            assert file.read() == text


@tap.case("ship a Hyper-V image from Linux CI", tap.tool("mke2fs"))
def _(folder):
    os.mkdir(os.path.join(folder, "rootfs"))
    samples.write(os.path.join(folder, "rootfs"), "hello", noise("hello", 100000))
    do("Ship a Hyper-V image from Linux CI", folder)
    for name in "image.vhdx", "azure.vhdx":
        path = os.path.join(folder, name)
        assert disks.allocated(path) >= os.path.getsize(path), name
    info = vhdx_json("info", "--json", os.path.join(folder, "azure.vhdx"))
    assert info["vhdx"]["type"] == "fixed" and info["virtual-size"] % MIB == 0


@tap.case("rescue a VHDX that Windows refuses")
def _(folder):
    refused, ruined = (os.path.join(folder, name) for name in ("refused.vhdx", "ruined.vhdx"))
    for path in refused, ruined:
        vhdx("create", "-q", path, "64M")
        script.vhdxio(path, lines=["write 3M 1M 7"])
    with open(refused, "r+b") as file:
        for offset in (64 << 10, 192 << 10):  # a header and a region table
            file.seek(offset)
            file.write(b"\xff" * 512)
    with open(ruined, "r+b") as file:
        file.write(bytes(MIB))
    out = do("Rescue a VHDX that Windows refuses", folder)
    assert "201" in out[0] and "301" in out[0], out[0]
    vhdx("check", os.path.join(folder, "work.vhdx"))
    assert os.path.exists(os.path.join(folder, "work.vhdx.undo"))
    raw = os.path.join(folder, "ruined.raw")
    with open(raw, "rb") as file:
        file.seek(3 * MIB)
        assert file.read(MIB) == b"\7" * MIB


@tap.case("shrink a WSL2 disk", tap.tool("mke2fs", "debugfs"), built("VHDX_FREESPACE", "--free-space"))
def _(folder):
    raw, image = (os.path.join(folder, name) for name in ("ext4.raw", "ext4.vhdx"))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", raw, "256M"], check=True, capture_output=True)
    kept = samples.write(folder, "kept", noise("kept", MIB))
    gone = samples.write(folder, "gone", noise("gone", 64 * MIB))
    for words in f"write {gone} gone", f"write {kept} kept", "rm gone":
        subprocess.run(["debugfs", "-w", "-R", words, raw], check=True, capture_output=True)
    vhdx("convert", "--block-size", "1M", raw, image)
    before = os.path.getsize(image)
    do("Shrink a WSL2 disk", folder)
    assert os.path.getsize(image) < before - 48 * MIB, (before, os.path.getsize(image))
    back = os.path.join(folder, "back.raw")
    vhdx("convert", image, back)
    subprocess.run(["e2fsck", "-fn", back], check=True, capture_output=True)
    subprocess.run(["debugfs", "-R", f"dump kept {os.path.join(folder, 'again')}", back], check=True, capture_output=True)
    assert disks.sha256(os.path.join(folder, "again")) == disks.sha256(kept)


tap.main()
