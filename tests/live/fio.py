#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fio, over four connections and with 32 requests in flight each, reads back what it wrote, also after the
server was killed: all that was flushed."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import random
import struct
import subprocess
import threading
import time

import command
import nbdclient
import tap
from command import vhdx
from disks import MIB, noise
from nbdclient import Client, Gone
from server import Server, clean, served

SIZE = 256 * MIB
# Each kind's options of `vhdx create`, and of fio's sizes of requests.
KINDS = {
    "dynamic, 512": (["--block-size", "1M"], "512-64k"),
    "dynamic, 4096": (["--block-size", "2M", "--sector-size", "4096"], "4k-128k"),
    "fixed, 512": (["--type", "fixed"], "4k-64k"),
    "child, 512": (["--block-size", "1M"], "512-64k"),
}


def nbd_engine():
    if not tap.find_tool("fio"):
        return "no fio"
    return None if "\tnbd\n" in command.run(["fio", "--enghelp"]).out else "fio without its nbd engine"


FIO = (served, nbd_engine)


def create(folder, kind):
    path, options = os.path.join(folder, "disk.vhdx"), KINDS[kind][0]
    if kind.startswith("child"):
        base = os.path.join(folder, "base.vhdx")
        vhdx("create", base, str(SIZE))
        with Server(folder, base) as server, Client(server.socket) as client:
            for at in range(0, SIZE, 32 * MIB):
                client.write(at, noise(f"base {at}", MIB))
        vhdx("create", "--parent", base, *options, path)
    else:
        vhdx("create", *options, path, str(SIZE))
    return path


def job(server, name, *options, jobs=4, size=SIZE):
    """fio's line for a job of @jobs connections, each in its own part of the first @size bytes."""
    part = size // jobs
    return ["fio", "--output-format=json", "--ioengine=nbd", f"--uri={server.uri}", f"--name={name}",
            f"--numjobs={jobs}", "--group_reporting", f"--size={part}", f"--offset_increment={part}",
            "--iodepth=32", "--randrepeat=1", "--allrandrepeat=1", "--verify=crc32c", "--verify_fatal=1",
            "--verify_state_save=0", *options]


def fio(*line, status=0, **more):
    """Runs it; returns what it did: (bytes read, bytes written)."""
    result = command.run(job(*line, **more), status=status)
    done = json.loads(result.out[result.out.index("{"):])["jobs"]
    assert status or not [one for one in done if one["error"]], result.out[:2000]
    return sum(one["read"]["io_bytes"] for one in done), sum(one["write"]["io_bytes"] for one in done)


def share(size):
    """Less under sanitizers."""
    return size // min(8, tap.sampling()) // MIB * MIB


for each in KINDS:
    @tap.case(f"fio verifies what it wrote at random, in sizes of all kinds ({each})", *FIO)
    def _(folder, kind=each):
        path, sizes = create(folder, kind), KINDS[kind][1]
        with Server(folder, path) as server:
            words = ("mixed", "--rw=randwrite", f"--bsrange={sizes}", "--bs_unaligned=0", "--fsync=64",
                     f"--io_size={share(24 * MIB)}")
            read, written = fio(server, *words, "--do_verify=1")
            assert written >= 4 * share(20 * MIB) and read >= written // 2, (read, written)
        clean(path)
        # A new server, which reads from the file what the other left there.
        with Server(folder, path, readonly=True) as server:
            assert fio(server, *words, "--verify_only=1")[0] >= written // 2
        clean(path)


@tap.case("fio reads and writes at once, and trims", *FIO)
def _(folder):
    path = create(folder, "dynamic, 512")
    with Server(folder, path) as server:
        fio(server, "both", "--rw=randrw", "--bs=4k", "--fsync=32", f"--io_size={share(16 * MIB)}")
        fio(server, "trims", "--rw=randtrimwrite", "--bs=64k", "--verify=0", f"--io_size={share(16 * MIB)}")
    clean(path)


# ---- Killed

