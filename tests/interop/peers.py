# SPDX-License-Identifier: MIT
"""What other programs say of an image: qemu-img, 7-Zip, libvhdi; and what they are known to get wrong."""
import json
import os
import re
import subprocess
import time

import command
import disks
from tap import Skip, find_tool


def have(name):
    return find_tool(name) is not None


def qemu_info(path):
    if not have("qemu-img"):
        raise Skip("no qemu-img")
    return json.loads(command.run(["qemu-img", "info", "--output=json", "-f", "vhdx", path]).out)


def qemu_map(path):
    return json.loads(command.run(["qemu-img", "map", "--output=json", "-f", "vhdx", path]).out)


def qemu_check(path):
    """Nothing to complain of; no word where there is no qemu-img."""
    if have("qemu-img"):
        command.run(["qemu-img", "check", "-f", "vhdx", path])


def qemu_digest(path, folder):
    raw = os.path.join(folder, "qemu.raw")
    command.run(["qemu-img", "convert", "-f", "vhdx", "-O", "raw", path, raw])
    found = disks.digest(raw), os.path.getsize(raw)
    os.unlink(raw)
    return found


def seven_list(path, size):
    if have("7zz"):
        out = command.run(["7zz", "l", "-slt", path]).out
        assert re.search(rf"^Size = {size}$", out, re.M), out


def seven_digest(path):
    """7-Zip writes the whole disk to a pipe: for disks of a few GiB at most."""
    process = subprocess.Popen(["7zz", "e", "-y", "-tvhdx", "-so", path], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = disks.digest_stream(process.stdout)
    err = process.stderr.read().decode()
    assert process.wait() == 0, err
    return found


def vhdiinfo(path, size, kind):
    if not have("vhdiinfo"):
        return
    out = command.run(["vhdiinfo", path]).out
    assert f"({size} bytes)" in out and f"Disk type\t\t: {kind.capitalize()}" in out, out


class Mounted:
    """The disk as libvhdi shows it: a file, through FUSE."""

    def __init__(self, path, folder):
        if not (have("vhdimount") and (have("fusermount") or have("fusermount3"))):
            raise Skip("no vhdimount")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise Skip("no /dev/fuse")
        self.point = os.path.join(folder, "mounted")
        self.file = os.path.join(self.point, "vhdi1")
        os.mkdir(self.point)
        done = subprocess.run(["vhdimount", path, self.point], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                              timeout=60)
        for _ in range(50):
            if os.path.exists(self.file):
                return
            time.sleep(0.1)
        raise Skip(f"vhdimount does not work here: {done.stderr.decode()}")

    def __enter__(self):
        return self.file

    def __exit__(self, *_):
        subprocess.run([find_tool("fusermount") or find_tool("fusermount3"), "-u", self.point],
                       check=False)
