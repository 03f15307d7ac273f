# SPDX-License-Identifier: MIT
"""Images to mount, and what must be true of them afterwards."""
import os

import command
import disks
import judges
from command import vhdx, vhdx_json
from disks import MIB

SIZE = 32 * MIB


def create(folder, *options, size=SIZE, name="disk.vhdx"):
    path = os.path.join(folder, name)
    vhdx("create", *options, path, *([str(size)] if size else []))
    return path


def filled(folder, name="disk", size=SIZE, *options):
    """(image, model of its contents)."""
    model = disks.scattered(name, size)
    raw = model.save(os.path.join(folder, name + ".raw"))
    path = os.path.join(folder, name + ".vhdx")
    vhdx("convert", "--no-sync", *options, raw, path)
    os.unlink(raw)
    return path, model


def holds(path, model, folder):
    """The disk in the file, as the command reads it, has the model's contents."""
    raw = os.path.join(folder, "contents.raw")
    vhdx("convert", "--no-sync", "--force", path, raw)
    assert disks.digest(raw) == model.digest()


def is_sound(path, clean=True):
    """Without faults and, where the strict judge is there, nothing for it to say."""
    status, found = command.check(path)
    assert status == 0 or status == 3 and set(found) <= {"SPACE_LEAKED", "SPACE_UNUSED", "LOG_DIRTY"}, (status, found)
    state = vhdx_json("info", "--json", path)["vhdx"]["log-state"]
    assert not clean or state == "clean", state
    if clean and not judges.lint_there():
        judges.lint(path)


def daemon_of(point):
    """The process behind a mount that went to the background."""
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if os.fsencode(point) in file.read().split(b"\0"):
                    return int(name)
        except (OSError, ValueError):
            pass
    return None


def write_all(fd, data, offset):
    while data:
        done = os.pwrite(fd, data, offset)
        data, offset = data[done:], offset + done
