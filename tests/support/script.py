# SPDX-License-Identifier: MIT
"""Scripts for tests/tools/vhdxio, and what a disk must, or may, hold after them.

Until a flush, a crash may leave of each sector any content that it had since the last one. What is trimmed
reads as before or as zeros. The sets of contents are kept by sector, beside a model of what was asked for."""
import os
import struct

import command
import disks

VHDXIO = os.environ.get("VHDXIO") or os.path.join(
    os.path.dirname(command.VHDX), os.pardir, "tests", "tools", "vhdxio")


def stamps(seed, offset, length, sector=512):
    """What vhdxio's pattern seed:N puts there."""
    first, last = offset // sector, (offset + length - 1) // sector
    data = b"".join(struct.pack("<QQ", seed, number * (sector // 512) + part) * 32
                    for number in range(first, last + 1) for part in range(sector // 512))
    return data[offset - first * sector:][:length]


def vhdxio(path, *words, lines=(), status=0, loud=False):
    """Runs vhdxio. Like the command's, a success is silent on standard error."""
    result = command.run([VHDXIO, *words, path], status=status,
                         stdin="".join(f"{line}\n" for line in lines).encode())
    if result.status == 0 and not loud:
        assert not result.err, f"standard error is not empty: {result}"
    return result


class Script:
    """Records lines; run() runs those that were not run yet. @model is changed as the disk is."""

    def __init__(self, model, sector=512):
        self.model = model
        self.sector = sector
        self.lines = []
        self.seeds = 0
        self.now = {}    # contents that a sector may have, where there are several
        self.since = {}  # contents that it had since the last flush, where there were others

    def _change(self, offset, data, keeps=False):
        """Sectors get @data; or, if the disk may do as it likes, @data or what they have."""
        end = offset + len(data)
        numbers = range(offset // self.sector, (end - 1) // self.sector + 1)
        start = numbers.start * self.sector
        old = self.model.read(start, len(numbers) * self.sector)
        whole = old[:offset - start] + data + old[end - start:]
        for number in numbers:
            at = number * self.sector
            if not keeps and number not in self.now:  # the common case
                was = old[at - start:at - start + self.sector]
                if was != whole[at - start:at - start + self.sector]:
                    self.since.setdefault(number, set()).add(was)
                continue
            first, last = max(at, offset), min(at + self.sector, end)
            had = self.now.get(number) or {old[at - start:at - start + self.sector]}
            new = {one[:first - at] + data[first - offset:last - offset] + one[last - at:] for one in had}
            if keeps:
                new |= had
            if new != had:
                self.since[number] = self.since.get(number, set()) | had
            self.now.pop(number, None)
            if len(new) > 1:
                self.now[number] = new
        if not keeps:
            self.model.write(offset, data)

    def line(self, text):
        self.lines.append(text)

    def _flags(self, text, flags):
        self.line(" ".join([text, *flags]))
        if "fua" in flags:
            self.since.clear()

    def write(self, offset, length, *flags):
        self.seeds += 1
        self._change(offset, stamps(self.seeds, offset, length))
        self._flags(f"write {offset} {length} seed:{self.seeds}", flags)

    def zero(self, offset, length, *flags):
        self._change(offset, bytes(length))
        self._flags(f"zero {offset} {length}", flags)

    def trim(self, offset, length, *flags):
        assert not offset % self.sector and not length % self.sector
        self._change(offset, bytes(length), keeps=True)
        self._flags(f"trim {offset} {length}", flags)

    def flush(self):
        self.line("flush")
        self.since.clear()

    def reopen(self):
        self.line("reopen")
        self.since.clear()

    def scatter(self, chance, count, most=65536, kinds=("write", "write", "write", "zero", "trim", "flush")):
        """@count random operations, on sectors, on pages, on blocks or on any bytes."""
        for _ in range(count):
            kind = chance.choice(kinds)
            if kind == "flush":
                self.flush()
                continue
            unit = chance.choice((1, 512, 4096, 1 << 20)) if kind != "trim" else chance.choice((4096, 1 << 20))
            unit = max(unit, self.sector) if kind == "trim" else unit
            unit = min(unit, self.model.size)
            length = max(unit, chance.randrange(1, min(most, self.model.size) + 1) // unit * unit)
            offset = chance.randrange(0, (self.model.size - length) // unit + 1) * unit
            getattr(self, kind)(offset, length)

    def run(self, path, *words, kill=False, **how):
        """Runs what was recorded; the disk is closed at the end, or the program is killed."""
        lines, self.lines = self.lines, []
        if kill:
            vhdxio(path, *words, lines=[*lines, "kill"], status=-9, **how)
            self.killed()
        else:
            vhdxio(path, *words, lines=lines, **how)
            self.since.clear()

    def killed(self):
        """What was not flushed is there or not."""
        for number, contents in self.since.items():
            self.now[number] = contents | (self.now.get(number) or {
                self.model.read(number * self.sector, self.sector)})
        self.since.clear()

    def settle(self, raw):
        """@raw, the disk's contents, are what they may be; from now on they count."""
        with open(raw, "rb") as file:
            for number, contents in sorted(self.now.items()):
                at = number * self.sector
                file.seek(at)
                found = file.read(self.sector)
                assert found in contents, (
                    f"at {at}: {found[:16].hex()}, which is none of "
                    f"{sorted(one[:16].hex() for one in contents)} (the first bytes of the sector)")
                if found != self.model.read(at, self.sector):
                    self.model.write(at, found)
        self.now.clear()
        assert os.path.getsize(raw) == self.model.size, os.path.getsize(raw)
        assert disks.digest(raw) == self.model.digest(), f"other contents: {first_difference(raw, self.model)}"


class Raw:
    """As disks.Model, in a raw file: for disks that hold much."""

    def __init__(self, path):
        self.path = path
        self.size = os.path.getsize(path)

    def read(self, offset, length):
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def write(self, offset, data):
        assert offset + len(data) <= self.size
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def digest(self):
        return disks.digest(self.path)


def first_difference(raw, model):
    with open(raw, "rb") as file:
        for at in range(0, model.size, disks.MIB):
            length = min(disks.MIB, model.size - at)
            found, expected = file.read(length), model.read(at, length)
            for i in range(0, length if found != expected else 0, 512):
                if found[i:i + 512] != expected[i:i + 512]:
                    return (f"at {at + i}: {found[i:i + 16].hex()}, expected {expected[i:i + 16].hex()}")
    return "none"
