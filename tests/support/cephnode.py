# SPDX-License-Identifier: MIT
"""A Ceph cluster of one node: a monitor and one OSD on this machine, in a folder of their own. It ends with the script
that started it, however that ends. Cases that say so share one, which starts when the first of them needs it."""
import atexit
import contextlib
import functools
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import command
import disks
import judges
import killing
import tap
from command import VHDX

POOL = "pool"
OBJECT = 4 << 20
PATIENCE = 60
MOST_EXPORTED = 16 << 30
# How long it takes the cluster to count a client for dead that says nothing: by default 30 s, and living ones speak
# each 5 s.
WATCH_SECONDS = 10
QUICK = f"""
[client]
objecter_tick_interval = 1
[osd]
osd_client_watch_timeout = {WATCH_SECONDS}
"""
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "rados", "rbd")

# Waits until whoever holds the other end of the pipe has ended, and then ends the cluster.
GUARD = "import os,subprocess,sys;os.read(0,1);sys.exit(subprocess.call(sys.argv[1:]))"


def script(name):
    return os.path.join(judges.TOOLS, "ceph", name)


def installed():
    """Why there can be no cluster here, or None."""
    if not judges.TOOLS or not os.path.exists(script("up.sh")):
        return "no ceph/up.sh beside the images"
    return tap.tool(*PROGRAMS)()


def client():
    """Why RBD cannot be an operand here, or None."""
    result = command.run([VHDX, "compare", "rbd:pool/image", "-"], status=None,
                         env={**os.environ, "CEPH_CONF": "/no/such"})
    if "without Ceph" in result.err:
        return "the command is built without Ceph RBD"
    return "Ceph's libraries cannot be loaded" if re.search(r"lib(rados|rbd)\.so", result.err) else None


def case(name, *needs, always=False):
    """A case that is given its folder and the cluster: in full test runs only, unless always."""
    def register(function):
        def run(folder):
            with cluster() as ready:
                function(folder, ready)
        tap.add(name, run, *([] if always else [tap.whole]), installed, client, *needs)
        return function
    return register


