# SPDX-License-Identifier: MIT
"""Judges a disk that was not closed: whoever replays its log, the contents are those that it may have."""
import os

import command
import disks
import judges
import links
import peers
from command import vhdx, vhdx_json
from disks import GIB
from script import vhdxio

REF = judges.load("vhdx_ref")
# qemu-img reads every byte of a disk, holes or not.
QEMU_READS_MAX = 10 * GIB


def raw_of(path, folder):
    """The disk's contents as a raw file; a log is replayed in memory."""
    raw = os.path.join(folder, "out.raw")
    vhdx("convert", "--no-sync", "--force", path, raw)
    return raw


def copy(path, name):
    """A copy beside the image, so that a child's parent is where it was."""
    other = os.path.join(os.path.dirname(path), name)
    command.run(["cp", "--sparse=always", path, other])
    return other


def reference_digest(path, folder):
    """What the reference reader, which shares nothing with the library, sees; None where it is absent."""
    if not REF:
        return None
    raw, image = os.path.join(folder, "reference.raw"), REF.Image(path)
    with open(raw, "wb") as out:
        for offset, data in image.pieces():
            out.seek(offset)
            out.write(data)
        out.truncate(image.size)
    image.close()
    found = disks.digest(raw)
    os.unlink(raw)
    return found


def judge_ours(path, expected, folder, lint=()):
    """Replayed by us, by the command and by opening it for writing, without a change of the disk."""
    before = vhdx_json("info", "--json", path)["vhdx"]
    for replay in (lambda name: vhdx("replay", name), vhdxio):
        other = copy(path, "ours.vhdx")
        replay(other)
        after = vhdx_json("info", "--json", other)["vhdx"]
        assert after["log-state"] == "clean" and not int(after["log-guid"].replace("-", ""), 16), after
        assert after["data-write-guid"] == before["data-write-guid"], "no data were written"
        assert disks.digest(raw_of(other, folder)) == expected, "our replay gives other contents"
    status, found = command.check(other)
    assert status in (0, 3) and "LOG_DIRTY" not in found, (status, sorted(found))
    # Killed between the last two headers of a close, it is clean, and the older header is left as it is.
    if before["log-state"] != "clean" and not judges.lint_there():
        judges.lint(other, *lint)
    os.unlink(other)


def judge_qemu(path, expected, folder):
    """Replayed by QEMU, which then reads the same, as do we."""
    other = copy(path, "theirs.vhdx")
    command.run(["qemu-img", "check", "-f", "vhdx", "-r", "all", other])
    if os.path.getsize(os.path.join(folder, "out.raw")) <= QEMU_READS_MAX:
        assert peers.qemu_digest(other, folder)[0] == expected, "QEMU's replay gives other contents"
    assert vhdx_json("info", "--json", other)["vhdx"]["log-state"] == "clean"
    assert disks.digest(raw_of(other, folder)) == expected, "we read something else after QEMU's replay"
    os.unlink(other)


def judge(folder, path, script, qemu=True, lint=()):
    """Judges a disk that a kill left; it stays as it is, and @script knows its contents. Returns info's."""
    before = disks.snapshot(path)
    raw = raw_of(path, folder)
    script.settle(raw)
    expected = disks.digest(raw)
    status, found = command.check(path)
    counted = {name for name, all_of in found.items() if all_of[0]["severity"] not in ("note", "leak")}
    assert not counted and status in (0, 3), (status, sorted(found))
    assert reference_digest(path, folder) in (expected, None), "the reference reader sees other contents"
    assert disks.snapshot(path) == before, "changed by reading"
    judge_ours(path, expected, folder, lint)
    if qemu and peers.have("qemu-img"):
        judge_qemu(path, expected, folder)
    return vhdx_json("info", "--json", path)["vhdx"]


def create(folder, size, *options, name="disk.vhdx"):
    path = os.path.join(folder, name)
    vhdx("create", *options, path, str(size))
    return path


def judge_chain(folder, path, model):
    """What we and others make of a disk and its parents, all of one size."""
    links.holds(path, model)
    expected = model.digest()
    assert reference_digest(path, folder) in (expected, None), "the reference reader sees other contents"
    if peers.have("7zz"):
        assert peers.seven_digest(path) == (expected, model.size), "7-Zip reads other contents"
