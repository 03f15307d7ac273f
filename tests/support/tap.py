# SPDX-License-Identifier: MIT
"""Cases of a test script, printed as TAP: a plan, then one line a case.

    @case("a name that says the behaviour", tool("qemu-img"), root)
    def _(folder): ...

A case gets a folder of its own, removed afterwards. It passes unless it raises; Skip skips it. What
follows the name are requirements: functions that return why the case cannot run here, or None."""
import itertools
import os
import shutil
import sys
import tempfile
import traceback


class Skip(Exception):
    pass


_cases = []


def add(name, function, *needs):
    _cases.append((name, function, needs))


def case(name, *needs):
    def register(function):
        add(name, function, *needs)
        return function
    return register


def tool(*names):
    def need():
        for name in names:
            if not find_tool(name):
                return f"no {name}"
        return None
    return need


def find_tool(name):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def root():
    return None if os.geteuid() == 0 else "needs root"


def not_root():
    return "root may do everything" if os.geteuid() == 0 else None


def whole():
    """Heavy cases run in full test runs only."""
    return f"heavy, and VHDX_TEST_SAMPLING is {sampling()}" if sampling() > 1 else None


def sampling():
    return max(1, int(os.environ.get("VHDX_TEST_SAMPLING", "1")))


def sampled(items, least=1):
    """Of alike cases, one in so many as VHDX_TEST_SAMPLING says, but @least of them."""
    items = list(items)
    return items[::max(1, min(sampling(), len(items) // least))]


_turns = itertools.count()


def in_turns(items):
    """All of them, or where cases are sampled a third: other ones at each call."""
    items, step = list(items), min(sampling(), 3)
    return items[next(_turns) % step::step]


def _one_line(text):
    return " ".join(str(text).split()).replace("#", "no.")


def _with_causes(error):
    """Where it came from, and what had gone wrong before: a cleanup that fails hides why it was needed."""
    while error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        yield f"{str(error) or type(error).__name__}\n({place.filename}:{place.lineno}: {place.line})"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _run(name, function, needs, number):
    for need in needs:
        why = need()
        if why:
            return f"ok {number} {name} # SKIP {_one_line(why)}"
    folder = tempfile.mkdtemp(prefix="vhdx-test.")
    before = os.getcwd()
    try:
        os.chmod(folder, 0o755)
        function(folder)
        return f"ok {number} {name}"
    except Skip as skip:
        return f"ok {number} {name} # SKIP {_one_line(skip)}"
    except Exception as error:  # any failure is the case's, and the next one still runs
        for line in "\nwhile handling:\n".join(_with_causes(error)).splitlines():
            print("#", line)
        if not isinstance(error, AssertionError):
            for line in traceback.format_exc().splitlines():
                print("#", line)
        return f"not ok {number} {name}"
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    """Runs the cases, or those whose name holds an argument's text."""
    wanted = sys.argv[1:]
    chosen = [c for c in _cases if not wanted or any(w in c[0] for w in wanted)]
    if not chosen:
        print("1..0 # SKIP no case")
        sys.exit(0)
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, function, needs) in enumerate(chosen, 1):
        line = _run(_one_line(name), function, needs, number)
        failed += line.startswith("not ok")
        print(line, flush=True)
    sys.exit(failed > 0)
