#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/run measures every table whose programs are there, reports what it saw, and leaves nothing behind."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import cephnode
import command
import server
import tap
from command import VHDX

SOURCE = os.path.join(HERE, os.pardir, os.pardir)
RUN, REPORT, SCALE = (os.path.join(SOURCE, "bench", name) for name in ("run", "report", "scale.sh"))
BUILD = os.environ.get("VHDX_BUILD") or os.path.join(os.path.dirname(VHDX), os.pardir)


def built():
    """Why the bench cannot run here, or None."""
    if os.environ.get("VHDX_TEST_EMULATOR"):
        return "emulated programs are not measured"
    if not os.path.exists(os.path.join(BUILD, "bench", "launch")):
        return "the bench's programs are not built"
    return None


def plain():
    """A sanitizer's runtime library would have to be loaded into peers."""
    return "built with a sanitizer" if os.path.exists(server.PLUGIN) and server.sanitizer() else None


NEEDS = (built, plain, tap.root)


def environment(folder, **more):
    return {**os.environ, "BENCH_DIR": folder, "VHDX_BUILD": BUILD, **more}


def left(folder):
    """What a run in that folder left behind: files, mounts, loop devices, processes."""
    found = os.listdir(folder)
    with open("/proc/mounts", encoding="utf-8") as file:
        found += [line for line in file if folder in line]
    found += [line for line in command.run([tap.find_tool("losetup"), "--list", "-O", "NAME,BACK-FILE"]).out
              .splitlines() if folder in line]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        if folder.encode() in words:
            found.append(f"{pid}: {words!r}")
    return found


def places(folder):
    """Folders for a run, and for what it tells."""
    names = [os.path.join(folder, name) for name in ("work", "docs")]
    for name in names:
        os.mkdir(name)
    shutil.copy(os.path.join(SOURCE, "docs", "PERFORMANCE.md"), names[1])
    return names


def report(docs, *words, status=0):
    return command.run([sys.executable, REPORT, "--docs", docs, *words], status=status)


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def has_plugin():
    return None if os.environ.get("VHDX_NBDKIT_PLUGIN") else "the plugin is not built"


@tap.case("every row is measured and reported, and nothing is left", *NEEDS, tap.tool("losetup"), has_plugin)
def _(folder):
    work, docs = places(folder)
    told = os.path.join(folder, "told.json")
    done = command.run([sys.executable, RUN, "--smoke", "--json", told], env=environment(work))
    result = json.loads(read(told))
    assert result["how"] == "smoke" and result["machine"]["vhdx"], result
    missing = re.findall(r"^no (\S+):", done.err, re.MULTILINE)
    for table in result["tables"]:
        assert table["rows"] or missing, f"no row in {table['name']}"
        for row in table["rows"]:
            assert len(row["runs"]["vhdx"]["values"]) == 1, row
            assert row["name"] in done.out, (row["name"], done.out)
    assert not left(work), left(work)
    report(docs, told)
    report(docs, "--check")
    for table in result["tables"]:
        for row in table["rows"]:
            assert f"| {row['name']} |" in read(docs, "PERFORMANCE.md"), row["name"]


@tap.case("Ceph RBD is measured on a cluster of its own, and nothing is left", *NEEDS, cephnode.installed,
          cephnode.client)
def _(folder):
    told = os.path.join(folder, "told.json")
    work = os.path.join(folder, "work")
    os.mkdir(work)
    command.run([SCALE, "--smoke", "--json", told], env=environment(work, CEPH_TOOLS=os.path.dirname(
        cephnode.script("up.sh")), CEPH_PORT=str(cephnode.free_port())))
    rows = json.loads(read(told))["tables"][0]["rows"]
    assert {name for row in rows for name in row["runs"]} == {"vhdx", "qemu-img", "rbd import", "rbd export"}, rows
    assert not left(work), left(work)


def made_up(seconds):
    """A result with two rows, of which the first takes that long, where the limit takes 1 s and 1.1 s are the goal."""
    row = {"name": "first", "unit": "s", "limit": "cp", "peers": None, "goal": 1.1, "against": None, "at_most": None,
           "most_mib": None, "runs": {"vhdx": {"values": [seconds] * 3}, "cp": {"values": [1.0] * 3},
                                      "qemu-img": {"values": [4.0, 3.0, 5.0]}}}
    rate = {**row, "name": "second", "unit": "/s", "goal": 0.95, "runs": {
        "vhdx": {"values": [96.0], "peak_mib": [8.0]}, "cp": {"values": [100.0]}}, "most_mib": 64}
    return {"how": "full", "machine": {"processor": "?", "processors": 1, "memory_gib": 1, "kernel": "0",
                                       "distribution": "?", "file_system": "ext4", "vhdx": "0", "peers": {}},
            "tables": [{"name": "made", "title": "Made up", "rows": [row, rate]}]}


