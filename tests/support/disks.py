# SPDX-License-Identifier: MIT
"""Contents of disks: made, laid into sparse raw files, and hashed without reading holes."""
import hashlib
import os
import random

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
PAGE = 4096
ZEROS = bytes(MIB)


def noise(name, length):
    """Bytes that a name stands for; no 512 of them are alike or zero."""
    return hashlib.shake_128(name.encode()).digest(length)


class Model:
    """A disk's contents as pages of 4 KiB; what was never written is zero."""

    def __init__(self, size, other=None):
        self.size = size
        self.pages = {}
        if other:
            for number, page in other.pages.items():
                if number * PAGE < size:
                    self.pages[number] = bytes(page[:size - number * PAGE]).ljust(PAGE, b"\0")

    def write(self, offset, data):
        assert offset + len(data) <= self.size
        at = 0
        while at < len(data):
            number, inside = divmod(offset + at, PAGE)
            count = min(PAGE - inside, len(data) - at)
            page = bytearray(self.pages.get(number, bytes(PAGE)))
            page[inside:inside + count] = data[at:at + count]
            self.pages[number] = bytes(page)
            at += count

    def zero(self, offset, length):
        """Whole pages are forgotten, parts are written."""
        end = min(offset + length, self.size)
        for number in [n for n in self.pages if offset < (n + 1) * PAGE and n * PAGE < end]:
            first, last = max(offset, number * PAGE), min(end, (number + 1) * PAGE)
            self.write(first, bytes(last - first))

    def read(self, offset, length):
        out = bytearray(length)
        for number in range(offset // PAGE, (offset + length - 1) // PAGE + 1):
            page = self.pages.get(number)
            if page:
                first = max(offset, number * PAGE)
                last = min(offset + length, (number + 1) * PAGE)
                out[first - offset:last - offset] = page[first - number * PAGE:last - number * PAGE]
        return bytes(out)

    def digest(self):
        out = hashlib.sha256()
        for number in sorted(self.pages):
            page = self.pages[number]
            end = min(PAGE, self.size - number * PAGE)
            if not ZEROS.startswith(page):
                out.update((number * PAGE).to_bytes(8, "little"))
                out.update(page[:end])
        return out.hexdigest()

    def save(self, path):
        with open(path, "wb") as out:
            for number in sorted(self.pages):
                out.seek(number * PAGE)
                out.write(self.pages[number][:self.size - number * PAGE])
            out.truncate(self.size)
        return path


def digest(path):
    """SHA-256 of every 4 KiB block that is not all zero, each after its offset as 8 bytes."""
    out = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        end, at = os.fstat(file.fileno()).st_size, 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) & -PAGE
            except OSError:
                break
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            while at < hole:
                data = os.pread(file.fileno(), min(MIB, end - at), at)
                add_pages(out, at, data)
                at += len(data)
    return out.hexdigest()


def add_pages(out, offset, data):
    if data == ZEROS[:len(data)]:
        return
    for i in range(0, len(data), PAGE):
        page = data[i:i + PAGE]
        if not ZEROS.startswith(page):
            out.update((offset + i).to_bytes(8, "little"))
            out.update(page)


def digest_stream(stream):
    """(digest, length) of what a pipe brings."""
    out, length, rest = hashlib.sha256(), 0, b""
    while data := stream.read(MIB):
        data = rest + data
        whole = len(data) & -PAGE
        add_pages(out, length, data[:whole])
        length, rest = length + whole, data[whole:]
    add_pages(out, length, rest)
    return out.hexdigest(), length + len(rest)


def sha256(path):
    out = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(MIB):
            out.update(data)
    return out.hexdigest()


def scattered(name, size, pieces=24, most=300000):
    """A disk with pieces of noise at random places, its first and last sectors among them."""
    chance = random.Random(name)
    model = Model(size)
    for number in range(pieces):
        length = min(size, chance.choice((512, 4096, 65536, chance.randrange(1, most))))
        model.write(chance.randrange(0, size - length + 1), noise(f"{name} {number}", length))
    model.write(0, noise(f"{name} first", 512))
    model.write(size - 512, noise(f"{name} last", 512))
    return model


def _look(path):
    # Not st_blocks, which grows when the system gets round to writing.
    st = os.lstat(path)
    return (st.st_mode, st.st_ino, st.st_nlink, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_ctime_ns,
            (st.st_size, digest(path)) if os.path.isfile(path) else None)


def snapshot(top):
    """All of a file or folder that must not change when it is only read: names, bytes, times but the
    last access's."""
    found = {top: _look(top)}
    for where, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(where, name)
            found[path] = _look(path)
    return found


def changes(before, after):
    return [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]


def allocated(path):
    """Bytes that a file takes, when the system has got round to all of it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        return os.fstat(fd).st_blocks * 512
    finally:
        os.close(fd)
