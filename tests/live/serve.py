#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`vhdx serve` serves where and what it is told, and leaves a clean disk when it is stopped."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re
import signal
import socket
import subprocess
import time

import command
import disks
import samples
import tap
from command import VHDX, vhdx, vhdx_json
from disks import MIB, noise
from lockbytes import READER, WRITER, locked
from nbdclient import READ, Client, error_of
from server import Server, clean, contents, environment, has, plain, served

BUILD = os.path.join(os.path.dirname(VHDX), os.pardir)


def serving(folder, *words, options=("-w",), **more):
    return Server(folder, command=[VHDX, "serve", *options, "-U", "SOCKET", *words[:1], "--", "-P", "PIDFILE",
                                   *words[1:]], **more)


def refused(*words, **how):
    return command.fails("serve", *words, env=environment(), **how)


def run(path, line, *options, status=0):
    """--run; a sanitizer's library, which nbdkit may need, is not for what it runs."""
    line = f"unset LD_PRELOAD; {line}"
    return command.run([VHDX, "serve", *options, "--run", line, path], status=status, env=environment())


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


@tap.case("it is read-only, unless -w is given", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    before = disks.digest(path)
    with serving(folder, path, options=()) as server, Client(server.socket) as client:
        assert "read-only" in client.flags and error_of(client.write, 0, b"x" * 512) == 1
        assert client.read(0, 512) == noise("zero", 512)
    assert disks.digest(path) == before
    with serving(folder, path) as server, Client(server.socket) as client:
        client.write(0, b"x" * 512)
    clean(path)
    with serving(folder, path, options=()) as server, Client(server.socket) as client:
        assert client.read(0, 1024) == b"x" * 512 + noise("zero", 1024)[512:]


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    @tap.case(f"{number.name} ends it, clients connected or not: flushed, its log empty, no slack", served)
    def _(folder, how=number):
        path = os.path.join(folder, "disk.vhdx")
        vhdx("create", "--block-size", "1M", path, "64M")
        with serving(folder, path) as server:
            clients = [Client(server.socket) for _ in range(4)]
            for at, client in enumerate(clients):
                client.write(at * 9 * MIB, noise(f"{at}", 5000))
            assert server.stop(how) == 0, server.log()
            for client in clients:
                client.close()
        clean(path)
        model = disks.Model(64 * MIB)
        for at in range(4):
            model.write(at * 9 * MIB, noise(f"{at}", 5000))
        assert contents(path, folder) == model.digest()
        assert not re.search("error", server.log()), server.log()


@tap.case("SIGTERM amid the requests of four busy connections leaves the disk clean", served, tap.tool("fio"))
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--block-size", "1M", path, "64M")
    with serving(folder, path) as server:
        busy = command.start(
            ["fio", "--ioengine=nbd", f"--uri={server.uri}", "--name=busy", "--numjobs=4", "--iodepth=32",
             "--rw=randrw", "--bs=16k", "--size=16M", "--offset_increment=16M", "--time_based",
             "--runtime=600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while os.path.getsize(path) < 16 * MIB:
            assert busy.poll() is None, "fio ended"
            time.sleep(0.01)
        assert server.stop() == 0, server.log()[-2000:]
        busy.kill()
        busy.wait()
    clean(path)


@tap.case("a client that does not take its answer keeps it from ending for a while only", served)
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", path, "64M")
    with serving(folder, path) as server, Client(server.socket) as other:
        stuck = Client(server.socket)
        stuck.send(READ, 0, 32 * MIB)
        other.write(MIB, noise("kept", 4096))
        assert server.stop() == 0, server.log()
        stuck.close()
    model = disks.Model(64 * MIB)
    model.write(MIB, noise("kept", 4096))
    assert contents(path, folder) == model.digest()


@tap.case("it listens on a port of this machine alone, or where -b says", served, tap.tool("nbdinfo"))
def _(folder):
    path = samples.dynamic(folder)[0]
    for bind, reached in (((), "localhost"), (("-b", "127.0.0.3"), "127.0.0.3")):
        port = str(free_port())
        with Server(folder, command=[VHDX, "serve", "-p", port, *bind, path, "--", "-P", "PIDFILE"]) as server:
            result = command.run(["nbdinfo", "--size", f"nbd://{reached}:{port}"])
            assert int(result.out) == 8 * MIB
            with open(f"/proc/{server.pid}/net/tcp", encoding="ascii") as table:
                listening = [line.split()[1] for line in table if f":{int(port):04X}" in line.split()[1]]
            assert listening and not [one for one in listening if not one[6:8] == "7F"], listening


@tap.case("--run runs a command with $uri, and its status is the command's", served, tap.tool("nbdinfo"))
def _(folder):
    path = samples.dynamic(folder)[0]
    assert int(run(path, 'nbdinfo --size "$uri"').out) == 8 * MIB
    assert run(path, "exit 7", status=7).err == ""
    run(path, "kill -9 $$", status={137, 1, -9})


@tap.case("what a command of --run wrote is there when it ends", served, tap.tool("qemu-io"))
def _(folder):
    path, image = samples.dynamic(folder)
    run(path, "qemu-io -f raw -c 'write -P 5 1M 64k' \"$uri\" >/dev/null", "-w")
    clean(path)
    image.guest.write(MIB, b"\5" * 65536)
    assert contents(path, folder) == image.guest.digest()


@tap.case("chain options and --no-holes reach the plugin", served)
def _(folder):
    far, near = os.path.join(folder, "far"), os.path.join(folder, "near")
    os.mkdir(far)
    os.mkdir(near)
    child, _, image = samples.family(far, near, relative="..\\far\\base.vhdx")
    refused(child, says="base.vhdx")
    for options in (("--any-parent",), ("--parent-dir", far)):
        with serving(folder, child, options=options) as server, Client(server.socket) as client:
            assert client.read(0, image.size) == image.guest.read(0, image.size)
    with serving(folder, child, options=("--no-parent",)) as server, Client(server.socket) as client:
        assert client.read(0, 512) == bytes(512)
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "--no-holes", "--block-size", "1M", path, "16M")
    with serving(folder, path, options=("-w", "--no-holes")) as server, Client(server.socket) as client:
        client.write(0, noise("disk", 8 * MIB))
        client.trim(0, 7 * MIB)
    assert os.stat(path).st_blocks * 512 >= 12 * MIB, os.stat(path).st_blocks * 512


@tap.case("what follows -- is nbdkit's: filters and their parameters", served, has("offset"))
def _(folder):
    path = samples.dynamic(folder)[0]
    with serving(folder, path, "--filter=offset", "offset=4096", "range=1M") as server, \
            Client(server.socket) as client:
        assert client.size == MIB and client.read(0, 512) == noise("zero", 8192)[4096:4608]


def with_psk():
    """nbdkit and libnbd may be built without TLS."""
    told = command.run(["nbdkit", "--dump-config"]).out
    return None if "tls=yes" in told else "nbdkit without TLS"


@tap.case("with --tls=require clients come with the key, or not at all", served, plain, with_psk, tap.tool("nbdinfo"))
def _(folder):
    path = samples.dynamic(folder)[0]
    for name, key in (("keys", "00112233445566778899aabbccddeeff"), ("wrong", "ff" * 16)):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(f"alice:{key}\n")
    keys = os.path.join(folder, "keys")
    with serving(folder, path, "--tls=require", f"--tls-psk={keys}") as server:
        uri = f"nbds+unix://alice@/?socket={server.socket}&tls-psk-file="
        assert int(command.run(["nbdinfo", "--size", uri + keys]).out) == 8 * MIB
        command.run(["nbdinfo", "--size", uri + os.path.join(folder, "wrong")], status=1)
        command.run(["nbdinfo", "--size", server.uri], status=1)


@tap.case("what is wrong is one line, and exit status 1", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    refused("-U", os.path.join(folder, "s"), "-p", "1", path, says="-U excludes")
    for port in "0", "65536", "99999", "-1", "http":
        refused("-p", port, path, says=f"port '{port}' is out of range .expected 1 to 65535")
    refused(path, "second", says="'second' is one operand too many")
    refused("-w", "--force-share", path, says="leave out -w")
    refused("--no-holes", path, says="add -w")
    refused(says="FILE")
    refused(os.path.join(folder, "none.vhdx"), says="none.vhdx: .*No such file")
    refused(samples.write(folder, "text.vhdx", b"text"), says="text.vhdx: ")
    with locked(path, *WRITER):
        refused(path, says="open for writing")
    with locked(path, *READER):
        refused("-w", path, says="disk.vhdx: ")
    with serving(folder, path) as server, Client(server.socket):
        refused(path, says="open for writing")
    lonely = os.path.join(folder, "bin")
    os.mkdir(lonely)
    command.fails("serve", "-U", os.path.join(folder, "s"), path, says="nbdkit", env={**environment(), "PATH": lonely})


@tap.case("a place where it cannot listen is told in the command's own words, and nothing is made there", served)
def _(folder):
    path = samples.dynamic(folder)[0]
    refused("-U", "/none/socket", path, says="^vhdx serve: /none/socket: the socket cannot be made: No such file")
    refused("-U", path, path, says="the socket cannot be made: Address already in use")
    long = os.path.join(folder, "s" * 120)
    refused("-U", long, path, says="the socket cannot be made: File name too long")
    refused("-b", "192.0.2.1", "-p", str(free_port()), path, says="cannot listen at 192.0.2.1, port .*: Cannot assign")
    with socket.socket() as first, socket.socket(socket.AF_INET6) as second:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        refused("-b", "127.0.0.1", "-p", str(port), path, says=f"cannot listen at 127.0.0.1, port {port}: Address already in use")
        try:
            second.bind(("::1", port))
            second.listen()
        except OSError:  # no IPv6, or somebody else's
            pass
        refused("-p", str(port), path, says=f"cannot listen at localhost, port {port}: Address already in use")
    assert os.listdir(folder) == ["disk.vhdx"], os.listdir(folder)


@tap.case("a dirty disk is served read-only as it is, and replayed with -w", served)
def _(folder):
    os.mkdir(os.path.join(folder, "image"))
    path, image = samples.dirty(os.path.join(folder, "image"))
    before = disks.snapshot(os.path.dirname(path))
    with serving(folder, path, options=()) as server, Client(server.socket) as client:
        assert client.read(0, image.size) == image.guest.read(0, image.size)
    assert disks.snapshot(os.path.dirname(path)) == before
    with serving(folder, path) as server, Client(server.socket) as client:
        assert client.read(0, image.size) == image.guest.read(0, image.size)
    assert vhdx_json("info", "--json", path)["vhdx"]["log-state"] == "clean"


def may_mount():
    done = command.run(["unshare", "--mount", "true"], status=None) if tap.find_tool("unshare") else None
    return None if done and done.status == 0 else "no mount namespaces"


@tap.case("installed, it finds the installed plugin", served, tap.tool("meson", "nbdinfo"), tap.root, may_mount)
def _(folder):
    path = samples.dynamic(folder)[0]
    root = os.path.join(folder, "root")
    command.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root])
    (binary,) = (os.path.join(where, "vhdx") for where, _, names in os.walk(root) if "vhdx" in names
                 and os.path.basename(where) == "bin")
    prefix = os.path.dirname(os.path.dirname(binary))
    real = "/" + os.path.relpath(prefix, root)
    libraries = {os.path.join(real, os.path.relpath(where, prefix)) for where, _, names in os.walk(prefix)
                 for name in names if name.startswith("libvhdx.so")}
    # The installed files, and no others, lie where they were installed for.
    line = 'mount --bind "$1" "$2" && exec "$2/bin/vhdx" serve --run "unset LD_PRELOAD; nbdinfo --size \\$uri" "$3" -- --verbose'
    result = command.run(["unshare", "--mount", "sh", "-c", line, "sh", prefix, real, path],
                         env=environment(LD_LIBRARY_PATH=":".join(libraries)))
    assert int(result.out) == 8 * MIB, result
    assert re.search(f"{re.escape(real)}/.*/nbdkit-vhdx-plugin.so", result.err), result.err


tap.main()
