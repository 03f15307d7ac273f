# SPDX-License-Identifier: MIT
"""The library itself: where it is found, how its functions are called, and how its errors become exceptions.

Every call gives up the interpreter's lock while it runs."""
import contextlib
import ctypes
import errno
import operator
import os
import signal
import threading
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Iterator, Optional, SupportsIndex, Union

from . import _structs as c

Path = Union[str, bytes, "os.PathLike[str]"]
Progress = Optional[Callable[[int, Optional[int]], Optional[bool]]]

SONAME = "libvhdx.so.1"


class VhdxError(OSError):
    """What the library found wrong. errno is that of the call; the rest says more.

    text: one line, what was found and what was expected; filename: the file concerned, or None; offset: where in it,
    or None; problem: the number of the problem as in vhdx-problems(7), or None.
    """

    def __init__(self, number: int, text: str, filename: Optional[str] = None, offset: Optional[int] = None,
                 problem: Optional[int] = None) -> None:
        super().__init__(number, text, filename)
        self.text = text
        self.offset = offset
        self.problem = problem

    def __reduce__(self) -> Any:
        return type(self), (self.errno, self.text, self.filename, self.offset, self.problem)

    def __str__(self) -> str:
        return f"{self.filename}: {self.text}" if self.filename else self.text


class Inconsistent(VhdxError):
    """The image breaks the format."""


class Busy(VhdxError):
    """Another process has the file."""


class Cancelled(VhdxError):
    """A progress function asked to stop."""


class NotFound(VhdxError, FileNotFoundError):
    """There is no such file."""


class Exists(VhdxError, FileExistsError):
    """The file that was to be made is there."""


class NotPermitted(VhdxError, PermissionError):
    """The file may not be opened so."""


CLASSES = {errno.ENOENT: NotFound, errno.EEXIST: Exists, errno.EACCES: NotPermitted, errno.EPERM: NotPermitted,
           errno.EUCLEAN: Inconsistent,
           errno.EAGAIN: Busy, errno.ECANCELED: Cancelled}

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
    "vhdx_resize": [c_void_p, c_uint64, POINTER(c.ResizeOptions)],
    "vhdx_compact": [c_void_p, POINTER(c.CompactOptions), POINTER(c.CompactResult)],
    "vhdx_commit": [c_void_p, POINTER(c.CommitOptions)],
    "vhdx_rebase": [c_void_p, POINTER(c.RebaseOptions)],
    "vhdx_diff": [c_void_p, POINTER(c.Source), c_char_p, POINTER(c.DiffOptions)],
    "vhdx_repair": [c_char_p, POINTER(c.RepairOptions), POINTER(c.RepairResult)],
    "vhdx_undo_repair": [c_char_p, c_char_p, c_uint32],
    "vhdx_salvage": [c_char_p, c_char_p, POINTER(c.SalvageOptions), POINTER(c.SalvageResult)],
    "vhdx_compare": [POINTER(c.Source), POINTER(c.Source), POINTER(c.CompareOptions), POINTER(c.Difference)],
}


def _find() -> str:
    """The library that was installed with this package, below whatever prefix; else the system's."""
    packages = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    python = os.path.dirname(packages)
    beside = os.path.join(os.path.dirname(python), SONAME)
    installed = packages.endswith("-packages") and os.path.basename(python).startswith("python")
    return beside if installed and os.path.exists(beside) else SONAME


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("VHDX_LIBRARY", _find()))
    for name, arguments in CALLS.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int
    for name, argument, result in (("vhdx_version", [], c_char_p), ("vhdx_last_error", [], POINTER(c.Error)),
                                   ("vhdx_get_parent", [c_void_p], c_void_p)):
        function = getattr(library, name)
        function.argtypes = argument
        function.restype = result
    return library


library = _load()


def text(value: bytes) -> str:
    """A string of the library's."""
    return value.decode("utf-8", "surrogateescape")


def optional_text(value: Optional[bytes]) -> Optional[str]:
    return None if value is None else text(value)


def path(value: Path) -> bytes:
    """A path as the library takes it."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError("embedded null byte in a path")
    return encoded


def number(value: SupportsIndex, bits: int = 64) -> int:
    """A number as the library takes it; ctypes would cut off what does not fit."""
    found = operator.index(value)
    if not 0 <= found < 1 << bits:
        raise OverflowError(f"{found} is no number of {bits} bits")
    return found


# What the library calls its flags, and this package does not.
HINTS = {"VHDX_RESIZE_SHRINK": "shrink=True"}


def call(name: str, *arguments: Any) -> int:
    """Calls a function; a negative result becomes an exception."""
    result: int = getattr(library, name)(*arguments)
    if result >= 0:
        return result
    found = library.vhdx_last_error().contents
    said = text(found.text)
    for flag, argument in HINTS.items():
        said = said.replace(flag, argument)
    raise CLASSES.get(-result, VhdxError)(
        -result, said, text(found.file) or None,
        None if found.offset == c.NO_OFFSET else found.offset, found.problem or None)


class Callbacks:
    """Functions of the caller's on their way through C: an exception in one stops the call, and comes out of it. So does
    an interrupt from the keyboard, which must not be raised where C calls back: nothing would catch it there."""

    def __init__(self) -> None:
        self.error: Optional[BaseException] = None

    def progress(self, function: Progress) -> Any:
        """For a function of (done, total), which may return True to stop."""
        def tell(_: Any, done: int, total: int) -> int:
            try:
                stop = function(done, total or None) if function and not self.error else None
                return 1 if stop or self.error else 0
            except BaseException as error:  # pylint: disable=broad-except
                self.error = error
                return 1
        return c.PROGRESS_FN(tell)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        def note(*_: Any) -> None:
            self.error = KeyboardInterrupt()

        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def call(self, name: str, *arguments: Any) -> int:
        result = 0
        with self._interruptible():
            try:
                result = call(name, *arguments)
            except VhdxError:
                if not self.error:
                    raise
        if self.error:
            raise self.error
        return result
