#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Debian packages: built, judged by lintian, installed in a bare root, tried there as debian/tests says, purged."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import atexit
import functools
import glob
import re
import shutil
import subprocess
import tempfile

import command
import tap

SOURCE = os.environ.get("VHDX_SOURCE") or os.path.dirname(os.path.dirname(HERE))
CONTROL = os.path.join(SOURCE, "debian", "tests", "control")
TIMEOUT = 1800  # meson has a limit of its own


def once(function):
    """What several cases need is made by the first; a failure is each one's."""
    answers = []

    @functools.wraps(function)
    def wrapper():
        if not answers:
            try:
                answers.append((function(), None))
            except (AssertionError, tap.Skip) as error:
                answers.append((None, error))
        answer, error = answers[0]
        if error:
            raise error
        return answer
    return wrapper


def folder():
    made = tempfile.mkdtemp(prefix="vhdx-test.")
    os.chmod(made, 0o755)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def what_builds():
    """A build installs what it needs, which a test must not do."""
    if not tap.find_tool("dpkg-checkbuilddeps"):
        return "no dpkg-dev"
    answer = subprocess.run(["dpkg-checkbuilddeps", "-P", "nocheck"], cwd=SOURCE, text=True, check=False,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return answer.stderr if answer.returncode else None


@once
def packages():
    """A folder with the packages of the sources as they stand."""
    made = folder()
    env = {name: value for name, value in os.environ.items() if name not in ("CC", "CFLAGS", "DEB_BUILD_OPTIONS")}
    command.run([os.path.join(SOURCE, "scripts", "packages"), made], env=env, timeout=TIMEOUT)
    return made


def field(deb, name):
    return command.run(["dpkg-deb", "-f", deb, name]).out.strip()


def stanzas():
    """Of debian/tests/control: the names of tests, and what they depend on."""
    with open(CONTROL, encoding="utf-8") as file:
        for stanza in file.read().split("\n\n"):
            values = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", stanza, re.MULTILINE))
            yield from ((test, values["Depends"]) for test in values["Tests"].split())


def others(debs):
    """The packages of Debian's that ours and the tests depend on."""
    own = {field(deb, "Package") for deb in debs}
    wanted = [field(deb, "Depends") for deb in debs] + [depends for _, depends in stanzas()]
    names = {re.split(r"[ :(]", name.strip())[0] for text in wanted for name in text.split(",")}
    return sorted(names - own - {""})


@once
def bare_root():
    """A root of Debian's with nothing but what our packages depend on, and those installed in it."""
    debs = glob.glob(os.path.join(packages(), "*.deb"))
    root = os.path.join(folder(), "root")
    made = command.run(["mmdebstrap", "--quiet", "--variant=apt", "--include=" + ",".join(others(debs)),
                        "bookworm", root], status=None, timeout=TIMEOUT)
    if made.status and re.search(r"apt-get .*(update|download)|Failed to fetch", made.err):
        raise tap.Skip("Debian's packages cannot be had: " + made.err.strip().splitlines()[-1])
    assert made.status == 0, str(made)
    os.mkdir(os.path.join(root, "debs"))
    for deb in debs:
        shutil.copy(deb, os.path.join(root, "debs"))
    inside(root, "sh", "-c", "dpkg -i /debs/*.deb")
    shutil.rmtree(os.path.join(root, "debs"))
    # What the tests of Debian's may see of a source.
    for name in ("debian/tests", "examples", "docs"):
        shutil.copytree(os.path.join(SOURCE, name), os.path.join(root, "source", name))
    return root


def inside(root, *argv, **more):
    """Runs a program in the root, with processes and mounts of its own, which end with it."""
    mounts = ('mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/tmp" && '
              'root=$0 && exec chroot "$root" "$@"')
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    return command.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mounts, root, *argv],
                       env=env, timeout=TIMEOUT, **more)


@tap.case("the source package is made of the same files where git is absent or refuses", tap.tool("git", "bash"))
def _(place):
    tree, tools = os.path.join(place, "tree"), os.path.join(place, "tools")
    for name in ("one", ".hidden", "lib/two words", "build/object", "build-packages/build.log"):
        os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
        open(os.path.join(tree, name), "w", encoding="utf-8").close()
    with open(os.path.join(tree, ".gitignore"), "w", encoding="utf-8") as file:
        file.write("/build*/\n")
    command.run(["git", "init", "-q", tree])
    os.mkdir(tools)
    os.symlink(tap.find_tool("find"), os.path.join(tools, "find"))
    with open(os.path.join(SOURCE, "scripts", "packages"), encoding="utf-8") as file:
        function = re.search(r"^files\(\) \{\n.*?^\}\n", file.read(), re.MULTILINE | re.DOTALL)[0]

    def listed(**env):
        answer = command.run([tap.find_tool("bash"), "-eu", "-o", "pipefail", "-c", function + "files"], cwd=tree,
                             env={**os.environ, **env})
        return sorted(answer.out.split("\0")[:-1])

    expected = [".gitignore", ".hidden", "lib/two words", "one"]
    assert listed() == expected, listed()
    assert listed(PATH=tools) == expected, listed(PATH=tools)
    refusing = os.path.join(place, "none")
    assert listed(GIT_DIR=refusing) == expected, listed(GIT_DIR=refusing)


BUILT = (tap.whole, what_builds)
INSTALLED = (*BUILT, tap.root, tap.tool("mmdebstrap", "unshare"))


@tap.case("lintian has nothing to say of the packages", *BUILT, tap.tool("lintian"))
def _(_folder):
    changes = glob.glob(os.path.join(packages(), "*.changes"))
    answer = command.run(["lintian", "--allow-root", "--display-info", "--pedantic", "--tag-display-limit", "0",
                          *changes], status=None, timeout=TIMEOUT)
    assert not answer.out and answer.status == 0, answer.out or str(answer)


def try_installed(name, _folder):
    test = f"cd /source && exec debian/tests/{name}"
    answer = inside(bare_root(), "sh", "-c", test, status=None)
    if answer.status == 77:
        raise tap.Skip(answer.out)
    # Without a restriction, what a test says on standard error is a failure.
    assert answer.status == 0 and not answer.err, str(answer)


for test, _depends in stanzas():
    tap.add(f"installed in a bare root: {test}", functools.partial(try_installed, test), *INSTALLED)


@tap.case("a purge leaves nothing", *INSTALLED)
def _(_folder):
    root = bare_root()
    own = [field(deb, "Package") for deb in glob.glob(os.path.join(packages(), "*.deb"))]
    inside(root, "dpkg", "--purge", *own)
    # man keeps pages that were formatted; dpkg and apt their logs.
    left = inside(root, "find", "/", "-xdev", "-name", "*vhdx*", "-not", "-path", "/var/cache/man/*").out
    assert not left, left


tap.main()
