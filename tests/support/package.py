# SPDX-License-Identifier: MIT
"""The Python package over the library that is tested, for scripts that import it, and what they share."""
import os
import subprocess
import sys
import warnings

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, os.pardir)
sys.path.insert(0, os.path.join(TOP, "python"))
os.environ["VHDX_LIBRARY"] = os.environ["VHDX_LIB_SHARED"]

from disks import MIB

warnings.simplefilter("error")


def loads():
    """A library with sanitizers, or of another architecture, cannot be loaded into this Python."""
    told = subprocess.run([sys.executable, "-c", "import ctypes, os; ctypes.CDLL(os.environ['VHDX_LIBRARY'])"],
                          capture_output=True, check=False)
    return "this Python cannot load the library" if told.returncode else None


if not loads():
    import vhdx


def image(folder, name="disk.vhdx", size=64 * MIB, **how):
    path = os.path.join(folder, name)
    vhdx.create(path, size, **how)
    return path


def fails(kind, function, *arguments, number=None, **more):
    try:
        function(*arguments, **more)
    except kind as error:
        assert number is None or error.errno == number, error.errno
        return error
    raise AssertionError(f"no {kind.__name__} from {function.__name__}{arguments}")