def wait_until(what, condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"after {patience} s: {what}"
        time.sleep(0.02)


def free_port():
    """One below those that the kernel gives to clients, with room above it for the OSD's."""
    chance = random.Random()
    while True:
        port = chance.randrange(210, 320) * 100
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _space():
    """In memory where there is room, so that what an OSD flushes need not wait for a disk."""
    memory = os.access(killing.MEMORY, os.W_OK) and shutil.disk_usage(killing.MEMORY).free > 4 << 30
    return tempfile.mkdtemp(prefix="vhdx-test.", dir=killing.MEMORY if memory else None)


class Cluster:
    def __init__(self):
        self.top = _space()
        self.folder = os.path.join(self.top, "ceph")
        self.env = {**os.environ, "CEPH_CONF": os.path.join(self.folder, "ceph.conf"), "CEPH_ARGS": ""}
        reading, self.life = os.pipe()
        with open(os.devnull, "wb") as nowhere:
            self.guard = subprocess.Popen([sys.executable, "-I", "-S", "-c", GUARD, "bash", "-c",
                                           '"$1" "$2"; rm -rf --one-file-system "$3"', "guard", script("down.sh"),
                                           self.folder, self.top],
                                          stdin=reading, stdout=nowhere, stderr=nowhere, start_new_session=True)
        os.close(reading)
        atexit.register(self.end)
        self._start()
        self.ready()

    def _start(self):
        for left in reversed(range(3)):
            more = {"PORT": str(free_port()), "POOL": POOL, "STORE": "bluestore", "SIZE_GB": "8", "OSDS": "1"}
            # Nothing of the script's may stay open in daemons.
            result = command.run([script("up.sh"), self.folder], status=None if left else 0,
                                 env={**self.env, **more})
            if not result.status:
                break
        with open(self.conf(), "a", encoding="utf-8") as conf:
            conf.write(QUICK)
        self.set_osd("osd_client_watch_timeout", WATCH_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        atexit.unregister(self.end)
        os.close(self.life)
        self.guard.wait()

    def conf(self):
        return self.env["CEPH_CONF"]

    def run(self, *words, **how):
        return command.run(words, env=self.env, **how).out

    def rbd(self, *words, **how):
        return self.run("rbd", *words, **how)

    def vhdx(self, *words, **how):
        return command.vhdx(*words, env=self.env, **how)

    def fails(self, *words, **how):
        how.setdefault("env", self.env)
        return command.fails(*words, **how)

    def start(self, *words, **more):
        return command.start([VHDX, *words], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)

    def images(self, where=POOL):
        return sorted(self.rbd("ls", where).splitlines())

    def digest(self, image):
        """(digest, size) of an image or snapshot, as Ceph's own command reads it."""
        raw = os.path.join(self.top, "exported.raw")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(raw)
        if self.info(image)["size"] <= MOST_EXPORTED:
            self.rbd("export", "--no-progress", image, raw)
        else:
            self._export_data(image, raw)
        return disks.digest(raw), os.path.getsize(raw)

    def _export_data(self, image, raw):
        """A whole export would take minutes for holes. Of this one, each record is a letter and 64-bit numbers."""
        with subprocess.Popen(["rbd", "export-diff", "--no-progress", image, "-"], env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process, open(raw, "wb") as out:
            stream = process.stdout
            assert stream.readline() == b"rbd diff v1\n", image
            while (kind := stream.read(1)) not in (b"e", b""):
                if kind == b"t":  # a snapshot's name
                    stream.read(struct.unpack("<I", stream.read(4))[0])
                elif kind == b"s":
                    out.truncate(struct.unpack("<Q", stream.read(8))[0])
                else:
                    offset, length = struct.unpack("<QQ", stream.read(16))
                    out.seek(offset)
                    out.write(stream.read(length) if kind == b"w" else b"")
        assert not process.returncode, image

    def holds(self, image, model):
        assert self.digest(image) == (model.digest(), model.size), f"{image} reads otherwise"

    def used(self, image):
        """Bytes of the objects that are there."""
        return json.loads(self.rbd("du", "--format=json", image))["images"][0]["used_size"]

    def info(self, image):
        return json.loads(self.rbd("info", "--format=json", image))

    def clean(self):
        """Ends with an empty pool whatever a case left, so that no case sees another's images. Those of killed
        clients can be removed when the cluster counts these for dead."""
        spaces = [space["name"] for space in json.loads(
            self.rbd("namespace", "ls", "--format=json", POOL, timeout=PATIENCE))]
        for pool in [f"{POOL}/{name}" for name in spaces] + [POOL]:
            wait_until(f"{pool} has images that cannot be removed", lambda where=pool: self._emptied(where))
        for name in spaces:
            self.rbd("namespace", "rm", f"{POOL}/{name}")

    def _emptied(self, pool):
        """Clones go before what they were made of: the names of these come first."""
        for image in reversed(self.images(pool)):
            for snap in json.loads(self.rbd("snap", "ls", "--format=json", f"{pool}/{image}", status=None) or "[]"):
                self.rbd("snap", "unprotect", f"{pool}/{image}@{snap['name']}", status=None)
            self.rbd("snap", "purge", "--no-progress", f"{pool}/{image}", status=None)
            self.rbd("rm", "--no-progress", f"{pool}/{image}", status=None)
        return not self.images(pool)

    def _asked(self, prefix, **more):
        """What the OSD answers on its admin socket: a length, then JSON, if anything."""
        with socket.socket(socket.AF_UNIX) as ask:
            ask.connect(os.path.join(self.folder, "osd.0.asok"))
            ask.sendall(json.dumps({"prefix": prefix, "format": "json", **more}).encode() + b"\0")
            with ask.makefile("rb") as answer:
                return json.loads(answer.read(struct.unpack(">I", answer.read(4))[0]) or "null")

    def set_osd(self, name, value):
        """An option of the OSD, until it is started again."""
        found = self._asked("config set", var=name, val=[str(value)])
        assert "success" in found, found

    def counters(self):
        """What the OSD has done since its start, and how many messages it got."""
        found = self._asked("perf dump")
        workers = [part for name, part in found.items() if name.startswith("AsyncMessenger::Worker")]
        return {**found["osd"], "messages": sum(part["msgr_recv_messages"] for part in workers)}

    def osd(self):
        with open(os.path.join(self.folder, "osd.0.pid"), encoding="ascii") as file:
            return int(file.read())

    def kill_osd(self):
        """Its port is closed from then on. Where there are more of them, they tell the monitor at once; here nobody
        would, and clients would look for it at its old port."""
        osd = os.pidfd_open(self.osd())
        try:
            signal.pidfd_send_signal(osd, signal.SIGKILL)
            # Its memory goes before its locks, without which no other can be started: the end is when both are gone.
            assert select.select([osd], [], [], PATIENCE)[0], "the OSD does not end"
        finally:
            os.close(osd)
        self.run("ceph", "osd", "down", "0", "--definitely-dead")

    def start_osd(self):
        command.run(["ceph-osd", "-c", self.conf(), "-i", "0"], env=self.env)

    @contextlib.contextmanager
    def without_osd(self):
        """Nothing answers the requests for data meanwhile; the monitor does."""
        self.kill_osd()
        try:
            yield
        finally:
            self.start_osd()
            self.ready()

    @contextlib.contextmanager
    def stopped_osd(self):
        """It holds its connections, and says nothing."""
        pid = self.osd()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
            self._join_again()

    def _join_again(self):
        """Of an OSD that stood still: its leases to answer reads have run out, others would renew them, and it has
        none. What comes first then waits in it for good; told that it was down, it begins anew."""
        self.set_osd("osd_max_markdown_count", 1000)
        self.run("ceph", "osd", "down", "0")
        self.ready()

    @contextlib.contextmanager
    def full(self):
        """Its pools are full, whatever they hold."""
        try:
            self._claim_full("full", True)
            yield
        finally:
            self._claim_full("none", False)

    def _claim_full(self, kind, expected):
        self._asked("injectfull", type=kind, count=-1)
        wait_until("the monitor does not say so", lambda: expected == any(
            "full" in pool["flags_names"].split(",")
            for pool in json.loads(self.run("ceph", "osd", "pool", "ls", "detail", "--format=json"))))

    def ready(self):
        """Data can be had again."""
        wait_until("the pool does not answer", lambda: subprocess.run(
            ["timeout", "5", "rbd", "ls", POOL], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=False).returncode == 0)


@functools.lru_cache(None)
def _only():
    return Cluster()


@contextlib.contextmanager
def cluster():
    """The script's, with an empty pool. One that does not answer any more is not for the next case."""
    ready = _only()
    try:
        yield ready
    finally:
        try:
            ready.clean()
        except Exception:
            _only.cache_clear()
            ready.end()
            raise
