#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python package beside the header, its own types, and its page."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "support"))

import ctypes
import re
import tarfile

import command
import tap
from package import TOP, image, loads

if not loads():
    import vhdx
    from vhdx import _foreign, _structs


# ---- The interface to C ----

PROGRAM = """#include <stdio.h>
#include <vhdx.h>
int main(void)
{
%s
	return 0;
}
"""


@tap.case("structs and constants are those of the header", loads, tap.tool("cc"))
def _(folder):
    lines = []
    for struct, name in _structs.NAMES.items():
        lines.append(f'\tprintf("{name} %zu\\n", sizeof(struct {name}));')
        for field, _ in struct._fields_:
            lines.append(f'\tprintf("{name}.{field} %zu %zu\\n", offsetof(struct {name}, {field}), '
                         f'sizeof(((struct {name} *)0)->{field}));')
    constants = [name for name in dir(_structs) if re.match(r"(OPEN|EXTENTS|CHECK|CREATE|CONVERT|RESIZE|COMPACT|COMMIT|REBASE|REPAIR|SALVAGE|FORMAT|ZERO|FUA|NO_OFFSET)", name)]
    assert len(constants) > 15
    lines += [f'\tprintf("{name} %llu\\n", (unsigned long long)VHDX_{name});' for name in constants]
    source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM % "\n".join(lines))
    command.run(["cc", "-I", os.path.join(TOP, "include"), source, "-o", program])
    told = command.run([program]).out.splitlines()
    known = []
    for struct, name in _structs.NAMES.items():
        known.append(f"{name} {ctypes.sizeof(struct)}")
        known += [f"{name}.{field} {getattr(struct, field).offset} {getattr(struct, field).size}"
                  for field, _ in struct._fields_]
    known += [f"{name} {getattr(_structs, name)}" for name in constants]
    assert told == known, [pair for pair in zip(told, known) if pair[0] != pair[1]][:5]


@tap.case("enumerations are those of the header", loads)
def _(_):
    with open(os.path.join(TOP, "include", "vhdx.h"), encoding="ascii") as file:
        header = file.read()
    for enumeration, name, prefix in ((vhdx.Type, "type", ""), (vhdx.LogState, "log_state", "LOG_"),
                                      (vhdx.Kind, "extent_type", "EXTENT_"), (vhdx.Severity, "severity", "")):
        body = re.search(rf"^enum vhdx_{name} {{(.*?)^}};", header, re.M | re.S)[1]
        found = {key: int(value) for key, value in re.findall(rf"VHDX_{prefix}(\w+) =\s+(\d+)", body)}
        assert found == {one.name: one.value for one in enumeration}, (name, found)


FOREIGN = """#include <stdio.h>
#include "foreign.c"
int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct signature *s = &signatures[i];

		if (s->foreign.is_disk)
			continue;
		printf("%ld ", s->offset);
		for (size_t j = 0; j < s->size; j++)
			printf("%02x", (unsigned char)s->bytes[j]);
		printf(" %s: %s\\n", s->foreign.name, s->foreign.advice);
	}
	return 0;
}
"""


@tap.case("other formats are known, and what is said of them, as by the command", loads, tap.tool("cc"))
def _(folder):
    source, program = os.path.join(folder, "table.c"), os.path.join(folder, "table")
    with open(source, "w", encoding="ascii") as file:
        file.write(FOREIGN)
    command.run(["cc", "-D_GNU_SOURCE", *(f"-I{os.path.join(TOP, name)}" for name in ("cli", "remote", "include")), source, "-o",
                 program])
    known = [f"{one.offset} {one.content.hex()} {one.name}: {one.advice}" for one in _foreign.SIGNATURES]
    told = command.run([program]).out.splitlines()
    assert told == known, [pair for pair in zip(told, known) if pair[0] != pair[1]]


TYPED = """from typing import List, Optional
import tarfile
import vhdx


def show(done: int, total: Optional[int]) -> bool:
    return False


def names(path: str) -> List[str]:
    vhdx.create("new.vhdx", 1 << 26, vhdx.Type.DYNAMIC, block_size=1 << 20, force=True)
    vhdx.convert(path, "new.vhdx", type=vhdx.Type.FIXED, force=True, progress=show)
    with vhdx.open(path, parent_dirs=["."]) as disk, disk.file() as file, tarfile.open(fileobj=file) as archive:
        ends: List[int] = [one.offset + one.length for one in disk.extents() if one.kind is vhdx.Kind.DATA]
        raw: vhdx.RawFile = disk.file(buffering=0)
        assert raw.length == disk.size
        assert disk.parent is None or disk.parent.info.virtual_size < ends[-1]
        return archive.getnames() + [one.text for one in vhdx.check(path, chain=True).findings]
"""


@tap.case("the package and a program that uses it are typed strictly, and a wrong use is told", tap.tool("mypy"))
def _(folder):
    env = dict(os.environ, MYPYPATH=os.path.join(TOP, "python"))
    command.run(["mypy", "--strict", "--cache-dir", folder, "-p", "vhdx"], cwd=folder, env=env)
    for name, text, status in (("right", TYPED, 0), ("wrong", TYPED.replace("force=True, progress", "forse=True, progress"), 1),
                               ("number", TYPED + "\nprint(vhdx.__version__ + 1)\n", 1)):
        program = os.path.join(folder, f"{name}.py")
        with open(program, "w", encoding="ascii") as file:
            file.write(text)
        command.run(["mypy", "--strict", "--cache-dir", folder, program], status, cwd=folder, env=env)


@tap.case("the same seed makes the same file", loads)
def _(folder):
    contents = []
    for name in "a.vhdx", "b.vhdx":
        with open(image(folder, name, seed=b"seed"), "rb") as file:
            contents.append(file.read())
    assert contents[0] == contents[1]


@tap.case("the examples of its page run", loads)
def _(folder):
    with open(os.path.join(TOP, "docs", "PYTHON.md"), encoding="ascii") as file:
        blocks = re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)
    assert len(blocks) >= 8
    image(folder)
    path = os.pathsep.join([os.path.join(TOP, "python"), os.environ.get("PYTHONPATH", "")])
    out = command.run([sys.executable, "-W", "error", "-B", "-c", "".join(blocks)], cwd=folder,
                      env=dict(os.environ, PYTHONPATH=path)).out
    assert "DYNAMIC 67108864 2097152" in out and "['disk.vhdx']" in out and out.splitlines()[-1].startswith("203 "), out


tap.main()
