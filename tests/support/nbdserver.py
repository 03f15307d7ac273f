# SPDX-License-Identifier: MIT
"""NBD servers of others for one case, on a socket in its folder, and what nbdkit's log says of requests."""
import contextlib
import os
import re
import subprocess
import time

import command
import tap
from command import VHDX

DEADLINE = 30
KIT = tap.tool("nbdkit")


def client():
    """Why NBD cannot be an operand here, or None."""
    result = command.run([VHDX, "compare", "nbd+unix:///?socket=/no/such", "-"], status=2)
    return "the command is built without NBD" if "without NBD" in result.err else None


def case(name, *needs):
    return tap.case(name, KIT, client, *needs)


def wait_until(what, condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"after {DEADLINE} s: {what}"
        time.sleep(0.01)


class Server:
    def __init__(self, process, path):
        self.process = process
        self.path = path

    def uri(self, export="", scheme="nbd", user="", **more):
        query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in {"socket": self.path, **more}.items())
        return f"{scheme}+unix://{user}/{export}?{query}"

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def _running(folder, name, program, *words):
    path, pid = os.path.join(folder, name + ".sock"), os.path.join(folder, name + ".pid")
    for left in (path, pid):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(left)
    argv = [word.format(socket=path, pid=pid) for word in program] + [str(word) for word in words]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(f"{argv[0]} does not listen", lambda: process.poll() is not None or os.path.exists(pid))
            assert process.poll() is None, f"ended with {process.returncode}: {argv}"
            yield Server(process, path)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def nbdkit(folder, *words, name="s"):
    """with nbdkit(folder, "--filter=log", "file", path, ...) as server: ..."""
    return _running(folder, name, ["nbdkit", "-f", "-U", "{socket}", "-P", "{pid}"], *words)


def qemu_nbd(folder, *words, name="q"):
    """As qemu-nbd is by default: for one client at a time."""
    return _running(folder, name, ["qemu-nbd", "-t", "-k", "{socket}", "--pid-file", "{pid}"], *words)


class Log:
    """What the log filter wrote: requests as (connection, operation, offset, count), and how many of an
    operation were in flight at most."""

    LINE = re.compile(r"connection=(\d+) (\.\.\.)?(\w+) id=\d+ (?:offset=(0x[0-9a-f]+) count=(0x[0-9a-f]+))?")

    def __init__(self, path):
        self.requests, self.most = [], {}
        flying = {}
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as file:
            for line in file:
                found = self.LINE.search(line)
                if not found:
                    continue
                connection, ended, operation, offset, count = found.groups()
                flying[operation] = flying.get(operation, 0) + (-1 if ended else 1)
                self.most[operation] = max(self.most.get(operation, 0), flying[operation])
                if not ended:
                    self.requests.append((int(connection), operation, int(offset or "0", 0), int(count or "0", 0)))

    def of(self, operation):
        return [request for request in self.requests if request[1] == operation]

    def bytes(self, operation):
        return sum(request[3] for request in self.of(operation))

    def connections(self, operation):
        return {request[0] for request in self.of(operation)}