for each in KINDS:
    @tap.case(f"what fio wrote and flushed is there when the server is killed during more ({each})", *FIO)
    def _(folder, kind=each):
        path, sizes = create(folder, kind), KINDS[kind][1]
        first = ("first", "--rw=randwrite", f"--bsrange={sizes}", "--end_fsync=1",
                 f"--io_size={share(8 * MIB)}", "--do_verify=0")
        server = Server(folder, path)
        fio(server, *first, size=SIZE // 2)
        # The rest goes on without an end, and never touches the first half.
        second = command.start(
            ["fio", "--ioengine=nbd", f"--uri={server.uri}", "--name=second", "--numjobs=4", "--iodepth=32",
             "--rw=randwrite", f"--bsrange={sizes}", "--fsync=16", f"--offset={SIZE // 2}",
             f"--size={SIZE // 2}", "--time_based", "--runtime=600"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_growth(path, second)
        server.kill()
        second.kill()
        second.wait()
        status, problems = command.check(path)
        assert status in (0, 3), (status, problems)
        with Server(folder, path, readonly=True) as server:
            fio(server, *first, "--verify_only=1", size=SIZE // 2)
        vhdx("replay", path)
        status, problems = command.check(path)
        assert status in (0, 3) and "LOG_DIRTY" not in problems, (status, problems)
        with Server(folder, path) as server:
            fio(server, *first, "--verify_only=1", size=SIZE // 2)
        clean(path, "FILE_TRAILING_SPACE")


def wait_for_growth(path, process):
    """Until the other's writes have come to the file, so that a kill hits it in the middle."""
    begin = os.stat(path).st_mtime_ns
    seen = {begin}
    while len(seen) < 20:
        assert process.poll() is None, "fio ended"
        seen.add(os.stat(path).st_mtime_ns)
        time.sleep(0.001)


class Writer(threading.Thread):
    """A connection that writes its own pages with numbers that grow, and notes what a flush promised."""

    def __init__(self, path, lane, lanes, before):
        super().__init__(daemon=True)
        self.client, self.lane, self.lanes = Client(path), lane, lanes
        self.sent, self.promised = dict(before), dict(before)  # by page: the last number sent, and flushed
        self.flushes = 0
        self.failure = None

    def run(self):
        number = max(self.sent.values(), default=0)
        chance = random.Random(f"{self.lane} {number}")
        try:
            while True:
                # Each but once: of two writes of one page that are under way, either may be the last.
                for page in chance.sample(range(SIZE // 4096 // self.lanes), chance.randrange(1, 24)):
                    number += 1
                    place = page * self.lanes + self.lane
                    self.sent[place] = number
                    self.client.send(nbdclient.WRITE, place * 4096, data=sector(place, number) * 8)
                self.take_answers()
                written = dict(self.sent)
                self.client.flush()
                self.promised = written
                self.flushes += 1
        except Gone:
            pass
        except Exception as error:  # the case tells of it
            self.failure = error

    def take_answers(self):
        while self.client.sent:
            assert not self.client.answers.pop(self.client.receive())[0]


def sector(place, number):
    return struct.pack("<QQ", place, number) * 32


def number_in(found, place, original):
    if found == original:
        return 0
    number = struct.unpack("<Q", found[8:16])[0]
    assert found == sector(place, number), f"page {place}: foreign bytes {found[:32].hex()}"
    return number


def judge(client, writer, original):
    """Each sector holds what was flushed last, or something later that was sent; returns by page what."""
    numbers = {}
    for place, last in writer.sent.items():
        found, before, least = client.read(place * 4096, 4096), original(place), writer.promised.get(place, 0)
        seen = [number_in(found[at:at + 512], place, before[at:at + 512]) for at in range(0, 4096, 512)]
        assert least <= min(seen) and max(seen) <= last, f"page {place}: {seen}, expected {least} to {last}"
        numbers[place] = min(seen)
    return numbers


def original_of(kind):
    if not kind.startswith("child"):
        return lambda place: bytes(4096)

    def page(place):
        first = place * 4096 // (32 * MIB) * 32 * MIB
        return noise(f"base {first}", MIB)[place * 4096 - first:][:4096].ljust(4096, b"\0")
    return page


for each in ("dynamic, 512", "fixed, 512", "child, 512"):
    @tap.case(f"what any of four connections flushed is there when the server is killed ({each})", served)
    def _(folder, kind=each):
        path, before = create(folder, kind), [{} for _ in range(4)]
        for _ in range(3):
            server = Server(folder, path)
            writers = [Writer(server.socket, lane, 4, before[lane]) for lane in range(4)]
            for writer in writers:
                writer.start()
            while min(writer.flushes for writer in writers) < 20:
                assert all(writer.is_alive() for writer in writers), [writer.failure for writer in writers]
                time.sleep(0.01)
            server.kill()
            for writer in writers:
                writer.join()
                assert not writer.failure, writer.failure
            assert command.check(path)[0] in (0, 3), command.check(path)
            with Server(folder, path, readonly=True) as server, Client(server.socket) as client:
                before = [judge(client, writer, original_of(kind)) for writer in writers]


tap.main()
