# SPDX-License-Identifier: MIT
"""Runs the command under test and other programs, and says what is wrong with their answers."""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata

import tap

VHDX = os.environ.get("VHDX", "")
if not VHDX:
    print("Bail out! VHDX does not name the command")
    sys.exit(1)

TIMEOUT = 120

# A run in the background may ignore these, and the command would keep to that.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


class Result:
    def __init__(self, argv, status, out, err):
        self.argv = argv
        self.status = status  # negative: the signal that ended it
        self.out = out
        self.err = err

    def __str__(self):
        words = " ".join([os.path.basename(self.argv[0]), *map(os.fsdecode, self.argv[1:])])
        return f"{words}\n -> {self.status}\n out: {self.out[:200]!r}\n err: {self.err[:400]!r}"


def run(argv, status=0, stdin=None, stdout=None, timeout=TIMEOUT, **more):
    """Runs a program; @status: what it must exit with, or a set of that, or None for any."""
    argv = [os.fspath(a) for a in argv]
    text = stdin if isinstance(stdin, (bytes, type(None))) else None
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE if text is not None else stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout, stderr=subprocess.PIPE, **more)
    try:
        out, err = process.communicate(text, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"no end after {timeout} s: {argv}") from None
    result = Result(argv, process.returncode, (out or b"").decode("utf-8", "surrogateescape"),
                    err.decode("utf-8", "surrogateescape"))
    assert not re.search(r"Sanitizer|runtime error:", result.err), str(result)
    allowed = {status} if isinstance(status, int) else status
    assert allowed is None or result.status in allowed, f"expected exit {allowed}: {result}"
    return result


def no_search_for_leaks(env):
    """The same environment for a program that a sanitizer cannot search, or whose libraries leak by themselves."""
    return {**env, "ASAN_OPTIONS": env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def traced(trace, options, argv, **more):
    """Runs a program under strace, which takes those @options and writes to the file @trace. Skips the case where
    nothing may be traced. A sanitizer does not look for leaks here: it would have to trace the program itself."""
    more["env"] = no_search_for_leaks(more.get("env", os.environ))
    result = run(["strace", "-f", "-o", trace, *options, *argv], status=None, **more)
    if "ptrace" in result.err or "Operation not permitted" in result.err:
        raise tap.Skip("no ptrace here")
    return result


def killed_at(call, number, argv, folder, signal_name="KILL", **more):
    """Runs a program that gets a signal when it is about to make its @call of that @number."""
    return traced(os.path.join(folder, "trace"),
                  ["-e", f"trace={call}", "-e", f"inject={call}:signal={signal_name}:when={number}"], argv, **more)


@contextlib.contextmanager
def stopped_at(call, argv, folder, reached):
    """Within the block, the program stands still behind its first @call, which is when reached() says so. Yields
    its Result, which is filled in after the block."""
    program = [os.fspath(a) for a in argv]
    trace = ["strace", "-D", "-f", "-o", os.path.join(folder, "trace"), "-e", f"trace={call}",
             "-e", f"inject={call}:signal=STOP:when=1"]
    env = no_search_for_leaks(os.environ)
    process = start([*trace, *program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    result = Result(program, None, "", "")
    end = time.monotonic() + TIMEOUT

    def wait():
        time.sleep(0.01)
        assert time.monotonic() < end, f"no end after {TIMEOUT} s: {result}"

    try:
        while not reached():
            if process.poll() is not None:
                raise tap.Skip(f"not stopped: {process.stderr.read().decode(errors='replace')}")
            wait()
        yield result
        while process.poll() is None:
            process.send_signal(signal.SIGCONT)
            wait()
        out, err = process.communicate()
    finally:
        process.kill()
        process.wait()
    result.status, result.out, result.err = process.returncode, out.decode(), err.decode()


def vhdx(*args, **how):
    """Runs the command. A success must be silent on standard error, unless loud=True."""
    loud = how.pop("loud", False)
    result = run([VHDX, *args], **how)
    if result.status == 0 and not loud:
        assert not result.err, f"standard error is not empty: {result}"
    return result


def vhdx_json(*args, **how):
    result = vhdx(*args, **how)
    try:
        return json.loads(result.out)
    except ValueError as error:
        raise AssertionError(f"not JSON ({error}): {result}") from None


def is_safe(line):
    """Nothing in it ends the line, moves the cursor, or turns the direction of writing."""
    return not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") or
                   "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069" for c in line)


def fails(*args, status=1, says=None, out=False, **how):
    """Runs the command, which must fail with one line `vhdx VERB: ...` and print nothing else."""
    result = run([VHDX, *args], status=status, **how)
    lines = result.err.split("\n")
    assert len(lines) == 2 and not lines[1], f"not one line on standard error: {result}"
    assert lines[0].startswith(f"vhdx {args[0]}: "), f"not 'vhdx {args[0]}: ...': {result}"
    assert is_safe(lines[0]), f"control characters: {result}"
    assert out or not result.out, f"standard output is not empty: {result}"
    if says is not None:
        assert re.search(says, lines[0]), f"does not say '{says}': {result}"
    return lines[0]


def together(function, *calls):
    """Calls the function with each of these lists of arguments, at once: refusals wait for locks a second each."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(function, *call) for call in calls]:
            done.result()


def check(image, *args):
    """(exit status, findings as a dictionary of lists by name) of `vhdx check --json`."""
    result = run([VHDX, "check", "--json", *args, image], status={0, 1, 2, 3})
    try:
        answer = json.loads(result.out) if result.out else {"vhdx": {"findings": []}}
    except ValueError as error:
        raise AssertionError(f"not JSON ({error}): {result}") from None
    found = {}
    for finding in answer["vhdx"]["findings"]:
        found.setdefault(finding["name"], []).append(finding)
    return result.status, found


def start(argv, **more):
    return subprocess.Popen([os.fspath(a) for a in argv], stdin=subprocess.DEVNULL, **more)


def watched(argv, **more):
    """Starts a program below a small process that watches it. Returns that process, and a function that
    waits for the end and returns the most memory that the program had, in bytes.

    A child's peak begins as its parent's, so an interpreter without modules stands between: the
    result is at least that one's own, about 9 MiB. The process ends as the program did."""
    watcher = ("import os,sys\n"
               "p=os.posix_spawn(sys.argv[2],sys.argv[2:],os.environ)\n"
               "s,u=os.wait4(p,0)[1:]\n"
               "os.write(int(sys.argv[1]),b'%d'%u.ru_maxrss)\n"
               "sys.exit(os.waitstatus_to_exitcode(s)&255)\n")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", watcher, str(writing), *map(os.fspath, argv)],
        pass_fds=[writing], stdin=subprocess.DEVNULL, **more)
    os.close(writing)

    def peak():
        with os.fdopen(reading, "rb") as answer:
            return int(answer.read()) << 10
    return process, peak
