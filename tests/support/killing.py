# SPDX-License-Identifier: MIT
"""A command that is killed at random moments, and then run again: what each leaves is judged."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

import command
import tap

TRIES = 200
MEMORY, ROOM = "/dev/shm", 2 << 30


def run_time(argv, fresh):
    """How long a whole run takes, in seconds: the first ones are slower."""
    times = []
    for _ in range(3):
        fresh()
        begin = time.monotonic()
        command.run(argv)
        times.append(time.monotonic() - begin)
    return min(times)


def killed_after(seconds, argv):
    """Runs a program, and kills it after that time. Returns whether it had not ended yet."""
    process = command.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        err = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        err = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGKILL), (process.returncode, err)
    return process.returncode != 0


def kill_often(name, argv, fresh, left, again=None, done=None, tries=TRIES):
    """Each time: fresh() makes the disks, @argv is run on them and killed at a random moment, and left() judges.
    Then @again, by default @argv, is run to its end, and done(), by default left(), judges; again=() leaves that
    out. @again may be a function that tells, by what is there, what to run. A failure names the trial.

    Moments are spread over a little more than what a run takes, which is learned on the way. Under sanitizers
    there are fewer trials."""
    chance, span, kills = random.Random(name), run_time(argv, fresh), 0
    count = max(10, tries // tap.sampling())
    for trial in range(count):
        fresh()
        seconds = chance.uniform(0, span)
        try:
            killed = killed_after(seconds, argv)
            kills += killed
            left()
            more = again() if callable(again) else argv if again is None else again
            if more:
                command.run(more)
                (done or left)()
        except AssertionError as error:
            raise AssertionError(f"trial {trial}, killed after {seconds:.6f} s of {span:.6f}: {error}") from None
        # An end in time says that the span is too long, a kill that it may be too short.
        span *= 1.03 if killed else 0.92
    assert kills or count < 20, f"no kill came in time in {count} trials"
    return kills


@contextlib.contextmanager
def quick_folder(folder):
    """A folder in memory, if there is room, else the one given: a kill loses nothing that a program wrote, so
    that hundreds of trials need not wait for a disk."""
    room = os.statvfs(MEMORY) if os.access(MEMORY, os.W_OK) else None
    if not room or room.f_bavail * room.f_frsize < ROOM:
        yield folder
        return
    top = tempfile.mkdtemp(prefix="vhdx-test.", dir=MEMORY)
    try:
        yield top
    finally:
        shutil.rmtree(top, ignore_errors=True)


def copy_all(source, target):
    """What is in one folder, holes kept, becomes all that is in another."""
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-r", "--sparse=always", source, target], check=True)
    return [os.path.join(target, name) for name in sorted(os.listdir(target))]


CALLS = ("pwrite64", "pwritev", "fdatasync", "ftruncate", "fallocate")


def kill_at_calls(folder, argv, fresh, left, done):
    """As kill_often, but killed when it is about to make its Nth call of each kind that changes a file, for every N."""
    kills = 0
    for call in CALLS:
        for number in range(1, 1000):
            fresh()
            result = command.killed_at(call, number, argv, folder)
            assert result.status in (0, -9, 137), result
            if not result.status:
                break
            kills += 1
            try:
                left()
                command.run(argv)
                done()
            except AssertionError as error:
                raise AssertionError(f"killed at {call} {number}: {error}") from None
        else:
            raise AssertionError(f"{call}: no end")
    assert kills > 20, kills
