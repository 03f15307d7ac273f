#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""NBD servers that lie to convert and compare: about holes, in answers, of block sizes and sizes; or say nothing."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import itertools
import struct

import command
import tap
from command import VHDX, vhdx
from liar import Liar, lying
from nbdserver import case


class Beyond(Liar):
    """Ranges go on behind the export."""

    def status(self, cookie, offset, length):
        return self.extents(cookie, (4096, 0), (0xffffffff, 3), (0xffffffff, 0))


class NoProgress(Liar):
    def status(self, cookie, offset, length):
        return self.extents(cookie, (0, 3), (length, 3))


class LessThanABlock(Liar):
    def status(self, cookie, offset, length):
        return self.extents(cookie, (1, 3))


class HoleOfOldData(Liar):
    """No space is taken, but zeros are not promised."""

    def status(self, cookie, offset, length):
        return self.extents(cookie, (length, 1))


class NoAnswer(Liar):
    def status(self, cookie, offset, length):
        return self.chunk(0, cookie)


class OtherContext(Liar):
    def status(self, cookie, offset, length):
        return self.extents(cookie, (length, 3), context=2)


class TwoAnswers(Liar):
    def status(self, cookie, offset, length):
        if offset:
            return self.extents(cookie, (length, 0))
        return self.extents(cookie, (self.size // 2, 3), flags=0) + self.extents(cookie, (length, 3))


class HalfOfTheData(Liar):
    def read(self, cookie, offset, length):
        return self.chunk(1, cookie, struct.pack(">Q", offset) + b"d" * (length // 2))


class NoData(Liar):
    def read(self, cookie, offset, length):
        return self.chunk(0, cookie)


class MoreData(Liar):
    def read(self, cookie, offset, length):
        return self.chunk(1, cookie, struct.pack(">Q", offset) + b"d" * (length + 4096))


class DataElsewhere(Liar):
    def read(self, cookie, offset, length):
        return self.chunk(1, cookie, struct.pack(">Q", offset + (1 << 40)) + b"d" * length)


class SecondHalfTwice(Liar):
    """All bytes that were asked for are sent, and some of them never."""

    def read(self, cookie, offset, length):
        half = length // 2
        data = struct.pack(">Q", offset + half) + b"d" * half
        return self.chunk(1, cookie, data, flags=0) + self.chunk(1, cookie, data)


class SecondHalfFirst(Liar):
    def read(self, cookie, offset, length):
        half = length // 2
        return self.chunk(1, cookie, struct.pack(">Q", offset + half) + b"2" * half, flags=0) + \
            self.chunk(1, cookie, struct.pack(">Q", offset) + b"1" * half)


class FirstHalfTwice(Liar):
    def read(self, cookie, offset, length):
        data = struct.pack(">Q", offset) + b"d" * (length // 2)
        return self.chunk(1, cookie, data, flags=0) + self.chunk(1, cookie, data)


class OtherRequest(Liar):
    def read(self, cookie, offset, length):
        return super().read(cookie + 1000, offset, length)


class Garbage(Liar):
    def read(self, cookie, offset, length):
        return b"garbage!" * 8


class Hangup(Liar):
    def read(self, cookie, offset, length):
        self.peer.sendall(super().read(cookie, offset, length)[:100])
        raise EOFError


class TooLarge(Liar):
    size = (1 << 64) - 1


class NearlyTooLarge(Liar):
    size = (1 << 63) - 1


class OddBlocks(Liar):
    sizes = (3, 4096, 65536)


class HugeBlocks(Liar):
    sizes = (1 << 31, 1 << 31, 1 << 31)


class BlocksOverMost(Liar):
    sizes = (4096, 4096, 512)


class Silent(Liar):
    def serve(self, peer):
        while peer.recv(4096):
            pass


class SilentInTheHandshake(Liar):
    def option(self):
        return self.take(1)


class SilentOnRead(Liar):
    def read(self, cookie, offset, length):
        return b""


class SilentOnWrite(Liar):
    def answer(self, kind, cookie, offset, length):
        return b"" if kind == 1 else super().answer(kind, cookie, offset, length)


class ServesTwo(Liar):
    """Further connections wait for the end of these."""
    connections = itertools.count()

    def serve(self, peer):
        if next(self.connections) < 2:
            super().serve(peer)
        Silent().serve(peer)


@case("what a server says of holes is believed only where it can be")
def _(folder):
    out = os.path.join(folder, "out.raw")
    for liar, data in ((Liar, Liar.size), (Beyond, 4096), (NoProgress, Liar.size), (LessThanABlock, Liar.size),
                       (HoleOfOldData, Liar.size), (NoAnswer, Liar.size), (OtherContext, Liar.size), (TwoAnswers, Liar.size // 2)):
        with lying(folder, liar) as server:
            vhdx("convert", "--force", server.uri(), out)
        with open(out, "rb") as file:
            found = file.read()
        assert len(found) == Liar.size and found.count(b"d") == data, (liar.__name__, found.count(b"d"))


@case("answers that cannot be are one error, and nothing is left")
def _(folder):
    out = os.path.join(folder, "out.raw")
    for liar, says in ((HalfOfTheData, "Protocol error"), (NoData, "Protocol error"), (FirstHalfTwice, "Protocol error"), (MoreData, ""), (Garbage, ""),
                       (DataElsewhere, ""), (OtherRequest, ""), (Hangup, "reset"), (TooLarge, "less than 8 EiB"),
                       (NearlyTooLarge, "")):
        for format_option in ("-f", "raw"), ():
            with lying(folder, liar) as server:
                command.fails("convert", *format_option, server.uri(), out, says=says)
            assert not os.path.exists(out), liar.__name__


@case("what the memory held before is not taken for what a server sent")
def _(folder):
    out = os.path.join(folder, "out.raw")
    dirty = {**os.environ, "MALLOC_PERTURB_": "90"}
    with lying(folder, SecondHalfTwice) as server:
        vhdx("convert", "-f", "raw", server.uri(), out, env=dirty)
    with open(out, "rb") as file:
        found = file.read()
    assert found.count(b"d") == found.count(b"\0") == Liar.size // 2, (found.count(b"d"), found.count(b"\0"))


@case("the parts of an answer come in any order")
def _(folder):
    out = os.path.join(folder, "out.raw")
    with lying(folder, SecondHalfFirst) as server:
        vhdx("convert", "-f", "raw", server.uri(), out)
    with open(out, "rb") as file:
        found = file.read()
    assert found.count(b"1") == found.count(b"2") == Liar.size // 2, (found.count(b"1"), found.count(b"2"))


@case("a server that says nothing is one error, and nothing is left")
def _(folder):
    out = os.path.join(folder, "out.raw")
    for liar, says in ((Silent, "did not answer within 1 s"), (SilentInTheHandshake, "did not answer within 1 s"),
                       (SilentOnRead, "timed out")):
        with lying(folder, liar) as server:
            command.fails("convert", "--timeout", "1", server.uri(), out, says=says)
        assert not os.path.exists(out), liar.__name__


@case("a server that takes what is written and says nothing is one error")
def _(folder):
    raw = os.path.join(folder, "in.raw")
    with open(raw, "wb") as file:
        file.write(b"d" * Liar.size)
    with lying(folder, SilentOnWrite) as server:
        command.fails("convert", "--timeout", "1", raw, server.uri(), says="timed out")


@case("connections that a server leaves waiting are done without")
def _(folder):
    out = os.path.join(folder, "out.raw")
    with lying(folder, ServesTwo) as server:
        vhdx("convert", server.uri(), out)
    with open(out, "rb") as file:
        assert file.read() == b"d" * Liar.size


@case("block sizes that cannot be are not taken for true")
def _(folder):
    out = os.path.join(folder, "out.raw")
    for liar in (OddBlocks, HugeBlocks, BlocksOverMost):
        with lying(folder, liar) as server:
            result = command.run([VHDX, "convert", "--force", server.uri(), out], status={0, 1})
            assert result.status or os.path.getsize(out) == Liar.size, str(result)


tap.main()
