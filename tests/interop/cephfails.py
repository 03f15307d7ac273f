#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Ceph cluster that stops in the middle, and a command that is killed there: copies go on and are right, or end with
one line, and a second run ends right. No half image has the final name at any time."""
import collections
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import command
import disks
import samples
import tap
from cephnode import OBJECT, POOL, wait_until
from command import VHDX
from disks import MIB

IMAGE = f"{POOL}/x"
NAME = f"rbd:{IMAGE}"
# Far more than what is in flight at once.
SIZE = 200 * MIB + 512
# So many kills beside those where names change.
SPREAD = 6


def big(folder, name="big", size=SIZE):
    """A raw file without a hole."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for at in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size - at)))
    return path


def came(cluster):
    """Bytes that the OSD was given."""
    return cluster.counters()["op_w_in_bytes"]


@contextlib.contextmanager
def half_done(cluster, *words):
    """A convert into RBD that is stopped when some of the image was written, and far from all. It is gone afterwards."""
    before = came(cluster)
    with cluster.start("convert", *words) as process:
        try:
            wait_until("nothing is written",
                       lambda: process.poll() is not None or came(cluster) - before > 3 * OBJECT)
            process.send_signal(signal.SIGSTOP)
            assert process.poll() is None, (process.returncode, process.stderr.read())
            assert came(cluster) - before < SIZE, "all was written before it could be stopped"
            assert "x" not in cluster.images() or "--force" in words, "the final name is there already"
            yield process
        finally:
            process.kill()


def goes_on(process):
    process.send_signal(signal.SIGCONT)


def ended(process):
    """(exit status, standard error) of a process that ends by itself."""
    try:
        err = process.communicate(timeout=command.TIMEOUT)[1].decode()
    except subprocess.TimeoutExpired:
        raise AssertionError(f"no end after {command.TIMEOUT} s") from None
    return process.returncode, err


def succeeded(process):
    found = ended(process)
    assert found == (0, ""), found


def failed(process, says):
    status, err = ended(process)
    assert status == 1 and err.count("\n") == 1 and err.startswith("vhdx "), (status, err)
    assert any(word in err for word in says.split("|")), err


def is_right(cluster, source, *words):
    """A run, as after a failure, ends right, and nothing else is left."""
    cluster.vhdx("convert", *words, source, NAME)
    assert cluster.images() == ["x"], cluster.images()
    cluster.holds(IMAGE, Raw(source))


class Raw:
    def __init__(self, path):
        self.path = path
        self.size = os.path.getsize(path)

    def digest(self):
        return disks.digest(self.path)


@cephnode.case("the OSD is killed in the middle of a copy into RBD and started again: the copy goes on and is right")
def _(folder, cluster):
    source = big(folder)
    with half_done(cluster, source, NAME) as process:
        with cluster.without_osd():
            goes_on(process)
            wait_until("it does not wait", lambda: waits(process))
        succeeded(process)
    assert cluster.images() == ["x"], cluster.images()
    cluster.holds(IMAGE, Raw(source))


def waits(process):
    """No thread of it runs."""
    tasks = f"/proc/{process.pid}/task"
    with contextlib.suppress(FileNotFoundError):
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] == "R":
                    return False
    return True


