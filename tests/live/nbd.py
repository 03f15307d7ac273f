#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""NBD exports as operands of convert and compare: contents, holes, requests in flight, and what servers of
others cannot do, refuse, or do wrong."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import signal
import socket
import subprocess

import command
import disks
import tap
from command import VHDX, vhdx, vhdx_json
from disks import GIB, MIB, noise
from nbdserver import KIT, Log, case, client, nbdkit, qemu_nbd, wait_until

def tls():
    found = subprocess.run(["nbdkit", "--dump-config"], capture_output=True, check=False, text=True).stdout
    return None if "tls=yes" in found else "nbdkit without TLS"


def disk(folder, name="disk", size=24 * MIB, **how):
    """A raw file, and the digest of its contents."""
    model = disks.scattered(name, size, **how)
    return model.save(os.path.join(folder, name + ".raw")), model.digest()


def empty(folder, name, size):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def dirty(folder, name, size):
    """A file full of bytes that must not be left where the source reads zeros."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for number in range(size // MIB + 1):
            file.write(noise(f"{name} {number}", min(MIB, size - number * MIB)))
    return path


def there_and_back(folder, raw, digest, server, back=None):
    """Both directions and both formats; the export is read and written."""
    uri, image, out = server.uri(), os.path.join(folder, "back.vhdx"), os.path.join(folder, "back.raw")
    vhdx("convert", raw, uri)
    vhdx("convert", "--force", (back or server).uri(), image)
    vhdx("convert", "--force", image, uri)
    vhdx("convert", "--force", (back or server).uri(), out)
    vhdx("compare", uri, raw)
    vhdx("compare", image, uri)
    assert disks.digest(out) == digest, "what came back is something else"
    assert os.path.getsize(out) >= os.path.getsize(raw)


# ---- Contents ----

@case("contents come and go through a memory export")
def _(folder):
    raw, digest = disk(folder)
    with nbdkit(folder, "memory", os.path.getsize(raw)) as server:
        there_and_back(folder, raw, digest, server)


@case("contents come and go through a file's export that held something else")
def _(folder):
    raw, digest = disk(folder)
    backing = dirty(folder, "backing.raw", os.path.getsize(raw))
    with nbdkit(folder, "file", backing) as server:
        there_and_back(folder, raw, digest, server)
    assert disks.digest(backing) == digest


@case("contents come and go through a qcow2 image behind qemu-nbd", tap.tool("qemu-nbd", "qemu-img"))
def _(folder):
    raw, digest = disk(folder)
    image = os.path.join(folder, "disk.qcow2")
    command.run(["qemu-img", "create", "-f", "qcow2", image, str(os.path.getsize(raw))])
    with qemu_nbd(folder, "-f", "qcow2", image) as server:
        there_and_back(folder, raw, digest, server)
    with qemu_nbd(folder, "-r", "-f", "qcow2", image) as server:
        vhdx("compare", server.uri(), raw)
    command.run(["qemu-img", "check", image])
    command.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, image])


@case("an export is copied to a larger one, whose rest is left")
def _(folder):
    raw, digest = disk(folder)
    backing = dirty(folder, "backing.raw", 2 * os.path.getsize(raw))
    with open(backing, "rb") as file:
        file.seek(os.path.getsize(raw))
        rest = file.read()
    with nbdkit(folder, "file", raw, name="a") as source, nbdkit(folder, "file", backing, name="b") as target:
        vhdx("convert", source.uri(), target.uri())
    with open(backing, "rb") as file:
        file.seek(os.path.getsize(raw))
        assert file.read() == rest, "what lies behind the contents was changed"
    os.truncate(backing, os.path.getsize(raw))
    assert disks.digest(backing) == digest


@case("sizes that are no multiple of anything are copied to their last byte")
def _(folder):
    for size in (1, 511, 513, 4095, 4097, 262143, 100003, MIB + 1):
        raw = os.path.join(folder, "odd.raw")
        with open(raw, "wb") as file:
            file.write(noise("odd", size))
        out, backing = os.path.join(folder, "out.raw"), dirty(folder, "backing.raw", size)
        with nbdkit(folder, "file", raw, name="a") as source, nbdkit(folder, "file", backing, name="b") as target:
            vhdx("convert", "--force", source.uri(), out)
            vhdx("convert", out, target.uri())
            vhdx("convert", "--force", target.uri(), out + ".vhdx")
            vhdx("compare", source.uri(), out + ".vhdx")
        assert disks.sha256(out) == disks.sha256(raw) == disks.sha256(backing), f"{size} bytes"


@case("an export is found by its name, and by TCP")
def _(folder):
    raw, digest = disk(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pid = os.path.join(folder, "pid")
    process = command.start(["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), "-P", pid, "file", "dir=" + folder],
                            stderr=subprocess.DEVNULL)
    try:
        wait_until("nbdkit does not listen", lambda: os.path.exists(pid))
        out = os.path.join(folder, "out.raw")
        vhdx("convert", f"nbd://127.0.0.1:{port}/disk.raw", out)
        assert disks.digest(out) == digest
        command.fails("convert", f"nbd://127.0.0.1:{port}/none", out, "--force", says="none")
    finally:
        process.kill()
        process.wait()
    command.fails("convert", f"nbd://127.0.0.1:{port}/disk.raw", out, "--force", says="onnection refused")
    assert disks.digest(out) == digest, "a failure changed the destination"


# ---- Holes ----

@case("of a sparse export only the data are read")
def _(folder):
    raw, log = empty(folder, "sparse.raw", 10 * GIB), os.path.join(folder, "log")
    with open(raw, "r+b") as file:
        for number in range(8):
            file.seek(number * GIB + 123 * MIB)
            file.write(noise(f"sparse {number}", MIB))
    out = os.path.join(folder, "out.vhdx")
    with nbdkit(folder, "--filter=log", "file", raw, "logfile=" + log) as server:
        vhdx("convert", server.uri(), out)
        read = Log(log).bytes("Read")
        assert 8 * MIB <= read <= 9 * MIB, f"{read} bytes were read"
        vhdx("compare", server.uri(), out)
        read = Log(log).bytes("Read") - read
        assert 8 * MIB <= read <= 9 * MIB, f"{read} bytes were read"
    assert len(Log(log).of("Extents")) <= 16
    vhdx("compare", raw, out)


@case("zeros are not sent, and a sparse disk makes the export sparse")
def _(folder):
    raw, log = empty(folder, "sparse.raw", 256 * MIB), os.path.join(folder, "log")
    with open(raw, "r+b") as file:
        file.seek(100 * MIB)
        file.write(noise("sparse", 4 * MIB))
    backing = dirty(folder, "backing.raw", 256 * MIB)
    with nbdkit(folder, "--filter=log", "file", backing, "logfile=" + log) as server:
        vhdx("convert", raw, server.uri())
    seen = Log(log)
    assert 4 * MIB <= seen.bytes("Write") <= 5 * MIB, seen.bytes("Write")
    assert disks.digest(backing) == disks.digest(raw)
    assert os.stat(backing).st_blocks * 512 <= 8 * MIB, "the zeros take space"
    with nbdkit(folder, "file", backing) as server:
        vhdx("convert", "--no-holes", raw, server.uri())
    assert disks.digest(backing) == disks.digest(raw)
    assert os.stat(backing).st_blocks * 512 >= 250 * MIB, "--no-holes left holes"


# ---- Requests in flight ----

def log_of(folder, *words):
    """Runs a server that is slow enough for requests to meet, and returns its log after a run."""
    log = os.path.join(folder, "log")
    return nbdkit(folder, "--filter=log", "--filter=delay", *words, "logfile=" + log), log


@case("many requests are in flight on four connections, reading and writing")
def _(folder):
    raw = dirty(folder, "full.raw", 32 * MIB)
    target = empty(folder, "target.raw", 32 * MIB)
    server, log = log_of(folder, "file", raw, "rdelay=50ms")
    with server as reading:
        vhdx("convert", reading.uri(), os.path.join(folder, "out.raw"))
    seen = Log(log)
    assert seen.most["Read"] >= 16 and len(seen.connections("Read")) == 4, (seen.most, seen.connections("Read"))
    server, log = log_of(folder, "file", target, "wdelay=50ms")
    with server as writing:
        vhdx("convert", raw, writing.uri())
    seen = Log(log)
    assert seen.most["Write"] >= 16 and len(seen.connections("Write")) == 4, seen.most
    assert len(seen.of("Flush")) == 1 and seen.requests[-1][1] != "Write", "not made durable at the end"
    assert disks.sha256(raw) == disks.sha256(target) == disks.sha256(os.path.join(folder, "out.raw"))


@case("compare has many requests in flight")
def _(folder):
    raw = dirty(folder, "full.raw", 32 * MIB)
    server, log = log_of(folder, "file", raw, "rdelay=50ms")
    with server as reading:
        vhdx("compare", reading.uri(), raw)
    seen = Log(log)
    assert seen.most["Read"] >= 8 and len(seen.connections("Read")) == 4, seen.most


@case("--threads 1 still copies, with the requests of one piece in flight")
def _(folder):
    raw = dirty(folder, "full.raw", 8 * MIB)
    server, log = log_of(folder, "file", raw, "rdelay=10ms")
    with server as reading:
        vhdx("convert", "--threads", "1", reading.uri(), os.path.join(folder, "out.raw"))
    assert Log(log).most["Read"] <= 4, Log(log).most
    assert disks.sha256(raw) == disks.sha256(os.path.join(folder, "out.raw"))
    with nbdkit(folder, "file", raw) as reading:
        vhdx("convert", "--threads", "64", "--force", reading.uri(), os.path.join(folder, "out.raw"))
    assert disks.sha256(raw) == disks.sha256(os.path.join(folder, "out.raw"))


@case("one connection is used where the server does not say that more are safe")
def _(folder):
    raw, digest = disk(folder)
    log = os.path.join(folder, "log")
    with nbdkit(folder, "--filter=multi-conn", "--filter=log", "file", dirty(folder, "backing.raw", 24 * MIB),
                "multi-conn-mode=disable", "logfile=" + log) as target:
        there_and_back(folder, raw, digest, target)
        before = len(Log(log).requests)
        vhdx("convert", raw, target.uri())
    connections = {request[0] for request in Log(log).requests[before:]}
    assert len(connections) == 1, connections


@case("--no-sync asks for no flush")
def _(folder):
    raw, _ = disk(folder)
    server, log = log_of(folder, "memory", os.path.getsize(raw))
    with server as target:
        vhdx("convert", "--no-sync", raw, target.uri())
    assert not Log(log).of("Flush") and Log(log).of("Write")


# ---- What servers cannot do ----

for words, parameters in (
        (["noextents"], []),
        (["nozero"], []),
        (["nozero"], ["zeromode=notrim"]),
        (["nozero"], ["zeromode=plugin"]),
        (["noparallel"], []),
        (["noextents", "nozero", "multi-conn"], ["multi-conn-mode=disable"]),
        (["fua"], ["fuamode=emulate"]),
        (["nocache"], []),
        (["blocksize"], ["minblock=4096", "maxdata=64K", "maxlen=64K"])):
    def lacking(folder, words=words, parameters=parameters):
        raw, digest = disk(folder)
        backing = dirty(folder, "backing.raw", 24 * MIB)
        with nbdkit(folder, *["--filter=" + word for word in words], "file", backing, *parameters) as server:
            there_and_back(folder, raw, digest, server)
        assert disks.digest(backing) == digest

    tap.add(f"contents come and go through {'+'.join(words)} {' '.join(parameters)}".rstrip(), lacking, KIT, client)


def strict(folder, size, minimum, maximum, name="s"):
    """A server that refuses what does not keep to the sizes that it states."""
    backing = dirty(folder, f"strict-{name}.raw", size)
    return backing, nbdkit(folder, "--filter=blocksize-policy", "file", backing, f"blocksize-minimum={minimum}",
                           f"blocksize-preferred={max(4096, minimum)}", f"blocksize-maximum={maximum}",
                           "blocksize-error-policy=error", name=name)


@case("stated block sizes are kept to, also at a disk's end that is no whole block")
def _(folder):
    for minimum, maximum in ((512, 4096), (4096, 65536), (65536, 65536), (4096, 32 * MIB)):
        size = 16 * MIB + 65536
        for less in (0, 512, 65000, 65536):
            model = disks.Model(size - less)
            model.write(MIB, noise("blocks", 3 * MIB))
            model.write(size - less - 700, noise("end", 700))
            raw = model.save(os.path.join(folder, "source.raw"))
            backing, server = strict(folder, size, minimum, maximum)
            with open(backing, "rb") as file:
                file.seek(size - less)
                rest = file.read()
            with server as target:
                vhdx("convert", raw, target.uri())
                with open(backing, "rb") as file:
                    file.seek(size - less)
                    assert file.read() == rest, "what lies behind the contents was changed"
                vhdx("convert", "--force", target.uri(), os.path.join(folder, "out.vhdx"))
                vhdx("compare", backing, os.path.join(folder, "out.vhdx"))
            os.truncate(backing, size - less)
            assert disks.digest(backing) == model.digest(), (minimum, maximum, less)


@case("an end that cannot be reached in whole blocks is refused, not left out")
def _(folder):
    _, server = strict(folder, MIB + 512, 4096, 65536)
    with server as source:
        command.fails("convert", source.uri(), os.path.join(folder, "out.raw"), says="1049088 bytes.*4096")
        command.fails("convert", empty(folder, "in.raw", MIB), source.uri(), says="1049088 bytes.*4096")
    assert not os.path.exists(os.path.join(folder, "out.raw"))


# ---- What servers refuse, and how servers fail ----

@case("a read-only, a small, a missing and an unreachable export are refused in one line")
def _(folder):
    raw, _ = disk(folder)
    size = os.path.getsize(raw)
    with nbdkit(folder, "-r", "memory", size) as server:
        command.fails("convert", raw, server.uri(), says="export is read-only")
    with nbdkit(folder, "memory", size - 512) as server:
        line = command.fails("convert", raw, server.uri(),
                             says=rf"holds \S+ MiB \({size - 512} bytes\), and .* needs \S+ MiB \({size} bytes\)")
        assert server.uri() in line, line
    with nbdkit(folder, "--filter=exportname", "memory", size, "exportname=one", "exportname-strict=true") as server:
        vhdx("convert", raw, server.uri("one"))
        command.fails("convert", raw, server.uri("other"), says="No such file or directory|other")
    command.fails("convert", raw, server.uri("one"), says="cannot be connected to: .*onnect")
    command.fails("compare", "nbd+unix:///?socket=/no/such", raw, status=2, says="/no/such: cannot be connected to")
    command.fails("convert", "nbd://", os.path.join(folder, "x"))
    command.fails("convert", "nbd://\x1b[31m\n/x", os.path.join(folder, "x"))


@case("an image behind NBD is not taken for raw contents, nor made there unless asked for")
def _(folder):
    raw, _ = disk(folder)
    image, copy = os.path.join(folder, "disk.vhdx"), os.path.join(folder, "copy.vhdx")
    vhdx("convert", raw, image)
    with nbdkit(folder, "file", image) as server:
        for words in ([], ["-f", "vhdx"]):
            vhdx("convert", "--force", *words, server.uri(), copy)
            vhdx("compare", copy, server.uri())
        vhdx("compare", server.uri(), raw)
        vhdx("convert", "--force", "-f", "raw", "-O", "raw", server.uri(), copy)
        assert disks.sha256(copy) == disks.sha256(image)
        command.fails("convert", "--block-size", "1M", raw, server.uri(), says="for VHDX, not raw")
    assert disks.sha256(copy) == disks.sha256(image)
    # The name of an export says nothing of its format.
    with nbdkit(folder, "memory", os.path.getsize(raw)) as server:
        vhdx("convert", raw, server.uri("disk.vhdx"))
        vhdx("compare", server.uri("disk.vhdx"), image)


@case("what the server says of a failed request is told, with the export's address")
def _(folder):
    raw, digest = disk(folder)
    size = os.path.getsize(raw)
    with nbdkit(folder, "--filter=error", "memory", size, "error-pwrite=ENOSPC", "error-pwrite-rate=1") as server:
        line = command.fails("convert", raw, server.uri(), says="cannot write .* No space left on device")
        assert server.uri() in line, line
    with nbdkit(folder, "--filter=error", "file", raw, "error-pread=EIO", "error-pread-rate=1") as server:
        line = command.fails("convert", server.uri(), os.path.join(folder, "out"), says="cannot be read: Input/output")
        assert server.uri() in line, line
        line = command.fails("compare", "-F", "raw", raw, server.uri(), status=2, says="cannot read .* Input/output")
        assert server.uri() in line, line
    assert not os.path.exists(os.path.join(folder, "out"))
    backing = dirty(folder, "backing.raw", size)
    with nbdkit(folder, "--filter=error", "file", backing, "error-zero=EPERM", "error-zero-rate=1",
                "error-extents=EIO", "error-extents-rate=1") as server:
        there_and_back(folder, raw, digest, server)
    assert disks.digest(backing) == digest, "zeros that cannot be asked for must be written"


def stalled(folder, *words):
    """A server that answers no request before the case has ended."""
    log = os.path.join(folder, "log")
    return nbdkit(folder, "--filter=log", "--filter=delay", *words, "logfile=" + log), log


def operands(folder, uri, raw):
    """What to run beside the operation that the server does not answer, and the option that stalls it."""
    return (("Read", "rdelay", ["convert", "-f", "raw", uri, os.path.join(folder, "out.vhdx")]),
            ("Write", "wdelay", ["convert", raw, uri]),
            ("Zero", "delay-zero", ["convert", empty(folder, "zeros.raw", 16 * MIB), uri]),
            ("Extents", "delay-extents", ["convert", "-f", "raw", uri, os.path.join(folder, "out.vhdx")]),
            ("Read", "rdelay", ["compare", "-f", "raw", raw, "-F", "raw", uri]))


def stop_stalled(stop, judge):
    def run(folder):
        raw, backing = dirty(folder, "full.raw", 16 * MIB), dirty(folder, "backing.raw", 16 * MIB)
        uri = f"nbd+unix:///?socket={os.path.join(folder, 's.sock')}"
        for operation, option, argv in operands(folder, uri, raw):
            server, log = stalled(folder, "file", backing, option + "=1000")
            with server as running:
                process = command.start([VHDX, *argv], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
                wait_until(f"no {operation}", lambda: process.poll() is not None or Log(log).of(operation))
                assert process.poll() is None, f"{argv}: ended with {process.stderr.read()}"
                stop(running, process)
                # Far more than it may take, far less than the server takes.
                out, err = process.communicate(timeout=60)
                running.kill()
            judge(argv[0], process.returncode, err.decode())
            assert not out
            assert not os.path.exists(os.path.join(folder, "out.vhdx")), "something is left"
            os.unlink(log)
    return run


def judge_interrupted(_, status, err):
    assert status == -signal.SIGINT and err.count("\n") == 1 and "interrupted" in err, (status, err)


def judge_killed(verb, status, err):
    assert status == (2 if verb == "compare" else 1) and err.count("\n") == 1, (status, err)
    assert "Connection reset by peer" in err and "nbd+unix://" in err, err


tap.add("Ctrl-C ends every operation while the server stalls",
        stop_stalled(lambda server, process: process.send_signal(signal.SIGINT), judge_interrupted), KIT, client)
tap.add("a server that is killed ends every operation with one line",
        stop_stalled(lambda server, process: server.kill(), judge_killed), KIT, client)


# ---- Encryption ----

def keys(folder, name, user, key):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{user}:{key}\n")
    return path


@case("nbds:// is encrypted, and says why where it cannot be", tls)
def _(folder):
    raw, digest = disk(folder)
    right, wrong = keys(folder, "right.psk", "alice", "a5" * 32), keys(folder, "wrong.psk", "alice", "5a" * 32)
    backing, out = dirty(folder, "backing.raw", 24 * MIB), os.path.join(folder, "out.raw")
    with nbdkit(folder, "--tls=require", "--tls-psk=" + right, "file", backing) as server:
        uri = server.uri(scheme="nbds", user="alice@", tls_psk_file=right)
        vhdx("convert", raw, uri)
        vhdx("convert", uri, out)
        vhdx("compare", out, uri)
        command.fails("convert", "--force", server.uri(), out, says="cannot be connected to: .*(TLS|[Pp]olicy)")
        command.fails("convert", "--force", server.uri(scheme="nbds", user="alice@", tls_psk_file=wrong), out,
                      says="cannot be connected to: ")
    assert disks.digest(out) == disks.digest(backing) == digest
    with nbdkit(folder, "memory", MIB) as server:
        command.fails("convert", server.uri(scheme="nbds", user="alice@", tls_psk_file=right), out, "--force",
                      says="cannot be connected to: .*TLS")


# ---- Answers ----

@case("compare finds the first byte that differs")
def _(folder):
    size = 64 * MIB
    model = disks.scattered("compare", size)
    a = model.save(os.path.join(folder, "a.raw"))
    for offset in (0, 4095, 4 * MIB - 1, 4 * MIB, 4 * MIB + 262144 + 7, 33 * MIB + 5, size - 1):
        other = disks.Model(size, model)
        other.write(offset, bytes([other.read(offset, 1)[0] ^ 1]))
        b = other.save(os.path.join(folder, "b.raw"))
        with nbdkit(folder, "file", a, name="a") as one, nbdkit(folder, "file", b, name="b") as two:
            for left, right in ((one.uri(), two.uri()), (one.uri(), b), (a, two.uri())):
                found = vhdx_json("compare", "--json", left, right, status=1)
                assert not found["identical"] and found["offset"] == offset, (found, offset)
                assert found["a-size"] == found["b-size"] == size, found
    with nbdkit(folder, "file", a, name="a") as one, nbdkit(folder, "memory", size + MIB, name="b") as two:
        vhdx("convert", a, two.uri())
        found = vhdx_json("compare", "--json", one.uri(), two.uri())
        assert found["identical"] and found["b-size"] == size + MIB, found


@case("progress is told of exports, to the end")
def _(folder):
    raw, _ = disk(folder)
    with nbdkit(folder, "memory", 24 * MIB) as server:
        for argv in (["convert", raw, server.uri()], ["compare", raw, server.uri()]):
            lines = vhdx(argv[0], "--progress=json", *argv[1:], loud=True).err.splitlines()
            done = [json.loads(line)["done"] for line in lines]
            assert done == sorted(done) and done[-1] == 24 * MIB, lines


tap.main()
