#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that are many, rude or gone are served or refused; the server stays as large as it was, and the
disk is clean afterwards."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import random
import signal
import struct
import time

import command
import nbdclient
import tap
from command import vhdx
from disks import KIB, MIB, noise
from nbdclient import Client, Gone, NbdError, error_of, header
from server import Server, clean, sanitizer, served

SIZE = 64 * MIB
CONNECTS = 2000
# What the allocator may keep, and a sanitizer's quarantine and bookkeeping of threads.
GROWTH_MAX = 2 * MIB
GROWTH_MAX_SANITIZED = 300 * MIB


def create(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--block-size", "1M", path, str(SIZE))
    return path


def settled(server, descriptors):
    """Waits until nbdkit has noticed that its clients went."""
    begin = time.monotonic()
    while server.descriptors() > descriptors:
        assert time.monotonic() - begin < 60, f"{server.descriptors()} descriptors, expected {descriptors}"
        time.sleep(0.01)


class Level:
    """What a server has now: it must have no more at the end."""

    def __init__(self, server):
        self.server = server
        self.descriptors, self.memory = server.descriptors(), server.memory()

    def judge(self):
        settled(self.server, self.descriptors)
        growth = self.server.memory() - self.memory
        assert growth < (GROWTH_MAX_SANITIZED if sanitizer() else GROWTH_MAX), f"{growth / KIB:.0f} KiB more"


def resting(server):
    """The descriptors of a server without clients, when they have been as many for a while."""
    count, looks = server.descriptors(), 0
    while looks < 50:
        time.sleep(0.01)
        now = server.descriptors()
        count, looks = now, looks + 1 if now == count else 0
    return count


def warmed(server, times, one):
    """The level of a server that has done @one some times. A sanitizer's level is not looked at so closely."""
    one()  # what it opens for the first client stays open
    before = resting(server)
    for _ in range(-(-times // tap.sampling())):
        one()
    settled(server, before)
    return Level(server)


@tap.case(f"{CONNECTS} connects and disconnects leave memory and descriptors level", served)
def _(folder):
    path = create(folder)
    chance = random.Random("connects")
    with Server(folder, path) as server:
        def one():
            client = Client(server.socket)
            at = chance.randrange(SIZE // 4096) * 4096
            client.write(at, noise("page", 4096))
            assert client.read(at, 4096) == noise("page", 4096)
            if chance.random() < 0.5:
                client.put(header(nbdclient.DISCONNECT, 0, 0))
            client.close()
        # Until all blocks are there, for what is known of them takes memory.
        with Client(server.socket) as client:
            for at in range(0, SIZE, MIB):
                client.write(at, b"there")
        level = warmed(server, 200, one)
        for _ in range(CONNECTS // tap.sampling()):
            one()
        level.judge()
    clean(path)


@tap.case("64 connections are served at once, and each sees what the others wrote", served)
def _(folder):
    path = create(folder)
    with Server(folder, path) as server:
        def many():
            clients = [Client(server.socket) for _ in range(64)]
            for number, client in enumerate(clients):
                client.send(nbdclient.WRITE, number * MIB + 4096, data=noise(f"{number}", 4096))
            for client in clients:
                client.receive()
            for number, client in enumerate(clients):
                assert clients[63 - number].read(number * MIB + 4096, 4096) == noise(f"{number}", 4096)
                assert not [error for error, _ in client.answers.values() if error]
            clients[0].flush()
            for client in clients:
                client.close()
        level = warmed(server, 3, many)
        many()
        level.judge()
    clean(path)


# ---- Clients that go away

def half_a_header(client):
    client.put(header(nbdclient.READ, 0, 4096)[:13])


def half_a_payload(client):
    client.put(header(nbdclient.WRITE, 0, MIB) + noise("half", MIB // 2))


def reads_outstanding(client):
    for at in range(64):
        client.send(nbdclient.READ, at * MIB // 2, 256 * KIB)


def writes_outstanding(client):
    for at in range(16):
        client.send(nbdclient.WRITE, at * MIB, data=noise("gone", 64 * KIB))


def all_kinds_outstanding(client):
    for at in range(8):
        client.send(nbdclient.WRITE, at * MIB, data=noise("gone", 4096))
        client.send(nbdclient.ZEROES, at * MIB, MIB // 2, flags=nbdclient.FUA)
        client.send(nbdclient.TRIM, at * MIB, MIB)
        client.send(nbdclient.FLUSH)


def extents_outstanding(client):
    for _ in range(32):
        client.send(nbdclient.STATUS, 0, SIZE)


GOING = (half_a_header, half_a_payload, reads_outstanding, writes_outstanding, all_kinds_outstanding)


def prepared(server):
    with Client(server.socket) as client:
        for at in range(0, SIZE, MIB):
            client.write(at, noise("there", 4096))
        client.write(SIZE - 4096, noise("kept", 4096), nbdclient.FUA)


def leaves(server, how):
    def one():
        client = Client(server.socket)
        how(client)
        client.close()
    return one


for each in GOING:
    @tap.case(f"a client that goes with {each.__name__.replace('_', ' ')} leaves nothing behind", served)
    def _(folder, how=each):
        path = create(folder)
        # One request of a connection at a time: see below.
        with Server(folder, path, options=["--threads=1"]) as server:
            prepared(server)
            one = leaves(server, how)
            level = warmed(server, 50, one)
            for _ in range(200 // tap.sampling()):
                one()
            level.judge()
            with Client(server.socket) as client:
                assert client.read(SIZE - 4096, 4096) == noise("kept", 4096)
        clean(path)


@tap.case("clients that go amid many answers leave a sound disk, even where nbdkit fails", served)
def _(folder):
    path = create(folder)
    for how in (*GOING, extents_outstanding):
        server = Server(folder, path)
        prepared(server)
        try:
            for _ in range(100 // tap.sampling()):
                leaves(server, how)()
            status = server.stop()
        except (Gone, ConnectionError):
            status = server.wait()
        # nbdkit 1.32 itself aborts, with any plugin, when two answers are on their way to a client that went.
        if status:
            assert status == -signal.SIGABRT and "raw_send_socket: Assertion" in server.log(), server.log()
        assert command.check(path)[0] in (0, 3), (how.__name__, command.check(path))
        with Server(folder, path) as server, Client(server.socket) as client:
            assert client.read(SIZE - 4096, 4096) == noise("kept", 4096)
        clean(path, "FILE_TRAILING_SPACE")


@tap.case("a write of which half came changes nothing", served)
def _(folder):
    path = create(folder)
    with Server(folder, path) as server:
        with Client(server.socket) as client:
            client.write(0, noise("before", MIB))
        descriptors = server.descriptors()
        client = Client(server.socket)
        half_a_payload(client)
        client.close()
        settled(server, descriptors)
        with Client(server.socket) as client:
            assert client.read(0, MIB) == noise("before", MIB)
    clean(path)


# ---- Requests that make no sense

def answer_to(server, kind, offset, length, data=b"", flags=0, **more):
    """The errno of a request, or None when the server closes the connection instead."""
    with Client(server.socket) as client:
        try:
            client.handle = 1
            client.sent[1] = kind, offset, length
            client.put(header(kind, offset, length, flags=flags, **more) + data)
            return error_of(client.wait, 1)
        except Gone:
            return None


def too_long_a_write(server, length):
    """Its payload does not come, but as much of what follows as the server may take for it."""
    with Client(server.socket, timeout=1) as client:
        client.put(header(nbdclient.WRITE, 0, length))
        try:
            client.put(bytes(MIB))
            client.sent[1] = nbdclient.WRITE, 0, length
            assert error_of(client.wait, 1), "done"
        except (Gone, TimeoutError):
            pass


def still_serves(server):
    with Client(server.socket) as client:
        assert client.read(MIB, 4096) == noise("kept", 4096)


@tap.case("requests that are over-long, out of range or unknown are refused", served)
def _(folder):
    path = create(folder)
    with Server(folder, path) as server:
        with Client(server.socket) as client:
            client.write(MIB, noise("kept", 4096))
        level = Level(server)
        for length in (64 * MIB + 1, 1 << 30, (1 << 32) - 1):
            assert answer_to(server, nbdclient.READ, 0, length) not in (0,), length
            too_long_a_write(server, length)
        for kind in (nbdclient.READ, nbdclient.TRIM, nbdclient.ZEROES, nbdclient.STATUS, nbdclient.CACHE):
            for offset, length in ((SIZE, 512), (SIZE - 512, 1024), ((1 << 64) - 1, 1), (1 << 63, 4096)):
                assert answer_to(server, kind, offset, length) not in (0, None), (kind, offset, length)
        for kind in (8, 99, 0xFFFF):
            assert answer_to(server, kind, 0, 512) not in (0, None), kind
        assert answer_to(server, nbdclient.READ, 0, 512, flags=0xFFF0) not in (0, None)
        assert answer_to(server, nbdclient.READ, 0, 512, magic=0xDEADBEEF) is None
        still_serves(server)
        level.judge()
    clean(path)


@tap.case("requests of nothing do nothing", served)
def _(folder):
    path = create(folder)
    with Server(folder, path) as server:
        with Client(server.socket) as client:
            client.write(MIB, noise("kept", 4096))
        for kind in (nbdclient.READ, nbdclient.WRITE, nbdclient.TRIM, nbdclient.ZEROES, nbdclient.STATUS):
            answer_to(server, kind, MIB, 0)
        still_serves(server)
    clean(path)


def wrong_options(client):
    """Options as no client sends them, each on a new connection."""
    name = struct.pack(">I", 0)
    yield lambda: client().option(99)
    yield lambda: client().option(nbdclient.OPT_GO, b"")
    yield lambda: client().option(nbdclient.OPT_GO, struct.pack(">I", 1 << 31) + b"x")
    yield lambda: client().option(nbdclient.OPT_GO, name + struct.pack(">H", 0xFFFF))
    yield lambda: client().option(nbdclient.OPT_GO, struct.pack(">I", 4096) + b"n" * 4096 + b"\0\0")
    yield lambda: client().option(nbdclient.OPT_SET_META, name + struct.pack(">II", 1, 15) + b"base:allocation")
    yield lambda: client().option(nbdclient.OPT_LIST_META, name + struct.pack(">I", 1 << 30))
    yield lambda: client().option(nbdclient.OPT_GO, b"", length=(1 << 32) - 1)
    yield lambda: client().put(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    yield lambda: client().put(struct.pack(">QII", nbdclient.OPTION_MAGIC, nbdclient.OPT_GO, 100) + b"half")


@tap.case("bad options and bad magic are refused", served)
def _(folder):
    path = create(folder)
    with Server(folder, path) as server:
        with Client(server.socket) as client:
            client.write(MIB, noise("kept", 4096))

        def rude():
            opened = []

            def client():
                opened.append(Client(server.socket, go=False, timeout=0.2))
                return opened[-1]
            for act in wrong_options(client):
                try:
                    act()
                except (Gone, NbdError, TimeoutError):
                    pass
            for one in opened:
                one.close()
        level = warmed(server, 2, rude)
        rude()
        still_serves(server)
        level.judge()
    clean(path)


tap.main()
