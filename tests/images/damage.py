#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Damaged images, one folder a kind under damage/: check finds what check.txt says, repair mends what repair.txt says,
and after.txt says what is left. `damage.py --write [KIND...]` writes these files anew, to be read before they are kept.

The first line of check.txt and of repair.txt is the command, and is kept. In after.txt stand what the next check says,
which parts of the disk read otherwise than before the damage, and the digest of its contents."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import tap

KINDS = os.path.join(HERE, "damage")
UNDO = "disk.vhdx.undo"
SECTOR = 512

# Rows of the table of problems that no kind shows, and why.
UNSEEN = {
    827: "takes a chain of many images with 16 MiB of metadata each: tests/model/test_chain.c has it",
    902: "takes a file of more than 128 TiB, which most file systems do not have",
}


class Kind:
    def __init__(self, name):
        self.name = name
        self.folder = os.path.join(KINDS, name)
        with open(os.path.join(self.folder, "make.py"), encoding="utf-8") as file:
            self.why = " ".join(re.search('"""(.*?)"""', file.read(), re.S).group(1).split())

    def expected(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def words(self, name):
        """The command of check.txt or repair.txt."""
        first = self.expected(name).splitlines()[0]
        assert first.startswith("$ vhdx ") and first.endswith(" disk.vhdx"), first
        return first.split()[2:]

    def make(self, folder):
        subprocess.run([sys.executable, os.path.join(self.folder, "make.py"), folder], check=True, timeout=300)


def said(words, folder):
    """A command and all that it said, with its exit status."""
    result = command.run([command.VHDX, *words], status=None, cwd=folder)
    assert result.status in (0, 1, 2, 3), str(result)
    out, err = (text.replace(folder + os.sep, "") for text in (result.out, result.err))
    # What a hole is, and so what a file takes, the file system says.
    for pattern, text in ((r"space for \d+ of its", "space for N of its"),
                          (r"[0-9.]+ \w+ that nothing refers to", "N bytes that nothing refers to"),
                          (r"\.undo \([^)]*\)", ".undo (N bytes)"),
                          (r"(a new Virtual Disk ID was added), \S+", r"\1")):
        out = re.sub(pattern, text, out)
    return f"$ vhdx {' '.join(words)}\n{out}{err}exit {result.status}\n"


def contents(folder, name):
    """The digest of what the disk reads as, kept as the raw file @name; None when it cannot be read."""
    result = command.run([command.VHDX, "convert", "--no-sync", "-O", "raw", "disk.vhdx", name], status=None, cwd=folder)
    return None if result.status else disks.digest(os.path.join(folder, name))


def differences(folder, before, after):
    """Parts in which two raw files are not the same: (first, end)."""
    found = []
    paths = [os.path.join(folder, name) for name in (before, after)]
    size = max(map(os.path.getsize, paths))
    with open(paths[0], "rb") as old, open(paths[1], "rb") as new:
        for at in data_of(old, new):
            a, b = (read_at(file, at) for file in (old, new))
            for i in range(0, max(len(a), len(b)), SECTOR) if a != b else ():
                if a[i:i + SECTOR] != b[i:i + SECTOR]:
                    add_sector(found, at + i, min(size, at + i + SECTOR))
    return found


def add_sector(found, first, end):
    if found and found[-1][1] == first:
        found[-1][1] = end
    else:
        found.append([first, end])


def read_at(file, at):
    file.seek(at)
    return file.read(disks.MIB)


def data_of(*files):
    """Offsets of the MiB that one of the files has data in."""
    wanted = set()
    for file in files:
        at, end = 0, os.fstat(file.fileno()).st_size
        while at < end:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            wanted.update(range(start & -disks.MIB, at, disks.MIB))
    return sorted(wanted)


def state_after(kind, folder):
    """What after.txt says."""
    text = said(kind.words("check.txt"), folder)
    digest = contents(folder, "after.raw")
    if not digest:
        return text + "contents: cannot be read\n"
    parts = " ".join(f"{first}-{end - 1}" for first, end in differences(folder, "guest.raw", "after.raw"))
    return text + f"otherwise: {parts or 'nothing'}\ncontents: {digest}\n"


# ---- check

def judge_json(kind, folder, text):
    """The same findings, sentences and exit status as in the text."""
    words = kind.words("check.txt")
    result = command.run([command.VHDX, words[0], "--json", *words[1:]], status=None, cwd=folder)
    assert f"\nexit {result.status}\n" in text, f"other exit status: {result}"
    answer = json.loads(result.out)
    for sentence in answer["vhdx"]["summary"]:
        assert f"\n{sentence}\n" in text, sentence
    for finding in answer["vhdx"]["findings"]:
        line = (f"{finding['problem']} {finding['name']} {finding['severity']}" +
                (f" at {finding['offset']}: " if "offset" in finding else ": "))
        assert line in text, line
        judge_part(finding, text)
    lines = re.findall(r"^(?:\S+: )?(\d{3}) [A-Z0-9_]+ ", text, re.M)
    assert len(lines) == len(answer["vhdx"]["findings"]), lines
    return answer


def judge_part(finding, text):
    """What it says of the guest is whole, and in the text too."""
    loss = finding["loss"]
    if loss in ("part", "doubt"):
        first, length = finding["guest-offset"], finding["guest-length"]
        assert 0 < finding["loss-bytes"] <= length, finding
        assert f"bytes {first}-{first + length - 1} of the disk" in text, finding
    else:
        assert not finding.get("loss-bytes"), finding
    assert finding["repair"] in ("always", "maybe", "discard-log", "never"), finding
    needs = finding["repair"] == "never"
    assert ("mend" in finding) != needs and ("needs" not in finding or needs), finding


def union(parts):
    """Bytes in at least one of the parts (first, end)."""
    total, reached = 0, 0
    for first, end in sorted(parts):
        total += max(0, end - max(first, reached))
        reached = max(reached, end)
    return total


def judge_sums(answer):
    """Each byte is counted once, however many faults it has: as lost before in doubt."""
    lost, doubtful = 0, 0
    findings = answer["vhdx"]["findings"]
    if any(f["loss"] == "disk" or f.get("loss-bytes", 0) not in (0, f.get("guest-length")) for f in findings):
        return
    for name in {f["file"] for f in findings}:
        parts = {loss: [(f["guest-offset"], f["guest-offset"] + f["guest-length"]) for f in findings
                        if f["file"] == name and f["loss"] == loss] for loss in ("part", "doubt")}
        lost += union(parts["part"])
        doubtful += union(parts["part"] + parts["doubt"]) - union(parts["part"])
    said_of = (answer["vhdx"]["lost-bytes"], answer["vhdx"]["doubtful-bytes"])
    assert said_of == (lost, doubtful), f"{said_of} are said to be lost and in doubt, and {(lost, doubtful)} are"
    assert (answer["vhdx"]["lost-blocks"] > 0) == (lost > 0), answer["vhdx"]


def judge_reads(folder, answer):
    """A disk of which check says that a part cannot be read cannot be read through, and any other can."""
    findings = answer["vhdx"]["findings"]
    if any(f["loss"] == "disk" for f in findings):
        command.fails("map", "disk.vhdx", status={1, 2}, cwd=folder)
        return
    lost = [(f["guest-offset"], f["guest-offset"] + f["guest-length"]) for f in findings
            if f["loss"] == "part" and f["name"] != "BLOCK_SHORT"]
    assert (contents(folder, "before.raw") is None) == bool(lost), f"said to be lost: {lost}"


def same(kind, name, found):
    expected = kind.expected(name)
    if found == expected:
        return
    a, b = expected.splitlines(), found.splitlines()
    lines = [f"- {line}" for line in a if line not in b] + [f"+ {line}" for line in b if line not in a]
    raise AssertionError(f"not as in damage/{kind.name}/{name}:\n" + "\n".join(lines or ["the order of lines"]))


def judge_check(kind, folder):
    before = disks.snapshot(folder)
    text = said(kind.words("check.txt"), folder)
    same(kind, "check.txt", text)
    answer = judge_json(kind, folder, text)
    assert not disks.changes(before, disks.snapshot(folder)), "check changed something"
    judge_sums(answer)
    judge_reads(folder, answer)


# ---- repair

def parts_told(text):
    return [(int(first), int(last) + 1) for first, last in re.findall(r"bytes (\d+)-(\d+) of the disk", text)]


def judge_dry_run(kind, folder, text):
    """It says what the repair will say, and writes nothing."""
    before = disks.snapshot(folder)
    words = kind.words("repair.txt")
    dry = said([words[0], "--dry-run", *words[1:]], folder)
    would = [line.replace("would mend ", "mended ") for line in dry.splitlines() if line.startswith("would mend ")]
    assert would == [line for line in text.splitlines() if line.startswith("mended ")], dry
    assert dry.splitlines()[-1] == text.splitlines()[-1], dry
    assert not disks.changes(before, disks.snapshot(folder)), "a dry run changed something"


def judge_contents(kind, folder):
    """But for the parts that repair told of, what could be read reads the same, or as it did before the damage; and
    so does what could not be read."""
    if "--discard-log" in kind.words("repair.txt") or not os.path.exists(os.path.join(folder, "after.raw")):
        return
    was_read = os.path.exists(os.path.join(folder, "before.raw"))
    told = parts_told(kind.expected("repair.txt"))
    changed = differences(folder, "before.raw", "after.raw") if was_read else [(0, sys.maxsize)]
    for first, end in differences(folder, "guest.raw", "after.raw"):
        if not shared(first, end, changed):
            continue
        inside = shared(first, end, told)
        assert inside >= end - first, f"bytes {first}-{end - 1} read otherwise, and only {told} was told"


def shared(first, end, parts):
    """Bytes from @first to @end that are in one of the parts."""
    return sum(max(0, min(end, b) - max(first, a)) for a, b in parts)


def judge_second(kind, folder):
    """A second repair finds nothing to do."""
    words = kind.words("repair.txt")
    before = disks.digest(os.path.join(folder, "disk.vhdx"))
    again = said([words[0], "--undo", "second.undo", *words[1:]], folder)
    assert "mended " not in again, again
    assert disks.digest(os.path.join(folder, "disk.vhdx")) == before, "a second repair wrote something"
    assert not os.path.exists(os.path.join(folder, "second.undo")), "a second repair left an undo file"


def judge_repair(kind, folder):
    path = os.path.join(folder, "disk.vhdx")
    before = (os.path.getsize(path), disks.digest(path))
    expected = kind.expected("repair.txt")
    judge_dry_run(kind, folder, expected)
    text = said(kind.words("repair.txt"), folder)
    same(kind, "repair.txt", text)
    is_written = os.path.exists(os.path.join(folder, UNDO))
    assert is_written == ("\nmended " in text), "an undo file, or none, against what was said"
    assert is_written or (os.path.getsize(path), disks.digest(path)) == before, "written without an undo file"
    after = state_after(kind, folder)
    same(kind, "after.txt", after)
    if text.endswith("\nexit 0\n") and "--chain" not in after:
        command.vhdx("check", "-q", "disk.vhdx", cwd=folder)
    judge_contents(kind, folder)
    judge_second(kind, folder)
    if is_written:
        command.vhdx("repair", "-q", "--undo-from", UNDO, "disk.vhdx", cwd=folder)
        assert (os.path.getsize(path), disks.digest(path)) == before, "not what was there before the repair"


# ---- all

def numbers_shown():
    shown = set()
    for kind in all_kinds():
        shown.update(map(int, re.findall(r"^(?:\S+: )?(\d{3}) [A-Z0-9_]+ ", kind.expected("check.txt"), re.M)))
    return shown


def all_kinds():
    return [Kind(name) for name in sorted(os.listdir(KINDS)) if os.path.isdir(os.path.join(KINDS, name))]


def rows():
    with open(os.path.join(HERE, *[os.pardir] * 2, "lib", "base", "problems.def"), encoding="utf-8") as file:
        return set(map(int, re.findall(r"^PROBLEM\((\d+),", file.read(), re.M)))


@tap.case("every row of the table of problems has a kind of damage that shows it, or a reason why not")
def _(folder):
    del folder
    shown = numbers_shown()
    assert not rows() - shown - set(UNSEEN), f"without a kind: {sorted(rows() - shown - set(UNSEEN))}"
    assert not shown & set(UNSEEN), f"seen all the same: {sorted(shown & set(UNSEEN))}"


@tap.case("docs/CHECK.md names every row of the table of problems, and no other")
def _(folder):
    del folder
    with open(os.path.join(HERE, *[os.pardir] * 2, "docs", "CHECK.md"), encoding="utf-8") as file:
        table = re.findall(r"^\| [\d.]+ (?:to [\d.]+ )?\|.*\| ([^|]*) \|$", file.read(), re.M)
    named = set()
    for first, last in re.findall(r"(\d{3})(?: to (\d{3}))?", "; ".join(table)):
        named.update(range(int(first), int(last or first) + 1))
    assert named == rows(), f"not named: {sorted(rows() - named)}; no row: {sorted(named - rows())}"


def write(names):
    for kind in all_kinds():
        if names and kind.name not in names:
            continue
        folder = tempfile.mkdtemp(prefix="vhdx-damage.")
        try:
            kind.make(folder)
            for name in ("check.txt", "repair.txt"):
                keep(kind, name, said(kind.words(name), folder))
            keep(kind, "after.txt", state_after(kind, folder))
        finally:
            shutil.rmtree(folder)


def keep(kind, name, text):
    with open(os.path.join(kind.folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def judge(kind, folder):
    kind.make(folder)
    judge_check(kind, folder)
    judge_repair(kind, folder)


if sys.argv[1:2] == ["--write"]:
    write(sys.argv[2:])
    sys.exit(0)

for each in tap.sampled(all_kinds(), 8):
    tap.add(f"{each.name}: {each.why}", lambda folder, kind=each: judge(kind, folder))

tap.main()
