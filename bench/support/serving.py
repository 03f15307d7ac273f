# SPDX-License-Identifier: MIT
"""NBD servers of one image, ours and others', and fio as their client by one connection to a Unix socket."""
import contextlib
import json
import os
import signal
import subprocess
import time

from support.programs import PLUGIN, VHDX, quietly

DEADLINE = 30


def qemu_command(path, socket, pid):
    return ["qemu-nbd", "-f", "vhdx", "-t", "-e", "16", "--cache=writeback",
            f"--aio={os.environ.get('QEMU_AIO', 'threads')}", "-k", socket, f"--pid-file={pid}", path]


def nbdkit_command(plugin):
    return lambda path, socket, pid: ["nbdkit", "-f", "-P", pid, "-U", socket, plugin, f"file={path}"]


# The command, and how an empty image is made.
SERVERS = {
    "vhdx": (nbdkit_command(PLUGIN),
             lambda path, size: quietly(VHDX, "create", "-q", "--force", "--block-size", "2M", path, size)),
    "nbdkit file": (nbdkit_command("file"), lambda path, size: quietly("truncate", "-s", size, path)),
    "qemu-nbd": (qemu_command, lambda path, size: quietly("qemu-img", "create", "-q", "-f", "vhdx", "-o",
                                                          "block_size=2M", path, size)),
}


def known_servers(place):
    return ["vhdx"] + (["qemu-nbd"] if place.have("qemu-nbd") and place.have("qemu-img") else []) + ["nbdkit file"]


class Serving:
    """A server of @path, its socket beside it; started by the command @before, if there is one."""

    def __init__(self, server, path, before=()):
        self.socket, self.pid_file = path + ".sock", path + ".pid"
        self.command = [*before, *SERVERS[server][0](path, self.socket, self.pid_file)]

    def __enter__(self):
        for left in self.socket, self.pid_file:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left)
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            self.pid = self._started()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def _started(self):
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError), open(self.pid_file, encoding="ascii") as file:
                text = file.read()
                if text.endswith("\n"):
                    return int(text)
            time.sleep(0.002)
        raise RuntimeError(f"this does not serve: {' '.join(self.command)}")

    def cpu(self):
        """Seconds it took until now. What comes later, as our flush when the image is closed, is no request's."""
        return time.clock_gettime(~self.pid << 3 | 2)  # the clock of another process: clock_getcpuclockid(3)

    def peak_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))

    def fio(self, *words):
        """What fio tells of its one job."""
        told = quietly("fio", "--name=bench", "--thread", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={self.socket}",
                       "--direct=0", "--output-format=json", *words)
        return json.loads(told[told.index("{"):])["jobs"][0]

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)  # strace would keep a signal to itself
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
