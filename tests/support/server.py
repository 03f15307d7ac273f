# SPDX-License-Identifier: MIT
"""nbdkit with our plugin, as a server that a test starts, asks and stops. What a sanitizer finds in it, in
its log, fails the test."""
import functools
import os
import re
import shutil
import signal
import subprocess
import time

import command
import disks
import judges
import tap
from command import vhdx, vhdx_json

PLUGIN = os.environ.get("VHDX_NBDKIT_PLUGIN", "")
PATIENCE = 60


@functools.lru_cache(None)
def _linked():
    """Libraries of the plugin, by the beginning of their names."""
    done = subprocess.run(["ldd", PLUGIN], capture_output=True, text=True, check=False)
    return dict(re.findall(r"(lib\w+)\S* => (/\S+)", done.stdout))


@functools.lru_cache(None)
def _symbols():
    done = subprocess.run(["nm", "-D", PLUGIN], capture_output=True, text=True, check=False)
    return done.stdout


def sanitizer():
    """The plugin's sanitizer that must be there before nbdkit is: "asan", "tsan" or None."""
    return next((name for name in ("asan", "tsan") if f"__{name}_init" in _symbols()), None)


def served():
    """Why nothing can be served here, or None."""
    if not os.path.exists(PLUGIN):
        return "no plugin (VHDX_NBDKIT_PLUGIN)"
    if not tap.find_tool("nbdkit"):
        return "no nbdkit"
    if sanitizer() and f"lib{sanitizer()}" not in _linked():
        return f"the plugin's {sanitizer()} is no library that nbdkit could load"
    return None


def plain():
    """Clients, too, may wait for ever at their end when a sanitizer's library was loaded into them."""
    return "needs clients that a sanitizer's library may keep from ending" if sanitizer() else None


def environment(**more):
    """That of nbdkit. A sanitizer's library must be loaded before all else; of leaks, it reports nbdkit's."""
    found = {**os.environ, "LC_ALL": "C", **more}
    if sanitizer():
        found["LD_PRELOAD"] = _linked()[f"lib{sanitizer()}"]
        found["ASAN_OPTIONS"] = "detect_leaks=0:" + found.get("ASAN_OPTIONS", "")
    return found


def ended(process):
    """Waits for a server's end; returns its exit status, or None when it had to be killed.

    With a sanitizer's library loaded first, the C library may wait for ever for a lock of its own in an
    exit handler of p11-kit, after nbdkit has closed the disk and unloaded the plugin: that is an end, too."""
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < PATIENCE:
        time.sleep(0.005)
        if sanitizer() and time.monotonic() - begin > 5 and not _serves(process.pid):
            process.kill()
            process.wait()
            return 0
    if process.poll() is None:
        process.kill()
        process.wait()
        return None
    return process.returncode


def _serves(pid):
    """More than one thread, or a disk that is open."""
    files = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd") if os.path.islink(entry.path)]
    return len(os.listdir(f"/proc/{pid}/task")) > 1 or any(name.endswith(".vhdx") for name in files)


def argv(*words, readonly=False):
    return ["nbdkit", "--foreground", *(["--readonly"] if readonly else []), *map(os.fspath, words)]


