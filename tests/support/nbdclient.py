# SPDX-License-Identifier: MIT
"""A client of NBD in Python: what it sends, and what it does not send, is in the hands of the test. Requests
are sent and answered one by one, or many are sent before their answers are taken."""
import socket
import struct

OPTION_MAGIC, REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
REQUEST, SIMPLE, STRUCTURED = 0x25609513, 0x67446698, 0x668E33EF
OPT_ABORT, OPT_INFO, OPT_GO, OPT_STRUCTURED, OPT_LIST_META, OPT_SET_META = 2, 6, 7, 8, 9, 10
REP_ACK, REP_INFO, REP_META = 1, 3, 4
INFO_EXPORT, INFO_BLOCK_SIZE = 0, 3
READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO = 1, 2, 4, 8, 16
# Flags of an export, by bit.
FLAGS = ("has-flags", "read-only", "flush", "fua", "rotational", "trim", "zeroes", "df", "multi-conn",
         "resize", "cache", "fast-zero")
HEADER_LENGTH = 28


class Gone(Exception):
    """The server closed the connection."""


class NbdError(Exception):
    def __init__(self, number, text=""):
        super().__init__(f"errno {number} {text}")
        self.errno = number


def header(kind, offset, length, handle=1, flags=0, magic=REQUEST):
    return struct.pack(">IHHQQI", magic, flags, kind, handle, offset, length)


class Client:
    def __init__(self, path, go=True, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.handle = 0
        self.sent = {}     # requests whose answers are to come: kind and length by handle
        self.answers = {}  # (errno, data) by handle
        self.flags, self.size, self.blocks = set(), None, None
        assert self.take(16) == b"NBDMAGICIHAVEOPT"
        self.take(2)
        self.socket.sendall(struct.pack(">I", 3))
        if go:
            self.option(OPT_STRUCTURED)
            name = struct.pack(">I", 0)
            self.option(OPT_SET_META, name + struct.pack(">II", 1, 15) + b"base:allocation")
            self.go()

    # ---- Bytes

    def take(self, length):
        out = bytearray()
        while len(out) < length:
            try:
                data = self.socket.recv(min(length - len(out), 1 << 20))
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                raise Gone
            out += data
        return bytes(out)

    def put(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            raise Gone from None

    def close(self):
        """Without a word."""
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.put(header(DISCONNECT, 0, 0))
        except (Gone, OSError):
            pass
        self.socket.close()

    # ---- Options

    def option(self, number, data=b"", length=None):
        """Sends one, and returns its replies, the last first: [(type, data)...]."""
        self.put(struct.pack(">QII", OPTION_MAGIC, number, len(data) if length is None else length) + data)
        replies = []
        while True:
            magic, echo, kind, length = struct.unpack(">QIII", self.take(20))
            assert magic == REPLY_MAGIC and echo == number, (hex(magic), echo)
            replies.insert(0, (kind, self.take(length)))
            if kind == REP_ACK or kind & 1 << 31:
                return replies

    def go(self, export=b""):
        replies = self.option(OPT_GO, struct.pack(">I", len(export)) + export +
                              struct.pack(">HH", 1, INFO_BLOCK_SIZE))
        if replies[0][0] != REP_ACK:
            raise NbdError(replies[0][0] & 0xFF, replies[0][1].decode(errors="replace"))
        for kind, data in replies:
            if kind == REP_INFO and data[:2] == b"\0\0":
                self.size, flags = struct.unpack(">QH", data[2:12])
                self.flags = {name for bit, name in enumerate(FLAGS) if flags >> bit & 1}
            elif kind == REP_INFO and data[:2] == b"\0\3":
                self.blocks = struct.unpack(">III", data[2:14])

    # ---- Requests

    def send(self, kind, offset=0, length=0, data=b"", flags=0):
        self.handle += 1
        self.sent[self.handle] = kind, offset, length or len(data)
        self.put(header(kind, offset, length or len(data), self.handle, flags) + data)
        return self.handle

    def receive(self):
        """Takes the next whole answer; returns its request's handle."""
        while True:
            magic = struct.unpack(">I", self.take(4))[0]
            if magic == SIMPLE:
                error, handle = struct.unpack(">IQ", self.take(12))
                kind, _, length = self.sent.pop(handle)
                self.answers[handle] = error, self.take(length) if kind == READ and not error else b""
                return handle
            assert magic == STRUCTURED, hex(magic)
            flags, kind, handle, length = struct.unpack(">HHQI", self.take(16))
            self._chunk(handle, kind, self.take(length))
            if flags & 1:
                del self.sent[handle]
                return handle

    def _chunk(self, handle, kind, data):
        """A part of a structured answer: an error, bytes, a hole, or extents."""
        asked, offset, length = self.sent[handle]
        error, found = self.answers.get(handle, (0, bytearray(length) if asked == READ else []))
        if kind & 1 << 15:
            error = struct.unpack(">I", data[:4])[0]
        elif kind == 1:
            at = struct.unpack(">Q", data[:8])[0] - offset
            found[at:at + len(data) - 8] = data[8:]
        elif kind == 5:
            words = struct.unpack(f">{len(data) // 4}I", data)
            found += zip(words[1::2], words[2::2])
        self.answers[handle] = error, found

    def wait(self, handle):
        while handle not in self.answers:
            self.receive()
        error, data = self.answers.pop(handle)
        if error:
            raise NbdError(error)
        return data

    def read(self, offset, length, flags=0):
        return bytes(self.wait(self.send(READ, offset, length, flags=flags)))

    def write(self, offset, data, flags=0):
        self.wait(self.send(WRITE, offset, data=data, flags=flags))

    def zero(self, offset, length, flags=0):
        self.wait(self.send(ZEROES, offset, length, flags=flags))

    def trim(self, offset, length, flags=0):
        self.wait(self.send(TRIM, offset, length, flags=flags))

    def flush(self):
        self.wait(self.send(FLUSH))

    def status(self, offset, length, flags=0):
        """[(length, is a hole, reads as zeros)...] from @offset on; the last may reach further."""
        found = self.wait(self.send(STATUS, offset, length, flags=flags))
        return [(length, bool(kind & 1), bool(kind & 2)) for length, kind in found]


def error_of(function, *arguments, **more):
    """The errno with which a request is refused; 0 when it is not."""
    try:
        function(*arguments, **more)
    except NbdError as error:
        return error.errno
    return 0