def reported(folder, result):
    work, docs = places(folder)
    path = os.path.join(work, "result.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)
    report(docs, path)
    return docs, read(docs, "PERFORMANCE.md"), read(docs, "performance.svg")


def printed(result):
    """What bench/run prints of it."""
    script = ("import json, sys; sys.path.insert(0, sys.argv[1]); from support import terminal\n"
              "result = json.loads(sys.argv[2])\n"
              "for row in result['tables'][0]['rows']: terminal.print_row(row)\n"
              "terminal.print_end(result)")
    return command.run([sys.executable, "-B", "-c", script, os.path.dirname(RUN), json.dumps(result)]).out


@tap.case("a goal that is missed is marked in the table, at the end, on the page and in the picture")
def _(folder):
    _, page, picture = reported(folder, made_up(1.2))
    assert page.count("**missed:**") == 1 and "1 of 2 rows misses its goal" in page, page
    assert "- Made up; first: 1.2, not ≤ 1.1 of cp" in page, page
    assert picture.count(">first  ✗<") == 1 and picture.count("✗<") == 1, picture
    out = printed(made_up(1.2))
    assert out.count("MISSED") == 1 and "1.2, not ≤ 1.1 of cp" in out.splitlines()[-1], out


@tap.case("a goal that is met is not marked")
def _(folder):
    _, page, picture = reported(folder, made_up(1.05))
    assert "**missed:**" not in page and "None of 2 rows misses its goal." in page, page
    assert "| 1.05 | 0.26 |" in page, page
    assert "✗<" not in picture, picture
    assert "MISSED" not in printed(made_up(1.05))


@tap.case("rates and memory have goals too")
def _(folder):
    result = made_up(1.0)
    runs = result["tables"][0]["rows"][1]["runs"]
    runs["vhdx"] = {"values": [94.0], "peak_mib": [65.0]}
    _, page, _ = reported(folder, result)
    assert "- Made up; second: 0.94, not ≥ 0.95 of cp; 65, not ≤ 64 MiB" in page, page


@tap.case("a page or a picture that does not follow from the figures is told")
def _(folder):
    docs, page, _ = reported(folder, made_up(1.0))
    report(docs, "--check")
    for name in ("PERFORMANCE.md", "performance.svg"):
        path = os.path.join(docs, name)
        before = read(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(before.replace("Made up", "Other"))
        result = report(docs, "--check", status=1)
        assert f"{name} does not follow" in result.out, str(result)
        report(docs)
        assert read(path) == before


def interrupted(folder, table, number, ready):
    """Interrupts a run when @ready(the folder that it works in); what it leaves is an error."""
    process = command.start([sys.executable, RUN, "--quick", table], env=environment(folder),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + command.TIMEOUT
    while process.poll() is None and not (os.listdir(folder) and ready(os.path.join(folder, os.listdir(folder)[0]))):
        assert time.monotonic() < end, f"{table} does not begin"
        time.sleep(0.01)
    process.send_signal(number)
    status = process.wait(command.TIMEOUT)
    assert status == 128 + number, f"{table} ended with {status}"
    assert not left(folder), left(folder)


@tap.case("interrupted while something is mounted, it leaves nothing", *NEEDS, server.served,
          tap.tool("losetup", "mkfs.xfs", "qemu-img"))
def _(folder):
    interrupted(folder, "convert", signal.SIGINT, lambda top: os.path.ismount(os.path.join(top, "xfs")))


@tap.case("interrupted while it serves, it leaves nothing", *NEEDS, server.served,
          tap.tool("losetup", "nbdkit", "fio"))
def _(folder):
    def serves(top):
        return any(name.endswith(".sock") for _, _, names in os.walk(top) for name in names)
    interrupted(folder, "serve", signal.SIGTERM, serves)


@tap.case("where a program fails, it says which, and leaves nothing", *NEEDS, tap.tool("losetup"))
def _(folder):
    result = command.run([sys.executable, RUN, "--smoke", "convert"], status=1,
                         env=environment(folder, VHDX=shutil.which("false")))
    assert re.fullmatch(r"bench: \S*false convert .*: exit status 1: \n", result.err), str(result)
    assert not left(folder), left(folder)


tap.main()
