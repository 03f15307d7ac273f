# SPDX-License-Identifier: MIT
"""What was measured on, and against: the facts that go with the figures."""
import os
import platform
import re
import subprocess

from support import programs
from support.filesystems import kind_of

VERSIONS = {
    "qemu-img": ["qemu-img", "--version"],
    "nbdkit": ["nbdkit", "--version"],
    "fio": ["fio", "--version"],
    "cp": ["cp", "--version"],
    "vhdimount": ["vhdimount", "-V"],
    "strace": ["strace", "--version"],
}


def _first(path, pattern):
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def _version(command):
    if not programs.find(command[0]):
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+|\b\d{8}\b", done.stdout + done.stderr)
    return found.group(0) if found else None


def facts(top):
    memory = _first("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    return {
        "processor": _first("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory) / (1 << 20)) if memory else None,
        "kernel": platform.release(),
        "distribution": _first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        "file_system": kind_of(top),
        "vhdx": _version([programs.VHDX, "--version"]),
        "peers": {name: version for name, version in
                  ((name, _version(command)) for name, command in VERSIONS.items()) if version},
    }
