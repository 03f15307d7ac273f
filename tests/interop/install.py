#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is installed works where it was installed, and goes again without a trace."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import shutil

import command
import tap

BUILD = os.environ.get("VHDX_BUILD", "")


def options():
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as file:
        return {option["name"]: option["value"] for option in json.load(file)}


def own_build():
    """What was built for another place, or with sanitizers, cannot be used as a user would use it."""
    if not os.path.exists(os.path.join(BUILD, "meson-info", "intro-buildoptions.json")):
        return "there is no build folder"
    if options()["b_sanitize"] != "none":
        return "a build with sanitizers"
    with open(os.environ["VHDX_LIB_SHARED"], "rb") as library, open(sys.executable, "rb") as own:
        kinds = [file.read(20)[4:6] for file in (library, own)]  # 32 or 64 bits, and the order of bytes
    return "a build for another machine" if kinds[0] != kinds[1] else None


def files(top):
    return sorted(os.path.relpath(os.path.join(folder, name), top)
                  for folder, _, names in os.walk(top) for name in names)


@tap.case("installed files are complete, programs compile and run against them, and uninstall removes all",
          own_build, tap.tool("meson", "ninja", "cc", "pkg-config", "readelf"))
def _(folder):
    top = os.path.join(folder, "top")
    # The record of what was installed, by which it is removed, is the build folder's.
    log = os.path.join(BUILD, "meson-logs", "install-log.txt")
    if os.path.exists(log):
        shutil.copy(log, os.path.join(folder, "log"))
    env = dict(os.environ, DESTDIR=top)
    command.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], env=env)
    prefix = os.path.join(top, options()["prefix"].lstrip("/"))
    found = files(top)
    names = {os.path.basename(name) for name in found}
    assert {"vhdx", "vhdx.h", "libvhdx.so", "libvhdx.so.1", "libvhdx.a", "libvhdx.pc", "vhdx.1", "vhdx-convert.1",
            "libvhdx.3", "vhdx-problems.7", "vhdx-hyperv.7", "_vhdx"} <= names, sorted(names)
    assert all("/build" not in name for name in found), found

    library = os.path.join(prefix, options()["libdir"])
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(library, "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=top,
               LD_LIBRARY_PATH=library)
    flags = command.run(["pkg-config", "--cflags", "--libs", "libvhdx"], env=env).out.split()
    program = os.path.join(folder, "memory_storage")
    for name in "copy_sparse", "incremental_backup", "read_range", "memory_storage":
        source = os.path.join(HERE, os.pardir, os.pardir, "examples", f"{name}.c")
        command.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags])
    assert command.run([program, "installed"], env=env).out.startswith("installed\n")
    disk = os.path.join(folder, "disk.vhdx")
    installed = os.path.join(prefix, "bin", "vhdx")
    command.run([installed, "create", "-q", disk, "64M"], env=env)
    assert "No fault was found" in command.run([installed, "check", disk], env=env).out
    # The package finds the library that was installed with it, when it is in the folder above python's.
    package = next((os.path.dirname(name) for name in found if name.endswith("vhdx/__init__.py")), None)
    if package and os.path.dirname(os.path.dirname(os.path.dirname(os.path.join(top, package)))) == library:
        alone = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "VHDX_LIBRARY")}
        alone["PYTHONPATH"] = os.path.dirname(os.path.join(top, package))
        command.run([sys.executable, "-c", "import vhdx; vhdx.open(__import__('sys').argv[1])", disk], env=alone)

    # Where the loader would not look, the command finds its library by itself.
    place = os.path.join(options()["prefix"], options()["libdir"])
    dynamic = command.run(["readelf", "-d", installed]).out
    assert (f"[{place}]" in dynamic) == (options()["prefix"] != "/usr"), dynamic

    command.run(["ninja", "-C", BUILD, "uninstall"], env=dict(os.environ, DESTDIR=top))
    assert not files(top), files(top)
    if os.path.exists(os.path.join(folder, "log")):
        shutil.copy(os.path.join(folder, "log"), log)


tap.main()