@contextlib.contextmanager
def half_read(cluster, *words):
    """A convert out of RBD to standard output, of which a little was read: a pipe holds the rest back."""
    with subprocess.Popen([VHDX, "convert", *words, NAME, "-"], env=cluster.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process, process.stdout.read(MIB)
        finally:
            process.kill()


@cephnode.case("the OSD is killed in the middle of a copy out of RBD and started again: the copy goes on and is right")
def _(folder, cluster):
    source = big(folder)
    cluster.vhdx("convert", source, NAME)
    out = os.path.join(folder, "out")
    with half_read(cluster) as (process, data), open(out, "wb") as file:
        file.write(data)
        with cluster.without_osd():
            pass
        while data := process.stdout.read(MIB):
            file.write(data)
        assert process.wait() == 0, process.stderr.read()
    assert disks.digest(out) == disks.digest(source) and os.path.getsize(out) == SIZE


# How an OSD can be out of reach; how it comes back is in each.
GONE = {"killed": "without_osd", "stopped": "stopped_osd"}
for how, outage in GONE.items():
    @cephnode.case(f"an OSD {how} for longer than --timeout: a copy into RBD fails, and a second one ends right")
    def _(folder, cluster, gone=outage):
        source = big(folder)
        with half_done(cluster, "--timeout", "2", source, NAME) as process:
            with getattr(cluster, gone)():
                goes_on(process)
                failed(process, "timed out|answer")
        assert "x" not in cluster.images(), cluster.images()
        is_right(cluster, source)

    @cephnode.case(f"an OSD {how} for longer than --timeout: a copy out of RBD fails")
    def _(folder, cluster, gone=outage):
        cluster.vhdx("convert", big(folder), NAME)
        with half_read(cluster, "--timeout", "2") as (process, _):
            with getattr(cluster, gone)():
                read_to_end(process)
                failed(process, "timed out|answer")

    @cephnode.case(f"an OSD {how} from the start: each verb fails after --timeout, and nothing is made",
                   always=how == "stopped")
    def _(folder, cluster, gone=outage):
        source = samples.dynamic(folder)[0]
        cluster.vhdx("convert", source, NAME)
        made = sorted(os.listdir(folder))
        with getattr(cluster, gone)():
            short = ("--timeout", "2")
            command.together(lambda status, *words: cluster.fails(*words, status=status, says="timed out|answer"),
                             (1, "convert", *short, source, f"rbd:{POOL}/y"),
                             (1, "convert", *short, "--force", source, NAME),
                             (1, "convert", *short, NAME, os.path.join(folder, "out.raw")),
                             (2, "compare", *short, NAME, source))
        assert sorted(os.listdir(folder)) == made, os.listdir(folder)
        assert cluster.images() == ["x"], cluster.images()
        cluster.vhdx("compare", source, NAME)


def read_to_end(process):
    with open(os.devnull, "wb") as nowhere:
        subprocess.run(["cat"], stdin=process.stdout, stdout=nowhere, check=True)


def without_contents(cluster, folder):
    """As a removal leaves it on its way: the header goes last."""
    for name in cluster.run("rados", "-p", POOL, "ls").split():
        if name.startswith(cluster.info(IMAGE)["block_name_prefix"]):
            cluster.run("rados", "-p", POOL, "rm", name)


# What can become of an image that is read, and what is said of it.
LOST = {
    "removed": (lambda cluster, folder: cluster.rbd("rm", "--no-progress", IMAGE), "the image was removed"),
    "replaced": (lambda cluster, folder: cluster.vhdx("convert", "--force", samples.dynamic(folder)[0], NAME),
                 "the image was removed"),
    "half removed": (without_contents, "contents were removed"),
}
for how, (loss, said) in LOST.items():
    @cephnode.case(f"an image that is {how} while it is read: a copy and a comparison fail", always=how != "removed")
    def _(folder, cluster, lose=loss, says=said):
        source = big(folder)
        cluster.vhdx("convert", source, NAME)
        pipe = os.path.join(folder, "pipe")
        os.mkfifo(pipe)
        with half_read(cluster) as (process, _), cluster.start("compare", NAME, pipe) as comparison:
            with open(pipe, "wb") as feed, open(source, "rb") as file:
                feed.write(file.read(16 * MIB))
                lose(cluster, folder)
                with contextlib.suppress(BrokenPipeError):
                    feed.write(file.read())
            status, err = ended(comparison)
            assert status == 2 and err == f"vhdx compare: {NAME}: " + err.partition(f"{NAME}: ")[2], (status, err)
            assert says in err and err.count("\n") == 1, err
            read_to_end(process)
            failed(process, says)


@cephnode.case("a snapshot that is made anew while it is read: the copy fails, and the destination stays as it was",
               always=True)
def _(folder, cluster):
    cluster.vhdx("convert", big(folder), NAME)
    cluster.rbd("snap", "create", "--no-progress", f"{IMAGE}@s")
    out = samples.write(folder, "out.raw", b"older")
    before = cluster.counters()["op_r_out_bytes"]
    with cluster.start("convert", "--force", f"{NAME}@s", out) as process:
        wait_until("nothing is read", lambda: cluster.counters()["op_r_out_bytes"] - before > 3 * OBJECT)
        process.send_signal(signal.SIGSTOP)
        assert process.poll() is None, "all was read before it could be stopped"
        cluster.rbd("snap", "rm", "--no-progress", f"{IMAGE}@s")
        cluster.rbd("snap", "create", "--no-progress", f"{IMAGE}@s")
        goes_on(process)
        failed(process, "the snapshot was removed")
    with open(out, "rb") as file:
        assert file.read() == b"older"
    cluster.vhdx("convert", "--force", f"{NAME}@s", out)


@cephnode.case("the pool gets full in the middle: that is said at once, what is made goes, and a second run ends right "
               "when there is room", always=True)
def _(folder, cluster):
    source = big(folder)
    cluster.rbd("create", "--size", "8M", f"{POOL}/before")
    cluster.rbd("rm", "--no-progress", f"{POOL}/before")
    with half_done(cluster, source, NAME) as process:
        with cluster.full():
            goes_on(process)
            failed(process, "No space left")
            assert not cluster.images(), cluster.images()
    is_right(cluster, source)


@cephnode.case("the pool gets full in the middle, and has no trash yet, without which nothing is removed: what is left has "
               "no contents, and is named")
def _(folder, cluster):
    source = big(folder)
    cluster.run("rados", "-p", POOL, "rm", "rbd_trash", status=None)
    with half_done(cluster, source, NAME) as process:
        with cluster.full():
            goes_on(process)
            failed(process, f"what was made is left as {NAME}.vhdx-new")
            assert cluster.images() == ["x.vhdx-new"], cluster.images()
            assert "rbd_data" not in cluster.run("rados", "-p", POOL, "ls")
    is_right(cluster, source)


@cephnode.case("killed in the middle, run again: the image is right, and the half one is gone")
def _(folder, cluster):
    source = big(folder)
    with half_done(cluster, source, NAME) as process:
        process.kill()
        process.wait()
    assert "x" not in cluster.images(), cluster.images()
    is_right(cluster, source)


@cephnode.case("killed in the middle of --force, run again: until then the old image is there")
def _(folder, cluster):
    old, source = samples.dynamic(folder)[0], big(folder)
    cluster.vhdx("convert", old, NAME)
    with half_done(cluster, "--force", source, NAME) as process:
        process.kill()
        process.wait()
    cluster.vhdx("compare", old, NAME)
    is_right(cluster, source, "--force")


def turning_points(cluster, folder, argv):
    """Numbers of messages of the thread that sends most, which has the connection to the OSD: those that change the
    list of images, those after them, and some of all others."""
    trace = os.path.join(folder, "trace")
    command.traced(trace, ["-s", "4096", "-e", "trace=sendmsg"], argv, env=dict(cluster.env))
    sent = collections.defaultdict(list)
    with open(trace, encoding="utf-8") as file:
        for line in file:
            if "sendmsg(" in line:
                sent[line.split()[0]].append("dir_" in line)
    most = max(sent.values(), key=len)
    changes = [number for number, changes in enumerate(most, 1) if changes]
    assert len(changes) >= 5, f"of {len(most)} messages these change the list: {changes}"
    return sorted({*changes, *(number + 1 for number in changes), *range(1, len(most), len(most) // SPREAD)})


def ran(cluster, argv):
    """Whether it ended right. The image that is replaced is held by the dead for a while, who may be anybody."""
    result = command.run(argv, status=None, env=cluster.env)
    assert not result.status or (result.status == 1 and "cannot be replaced: it is open at" in result.err), result
    return not result.status


def replaced_and_killed(cluster, folder, old, new, number):
    """A convert with --force that is killed at that message; then it is run again."""
    image, own = f"{POOL}/k{number}", os.path.join(folder, str(number))
    argv = [VHDX, "convert", "--force", new, f"rbd:{image}"]
    os.mkdir(own)
    cluster.vhdx("convert", old, f"rbd:{image}")
    result = command.killed_at("sendmsg", number, argv, own, env=dict(cluster.env))
    assert result.status in (0, -9, 137), result
    if f"k{number}" in cluster.images():
        equal = [cluster.vhdx("compare", one, f"rbd:{image}", status={0, 1}).status for one in (old, new)]
        assert equal.count(0) == 1, (number, equal)
        assert result.status or not equal[1], number
    wait_until(f"killed at {number}, it stays open", lambda: ran(cluster, argv))
    cluster.vhdx("compare", new, f"rbd:{image}")
    left = [name for name in cluster.images() if name.startswith(f"k{number}.")]
    assert not left, (number, left)
    return result.status != 0


@cephnode.case("killed at a message to the OSD with --force: the image is the old or the new one, or a second run makes it",
               tap.tool("strace"))
def _(folder, cluster):
    old, new = samples.dynamic(folder)[0], samples.family(folder)[1]
    cluster.vhdx("convert", old, NAME)
    numbers = turning_points(cluster, folder, [VHDX, "convert", "--force", new, NAME])
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        killed = list(pool.map(lambda number: replaced_and_killed(cluster, folder, old, new, number), numbers))
    assert killed.count(True) >= len(killed) // 2, (numbers, killed)


for sent in (signal.SIGINT, signal.SIGTERM):
    @cephnode.case(f"{sent.name} in the middle of a copy into RBD: nothing is left, and an old image is as it was")
    def _(folder, cluster, number=sent):
        source, old = big(folder), samples.dynamic(folder)[0]
        for words in ((), ("--force",)):
            if words:
                cluster.vhdx("convert", old, NAME)
            before = cluster.images()
            with half_done(cluster, *words, source, NAME) as process:
                process.send_signal(number)
                goes_on(process)
                status, err = ended(process)
            assert status == -number and err.count("\n") == 1 and "interrupted" in err, (status, err)
            assert cluster.images() == before, cluster.images()
        cluster.vhdx("compare", old, NAME)


@cephnode.case("SIGINT while the OSD says nothing: the end comes before --timeout would bring it")
def _(folder, cluster):
    source = big(folder)
    with half_done(cluster, "--timeout", "1000", source, NAME) as process:
        with cluster.stopped_osd():
            goes_on(process)
            wait_until("it does not wait", lambda: waits(process))
            process.send_signal(signal.SIGINT)
            status, err = ended(process)
    assert status == -signal.SIGINT and err.count("\n") == 1 and "interrupted" in err, (status, err)
    assert "x" not in cluster.images(), cluster.images()
    is_right(cluster, source)


@cephnode.case("two copies onto one name at once: the second is refused, the first ends right")
def _(folder, cluster):
    source = big(folder)
    with half_done(cluster, source, NAME) as process:
        goes_on(process)
        process.send_signal(signal.SIGSTOP)
        for words in ((), ("--force",)):
            cluster.fails("convert", "--timeout", "5", *words, samples.dynamic(folder)[0], NAME,
                          says="in use|being made|another|progress")
        goes_on(process)
        succeeded(process)
    assert cluster.images() == ["x"], cluster.images()
    cluster.holds(IMAGE, Raw(source))


@cephnode.case("eight copies onto one name at once: one image, which is one of theirs")
def _(folder, cluster):
    sources = [big(folder, f"s{number}", 9 * MIB) for number in range(8)]
    running = [cluster.start("convert", source, NAME) for source in sources]
    results = [ended(process) for process in running]
    for status, err in results:
        assert (status == 0 and not err) or (status == 1 and err.count("\n") == 1), results
    won = [source for source, (status, _) in zip(sources, results) if not status]
    assert cluster.images() == ["x"] and len(won) == 1, (cluster.images(), results)
    cluster.holds(IMAGE, Raw(won[0]))


@cephnode.case("the reader of standard output goes away: one line, and the command ends")
def _(folder, cluster):
    cluster.vhdx("convert", big(folder), NAME)
    with half_read(cluster) as (process, _):
        process.stdout.close()
        process.stdout = None
        status, err = ended(process)
    assert status == -signal.SIGPIPE or (status == 1 and err.count("\n") == 1), (status, err)


tap.main()
