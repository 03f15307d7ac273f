# SPDX-License-Identifier: MIT
"""The real and crafted images, and the judges that lie beside them; none is part of the project."""
import contextlib
import gzip
import importlib
import io
import json
import lzma
import os
import sys

from disks import MIB, PAGE

IMAGES = os.environ.get("VHDX_TEST_IMAGES", "")
TOOLS = os.path.join(os.path.dirname(os.path.realpath(IMAGES)), "tools") if IMAGES else ""


def images():
    found = IMAGES and os.path.exists(os.path.join(IMAGES, "manifest.json"))
    return None if found else "no images (VHDX_TEST_IMAGES)"


def real():
    """What the manifest says of each real image."""
    if images():
        return []
    with open(os.path.join(IMAGES, "manifest.json"), encoding="utf-8") as file:
        return json.load(file)


def crafted():
    """What the manifest says of each crafted image."""
    try:
        with open(os.path.join(IMAGES, "crafted", "manifest.json"), encoding="utf-8") as file:
            return json.load(file)["cases"]
    except OSError:
        return []


def unpack(name, path):
    """An image of the folder into a file, its zeros as holes."""
    where = os.path.join(IMAGES, name)
    with (gzip if name.endswith(".gz") else lzma).open(where) as packed, open(path, "wb") as out:
        while data := packed.read(MIB):
            for i in range(0, len(data), PAGE):
                page = data[i:i + PAGE]
                if page.count(0) == len(page):
                    out.seek(len(page), os.SEEK_CUR)
                else:
                    out.write(page)
        out.truncate(out.tell())


def unpack_real(image, folder):
    """The file, under its own name; and its parents beside it."""
    path = os.path.join(folder, os.path.basename(image["name"]))
    unpack(image["file"], path)
    assert os.path.getsize(path) == image["file_size"]
    for parent in real():
        if parent["name"] == image["parent"]:
            unpack_real(parent, folder)
    return path


def unpack_crafted(case, folder):
    """The leaf's path; its parents lie where they belong."""
    paths = [os.path.join(folder, name) for name in case["files"]]
    for name, path in zip(case["files"], paths):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        unpack(os.path.join("crafted", name + ".gz"), path)
    return paths[0]


def judge(name):
    def need():
        return None if TOOLS and os.path.exists(os.path.join(TOOLS, name)) else f"no {name}"
    return need


def load(name):
    """A judge as a module; None where it is absent."""
    if judge(name + ".py")():
        return None
    sys.path.insert(0, TOOLS)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(TOOLS)


lint_there = judge("vhdxlint.py")


def lint(path, *args):
    """The strict judge of what is written finds nothing; its notes are returned."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        bad = load("vhdxlint").main([*args, path])
    assert not bad, f"vhdxlint {args} {path}:\n{said.getvalue()}"
    return said.getvalue()


def lint_codes(path):
    """Codes of what the strict judge says; none where it is absent."""
    strict = load("vhdxlint")
    return {code for code, _, _ in strict.Lint(path).bad} if strict else set()
