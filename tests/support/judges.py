# SPDX-License-Identifier: MIT
"""The real and crafted images, and the judges that lie beside them; none is part of the project."""
import importlib
import os
import subprocess
import sys

IMAGES = os.environ.get("VHDX_TEST_IMAGES", "")
TOOLS = os.path.join(os.path.dirname(os.path.realpath(IMAGES)), "tools") if IMAGES else ""


def images():
    found = IMAGES and os.path.exists(os.path.join(IMAGES, "manifest.json"))
    return None if found else "no images (VHDX_TEST_IMAGES)"


def judge(name):
    def need():
        return None if TOOLS and os.path.exists(os.path.join(TOOLS, name)) else f"no {name}"
    return need


def load(name):
    """A judge as a module; None where it is absent."""
    if judge(name + ".py")():
        return None
    sys.path.insert(0, TOOLS)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(TOOLS)


lint_there = judge("vhdxlint.py")


def lint(path, *args):
    """The strict judge of what is written finds nothing; its notes are returned."""
    done = subprocess.run([sys.executable, "-B", os.path.join(TOOLS, "vhdxlint.py"), *args, path],
                          capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"vhdxlint {args} {path}:\n{done.stdout}{done.stderr}"
    return done.stdout
