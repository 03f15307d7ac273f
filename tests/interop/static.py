#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make static`: a command that needs nothing of the system it runs on, and says what it leaves out."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import shutil

import command
import tap

SOURCE = os.environ.get("VHDX_SOURCE") or os.path.dirname(os.path.dirname(HERE))
MOST_BYTES = 4 << 20


@tap.case("a static command under 4 MiB works in an empty chroot, and says in one line each what it leaves out",
          tap.whole, tap.root, tap.tool("make", "meson", "ninja", "cc", "pkg-config", "chroot", "file"))
def _(folder):
    built = os.path.join(folder, "build")
    env = {name: value for name, value in os.environ.items() if name not in ("CC", "CFLAGS", "LDFLAGS")}
    command.run(["make", "-C", SOURCE, "static", f"STATIC_BUILD={built}", "BOOTSTRAP=true"], env=env, timeout=1800)
    program = os.path.join(built, "vhdx")
    assert os.path.getsize(program) < MOST_BYTES, os.path.getsize(program)
    assert "statically linked" in command.run(["file", "-b", program]).out

    top = os.path.join(folder, "top")
    os.mkdir(top)
    shutil.copy(program, top)

    def vhdx(*words, **more):
        return command.run(["chroot", top, "/vhdx", *words], **more)

    with open(os.path.join(top, "disk.raw"), "wb") as file:
        file.write(os.urandom(3 << 20))
        file.truncate(64 << 20)
    vhdx("convert", "-q", "disk.raw", "disk.vhdx")
    vhdx("create", "-q", "--parent", "disk.vhdx", "child.avhdx")
    assert "64 MiB" in vhdx("info", "child.avhdx").out
    assert "No fault was found" in vhdx("check", "--chain", "child.avhdx").out
    vhdx("compare", "child.avhdx", "disk.raw")
    vhdx("compact", "-q", "disk.vhdx")
    assert set(os.listdir(top)) == {"vhdx", "disk.raw", "disk.vhdx", "child.avhdx"}, os.listdir(top)

    for words, says in (
            (("mount", "disk.vhdx", "/"), "mount is not installed"),
            (("serve", "disk.vhdx"), "plugin is not installed"),
            (("convert", "disk.vhdx", "nbd://localhost/disk"), "built without NBD"),
            (("info", "rbd:pool/disk"), "built without Ceph"),
    ):
        answer = vhdx(*words, status=1)
        assert says in answer.err and answer.err.count("\n") == 1 and not answer.out, str(answer)


tap.main()
