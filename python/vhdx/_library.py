# SPDX-License-Identifier: MIT
"""The library itself: where it is found, how its functions are called, and how its errors become exceptions.

Every call gives up the interpreter's lock while it runs."""
import ctypes
import errno
import operator
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p

from . import _structs as c

SONAME = "libvhdx.so.1"


class VhdxError(OSError):
    """What the library found wrong. errno is that of the call; the rest says more.

    text: one line, what was found and what was expected; filename: the file concerned, or None; offset: where in it,
    or None; problem: the number of the problem as in vhdx-problems(7), or None.
    """

    def __init__(self, number: int, text: str, filename=None, offset=None, problem=None):
        super().__init__(number, text, filename)
        self.text = text
        self.offset = offset
        self.problem = problem

    def __str__(self):
        return f"{self.filename}: {self.text}" if self.filename else self.text


class Inconsistent(VhdxError):
    """The image breaks the format."""


class Busy(VhdxError):
    """Another process has the file."""


class Cancelled(VhdxError):
    """A progress function asked to stop."""


CLASSES = {errno.EUCLEAN: Inconsistent, errno.EAGAIN: Busy, errno.ECANCELED: Cancelled}

# Functions that return 0 or a negative errno.
CALLS = {
    "vhdx_open": [c_char_p, POINTER(c.OpenOptions), POINTER(c_void_p)],
    "vhdx_close": [c_void_p],
    "vhdx_probe": [c_char_p],
    "vhdx_get_info": [c_void_p, POINTER(c.Info)],
    "vhdx_pread": [c_void_p, c_void_p, c_size_t, c_uint64],
    "vhdx_pwrite": [c_void_p, c_void_p, c_size_t, c_uint64, c_uint32],
    "vhdx_zero": [c_void_p, c_uint64, c_uint64, c_uint32],
    "vhdx_trim": [c_void_p, c_uint64, c_uint64, c_uint32],
    "vhdx_flush": [c_void_p],
    "vhdx_extents": [c_void_p, c_uint64, c_uint64, c_uint32, POINTER(c.Extent), POINTER(c_size_t)],
    "vhdx_check": [c_void_p, POINTER(c.CheckOptions), POINTER(c.CheckResult)],
    "vhdx_create": [c_char_p, POINTER(c.CreateOptions)],
    "vhdx_convert": [POINTER(c.Source), POINTER(c.Destination), POINTER(c.ConvertOptions)],
    "vhdx_compare": [POINTER(c.Source), POINTER(c.Source), POINTER(c.CompareOptions), POINTER(c.Difference)],
}


def _load():
    library = ctypes.CDLL(os.environ.get("VHDX_LIBRARY", SONAME))
    for name, arguments in CALLS.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int
    library.vhdx_version.restype = c_char_p
    library.vhdx_last_error.restype = POINTER(c.Error)
    library.vhdx_get_parent.argtypes = [c_void_p]
    library.vhdx_get_parent.restype = c_void_p
    return library


library = _load()


def text(value):
    """A string of the library's, or None."""
    return None if value is None else value.decode("utf-8", "surrogateescape")


def path(value) -> bytes:
    """A path as the library takes it."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError("embedded null byte in a path")
    return encoded


def number(value, bits: int = 64) -> int:
    """A number as the library takes it; ctypes would cut off what does not fit."""
    found = operator.index(value)
    if not 0 <= found < 1 << bits:
        raise OverflowError(f"{found} is no number of {bits} bits")
    return found


def call(name, *arguments) -> int:
    """Calls a function; a negative result becomes an exception."""
    result = getattr(library, name)(*arguments)
    if result >= 0:
        return result
    found = library.vhdx_last_error().contents
    raise CLASSES.get(-result, VhdxError)(
        -result, text(found.text), text(found.file) or None,
        None if found.offset == c.NO_OFFSET else found.offset, found.problem or None)


class Callbacks:
    """Functions of the caller's on their way through C: an exception in one stops the call, and comes out of it."""

    def __init__(self):
        self.error = None

    def progress(self, function):
        """For a function of (done, total), which may return True to stop."""
        if not function:
            return c.PROGRESS_FN()

        def tell(_, done, total):
            try:
                return 1 if self.error or function(done, total or None) else 0
            except BaseException as error:  # pylint: disable=broad-except
                self.error = error
                return 1
        return c.PROGRESS_FN(tell)

    def call(self, name, *arguments):
        result = 0
        try:
            result = call(name, *arguments)
        except VhdxError:
            if not self.error:
                raise
        if self.error:
            raise self.error
        return result
