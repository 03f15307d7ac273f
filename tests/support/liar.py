# SPDX-License-Identifier: MIT
"""An NBD server that keeps to the protocol but for what a case has it do wrong."""
import contextlib
import os
import socket
import struct
import threading

from nbdserver import Server

OPTION, REPLY, REQUEST = 0x49484156454F5054, 0x3E889045565A9, 0x25609513
SIMPLE, STRUCTURED = 0x67446698, 0x668E33EF
GO, STRUCTURED_REPLY, SET_META = 7, 8, 10
READ, WRITE, DISCONNECT, FLUSH, ZERO, STATUS = 0, 1, 2, 3, 6, 7
HAS_FLAGS, CAN_FLUSH, CAN_ZERO, MULTI_CONN = 1, 4, 64, 256


class Liar:
    """Cases override what shall be wrong; each method returns the bytes to send."""
    size = 4 << 20
    sizes = None  # minimum, preferred and maximum block size
    flags = HAS_FLAGS | CAN_FLUSH | CAN_ZERO | MULTI_CONN

    def serve(self, peer):
        self.peer = peer
        peer.sendall(b"NBDMAGIC" + struct.pack(">QH", OPTION, 3))
        self.take(4)
        while self.option():
            pass
        while self.request():
            pass

    def take(self, count):
        data = b""
        while len(data) < count:
            part = self.peer.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def option(self):
        _, number, length = struct.unpack(">QII", self.take(16))
        self.take(length)

        def reply(kind, data=b""):
            self.peer.sendall(struct.pack(">QIII", REPLY, number, kind, len(data)) + data)
        if number == SET_META:
            reply(4, struct.pack(">I", 1) + b"base:allocation")
        elif number == GO:
            reply(3, struct.pack(">HQH", 0, self.size, self.flags))
            if self.sizes:
                reply(3, struct.pack(">HIII", 3, *self.sizes))
        if number in (GO, STRUCTURED_REPLY, SET_META):
            reply(1)
        else:
            reply(1 << 31 | 1)
        return number != GO

    def request(self):
        magic, _, kind, cookie, offset, length = struct.unpack(">IHHQQI", self.take(28))
        assert magic == REQUEST
        if kind == DISCONNECT:
            return False
        if kind == WRITE:
            self.take(length)
        self.peer.sendall(self.answer(kind, cookie, offset, length))
        return True

    def answer(self, kind, cookie, offset, length):
        if kind == READ:
            return self.read(cookie, offset, length)
        if kind == STATUS:
            return self.status(cookie, offset, length)
        return self.chunk(0, cookie)

    @staticmethod
    def chunk(kind, cookie, data=b"", flags=1):
        return struct.pack(">IHHQI", STRUCTURED, flags, kind, cookie, len(data)) + data

    def read(self, cookie, offset, length):
        return self.chunk(1, cookie, struct.pack(">Q", offset) + b"d" * length)

    def extents(self, cookie, *pairs, context=1, flags=1):
        data = b"".join(struct.pack(">II", *pair) for pair in pairs)
        return self.chunk(5, cookie, struct.pack(">I", context) + data, flags)

    def status(self, cookie, offset, length):
        return self.extents(cookie, (length, 0))


@contextlib.contextmanager
def lying(folder, liar):
    """Every connection gets a server of the class @liar."""
    path = os.path.join(folder, "liar.sock")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

    def serve(peer):
        with peer, contextlib.suppress(OSError, EOFError):
            liar().serve(peer)

    def accept(listener):
        while True:
            try:
                peer = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=[peer], daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        threading.Thread(target=accept, args=[listener], daemon=True).start()
        yield Server(None, path)
        listener.shutdown(socket.SHUT_RDWR)