class Server:
    """nbdkit on a Unix socket of its own. @options: nbdkit's; @words: parameters of the plugin and of
    filters; @command: what to run instead (`vhdx serve`...)."""

    def __init__(self, folder, *words, options=(), readonly=False, command=None, name="nbd", wait=True, **more):
        self.socket = os.path.join(folder, f"{name}.sock")
        self.log_path = os.path.join(folder, f"{name}.log")
        pid_file = os.path.join(folder, f"{name}.pid")
        for path in (self.socket, pid_file):
            if os.path.exists(path):
                os.unlink(path)
        common = ["-P", pid_file, "-U", self.socket]
        line = argv(*common, *options, PLUGIN, *words, readonly=readonly)
        if command:
            line = [word for part in command for word in (
                [self.socket] if part == "SOCKET" else [pid_file] if part == "PIDFILE" else [os.fspath(part)])]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment(), **more)
        if wait:
            self._wait_for(pid_file)

    def _wait_for(self, pid_file):
        """nbdkit writes its number when it listens."""
        begin = time.monotonic()
        while not os.path.exists(pid_file) or not os.path.getsize(pid_file):
            if self.process.poll() is not None or time.monotonic() - begin > PATIENCE:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"nbdkit does not listen: {self.process.returncode}\n{self.log()}")
            time.sleep(0.01)

    @property
    def uri(self):
        return f"nbd+unix:///?socket={self.socket}"

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")

    def says(self, pattern):
        """Its log has such a line, which is returned."""
        found = re.search(f"^.*{pattern}.*$", self.log(), re.MULTILINE)
        assert found, f"no line '{pattern}' in the log:\n{self.log()[-3000:]}"
        return found.group(0)

    def wait_for_line(self, pattern):
        begin = time.monotonic()
        while not re.search(pattern, self.log()):
            assert self.process.poll() is None, f"ended: {self.log()}"
            assert time.monotonic() - begin < PATIENCE, f"never said '{pattern}':\n{self.log()[-3000:]}"
            time.sleep(0.02)

    def memory(self):
        """Its resident memory, in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) << 10

    def descriptors(self):
        """What it has open, a file once: flushes that run at once open the image more often."""
        files, others = set(), 0
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                target = os.readlink(f"/proc/{self.pid}/fd/{number}")
            except FileNotFoundError:
                continue
            if target.startswith("/"):
                files.add(target)
            else:
                others += 1
        return others + len(files)

    def wait(self):
        status = ended(self.process)
        if status is None:
            raise AssertionError(f"the server does not end:\n{self.log()[-3000:]}")
        self.judge()
        return status

    def stop(self, number=signal.SIGTERM):
        """Asks it to end, and returns its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def judge(self):
        assert not re.search(r"Sanitizer|runtime error:", self.log()), self.log()[:6000]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        ended = self.process.poll()
        if kind:
            self.kill()
            print(f"# the server ended before: {ended}\n" if ended is not None else "",
                  *(f"# log: {line}\n" for line in self.log().splitlines()[-20:]), sep="", end="")
            return
        if ended is not None:
            return
        status = self.stop()
        assert status == 0, f"exit status {status}:\n{self.log()[-3000:]}"


def refuses(folder, *words, says, readonly=False, options=()):
    """nbdkit with these parameters says one line, ours, and ends before it serves."""
    line = argv("-U", os.path.join(folder, "no.sock"), *options, PLUGIN, *words, readonly=readonly)
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=environment()) as process:
        status = ended(process)
        lines = process.stderr.read().splitlines()
    assert status == 1 or sanitizer() and status == 0, (line, status, lines)
    assert len(lines) == 1 and lines[0].startswith("nbdkit: ") and re.search(says, lines[0]), lines
    return lines[0]


def clean(path, *allowed):
    """The disk was closed well; free space inside the file, a hole, is no fault."""
    found = vhdx_json("info", "--json", path)["vhdx"]
    assert found["log-state"] == "clean" and not int(found["log-guid"].replace("-", ""), 16), found
    status, problems = command.check(path)
    assert status in (0, 3) and not {*problems} - {"SPACE_LEAKED", "SPACE_UNUSED", *allowed}, (status, problems)
    if not judges.lint_there():
        judges.lint(path)


def contents(path, folder):
    raw = os.path.join(folder, "contents.raw")
    vhdx("convert", "--no-sync", "--force", path, raw)
    found = disks.digest(raw)
    os.unlink(raw)
    return found


def has(*filters):
    """nbdkit's filters that a case needs."""
    def need():
        done = subprocess.run(["nbdkit", "--dump-config"], capture_output=True, text=True, check=False) \
            if shutil.which("nbdkit") else None
        where = re.search(r"^filterdir=(.*)$", done.stdout, re.MULTILINE).group(1) if done else ""
        for name in filters:
            if not os.path.exists(os.path.join(where, f"nbdkit-{name}-filter.so")):
                return f"no nbdkit filter {name}"
        return None
    return need
