# SPDX-License-Identifier: MIT
"""Where programs are: ours, peers, and tools of the bench; and how long one takes, on how much memory."""
import os
import shutil
import subprocess
import sys
import time

from support.row import Sample

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VHDX_BUILD") or os.path.join(ROOT, "build"))
VHDX = os.environ.get("VHDX") or os.path.join(BUILD, "cli", "vhdx")
PLUGIN = os.environ.get("PLUGIN") or os.path.join(BUILD, "nbdkit", "nbdkit-vhdx-plugin.so")
VHDXIO = os.environ.get("VHDXIO") or os.path.join(BUILD, "tests", "tools", "vhdxio")


def tool(name):
    return os.path.join(BUILD, "bench", name)


def find(program):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path)


def quietly(*words, **more):
    """Runs what is not measured; its standard error is in the exception's text."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def timed(command, stdout=None, then=None, cwd=None):
    """A Sample of that command. @then: a command that comes after it, and whose time counts too."""
    if stdout is None:
        stdout = subprocess.DEVNULL
    reading, writing = os.pipe()
    process = None
    try:
        with subprocess.Popen([tool("launch"), str(writing), *map(os.fspath, command)], pass_fds=[writing],
                              stdin=subprocess.DEVNULL, stdout=stdout, cwd=cwd) as process:
            os.close(writing)
            writing = None
            with os.fdopen(reading, closefd=False) as answer:
                words = answer.read().split()
    finally:
        os.close(reading)
        if writing is not None:
            os.close(writing)
    if process.returncode or len(words) != 3:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {process.returncode}")
    sample = Sample(float(words[0]), int(words[1]) / 1024, float(words[2]))
    if then:
        start = time.perf_counter()
        subprocess.run(then, check=True)
        sample.value += time.perf_counter() - start
    return sample


class Missing:
    """Programs that were asked for and are not there: each is told once."""

    def __init__(self):
        self.names = set()

    def have(self, program):
        if find(program):
            return True
        if program not in self.names:
            self.names.add(program)
            print(f"no {program}: what needs it is left out", file=sys.stderr)
        return False
