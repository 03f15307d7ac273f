# SPDX-License-Identifier: MIT
"""A Linux kernel that runs as a process (Debian's user-mode-linux): it has what this machine's may lack, NFS and SMB.

It sees this machine's files, which it cannot change, and one folder that it can; its network is its own."""
import os
import shlex
import signal
import subprocess
import sys

import command
import tap

MODULES = "/usr/lib/uml/modules"
TIMEOUT_S = 240

# What each script begins with, as the first process of that kernel.
BEGIN = """#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
mount -t tmpfs tmp /mnt
mkdir -p /mnt/work /mnt/tmp /run/lib
mount -t hostfs -o {folder} none /mnt/work
exec >/mnt/work/log 2>&1
set -x
ip link set lo up
ln -s {modules} /run/lib/modules
load() {{ local module; for module; do modprobe -d /run "$module" || return; done; }}
printf '#!/bin/sh\nexec /usr/sbin/modprobe -d /run "$@"\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
{environment}
"""
END = """
sync
exec {python} -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
"""


def needs():
    """Why it cannot be tried here; None when it can."""
    why = tap.root() or tap.tool("linux.uml", "modprobe", "ip", "nsenter")()
    if why:
        return why
    if not os.path.exists(_registers()):
        return "no kernel as a process on this architecture"
    return None


def _registers():
    return os.environ.get("VHDX_UMLREGS") or os.path.join(
        os.path.dirname(command.VHDX), os.pardir, "tests", "tools", "umlregs.so")


def run(folder, script, memory_mib=768):
    """Runs a shell script as root of a new kernel; the @folder is there as /mnt/work. Returns its log."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("VHDX")}
    kept["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    kept["TMPDIR"] = "/mnt/tmp"
    first, log = os.path.join(folder, "init"), os.path.join(folder, "log")
    with open(first, "w", encoding="utf-8") as file:
        file.write(BEGIN.format(folder=folder, modules=MODULES, environment="\n".join(
            f"export {name}={shlex.quote(value)}" for name, value in kept.items())))
        file.write(script + END.format(python=sys.executable))
    os.chmod(first, 0o755)
    # Its processes are one group, which ends by itself too.
    words = ["timeout", "-s", "KILL", str(TIMEOUT_S), tap.find_tool("linux.uml"), f"mem={memory_mib}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/",
             "ro", f"init={first}", f"uml_dir={folder}/uml", "con=null", "con0=fd:0,fd:1"]
    with open(os.path.join(folder, "console"), "wb") as console:
        process = subprocess.Popen(words, env={**os.environ, "LD_PRELOAD": os.path.realpath(_registers()),
                                               "TMPDIR": folder},
                                   stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        try:
            process.wait(TIMEOUT_S + 5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(process)
    if not os.path.exists(log):
        raise tap.Skip(f"a kernel as a process does not start here: {_last(os.path.join(folder, 'console'))}")
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read()


def _end(process):
    """With all that it runs: its processes are this machine's too."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _last(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return (file.read().strip().splitlines() or ["it says nothing"])[-1]
