# SPDX-License-Identifier: MIT
"""An open virtual disk, and the disk as a file object."""
import atexit
import contextlib
import ctypes
import enum
import io
import operator
import os
import sys
import threading
import uuid
import warnings
import weakref
from ctypes import byref, c_char_p, c_size_t, c_void_p
from types import TracebackType
from typing import (Any, Callable, Iterator, List, Literal, NamedTuple, NoReturn, Optional, Sequence, SupportsIndex, Tuple, Union,
                    overload)
from typing import Type as Class

from . import _structs as c
from ._library import Path, call, library, number, optional_text, path, text

EXTENTS = 256
BUFFERING = 1 << 20


class Type(enum.IntEnum):
    DYNAMIC = 0
    FIXED = 1
    DIFFERENCING = 2


class LogState(enum.IntEnum):
    CLEAN = 0
    EMPTY = 1
    DIRTY = 2
    CORRUPT = 3


class Kind(enum.IntEnum):
    """What an extent is: data of a file, zeros, nothing at all, or the parent's."""
    DATA = 0
    ZERO = 1
    ABSENT = 2
    PARENT = 3


class Extent(NamedTuple):
    offset: int
    length: int
    kind: Kind
    depth: int  # which file of the chain says so: 0 this one, 1 its parent
    file_offset: Optional[int]  # of data, in that file


class Info(NamedTuple):
    """What an image is; sizes in bytes."""
    path: Optional[str]
    type: Type
    virtual_size: int
    block_size: int
    logical_sector_size: int
    physical_sector_size: int
    file_size: int
    blocks: int
    creator: Optional[str]
    disk_id: uuid.UUID
    file_write_guid: uuid.UUID
    data_write_guid: uuid.UUID
    log_state: LogState
    log_entries: int
    sequence_number: int
    relative_path: Optional[str]  # of a child: what it calls its parent, as the others
    absolute_win32_path: Optional[str]
    volume_path: Optional[str]


def _info(found: c.Info) -> Info:
    def guid(value: c.Guid) -> uuid.UUID:
        return uuid.UUID(bytes_le=bytes(value.bytes))

    return Info(optional_text(found.path), Type(found.type), found.virtual_size, found.block_size, found.logical_sector_size,
                found.physical_sector_size, found.file_size, found.blocks, optional_text(found.creator), guid(found.disk_id),
                guid(found.file_write_guid), guid(found.data_write_guid), LogState(found.log_state), found.log_entries,
                found.sequence_number, optional_text(found.relative_path), optional_text(found.absolute_win32_path),
                optional_text(found.volume_path))


def _warn(_: Any, file: bytes, message: bytes) -> None:
    warnings.warn(f"{text(file)}: {text(message)}", stacklevel=2)


WARN = c.WARNING_FN(_warn)


def open_options(flags: int, parent_dirs: Sequence[Path] = (), lock_wait: float = 0, write_parents: int = 0) -> c.OpenOptions:
    if isinstance(parent_dirs, (str, bytes)):  # a sequence too: of letters, and of "/"
        raise TypeError("parent_dirs: a list of folders is needed, not one path")
    dirs = (c_char_p * (len(parent_dirs) + 1))(*map(path, parent_dirs), None)
    return c.OpenOptions(flags=flags, parent_dirs=dirs, warning=WARN, lock_wait_ms=number(int(lock_wait * 1000), 32),
                         write_parents=number(write_parents, 32))


def _address(buffer: Any, writable: bool) -> Tuple[Any, int]:
    """A pointer to the bytes of anything that has a buffer, and how many they are; the first keeps them where they are."""
    view = memoryview(buffer).cast("B")
    if writable and view.readonly:
        raise TypeError("a buffer that can be written is needed")
    if not view.nbytes:
        return c_void_p(), 0
    if not view.readonly:
        return (ctypes.c_char * view.nbytes).from_buffer(view), view.nbytes
    return ctypes.c_char_p(view.tobytes() if not isinstance(buffer, bytes) else buffer), view.nbytes


Buffered = Union[io.BufferedReader, io.BufferedRandom]


def _finish(file: Buffered, finish: Callable[[], None]) -> None:
    """Flushes or closes a file that others may have closed, or detached, before: it holds nothing then."""
    try:
        finish()
    except ValueError:
        try:
            over = file.closed
        except ValueError:  # detached, it does not even know that
            over = True
        if not over:
            raise


# Closed at exit: what a thread, say, still holds then is never forgotten.
_opened: "weakref.WeakSet[Disk]" = weakref.WeakSet()


def _close_at_exit(disk: "Disk") -> None:
    if disk._is_own() and not disk._users:  # a thread that goes on at exit may use it for long
        disk.close()
        warnings.warn("a disk was not closed", ResourceWarning)


@atexit.register
def _close_all() -> None:
    while True:
        try:
            disk = _opened.pop()
        except KeyError:
            return
        try:
            _close_at_exit(disk)
        except Exception:  # pylint: disable=broad-except
            sys.excepthook(*sys.exc_info())  # and on with the others


class Disk:
    """A virtual disk through its chain; made by open(). Any number of threads may read and write it at once."""

    def __init__(self, handle: c_void_p, writable: bool, chain: Optional["Disk"] = None) -> None:
        self._handle: Optional[c_void_p] = handle
        self._process = os.getpid()
        self._chain = chain  # the disk that this one is a parent of, and that closes it
        self._users = 0
        self._idle = threading.Condition()
        # Files hold what was written to them and is not here yet. They hold the disk too, so that it may not hold them.
        self._files: "weakref.WeakSet[Buffered]" = weakref.WeakSet()
        self._ending = threading.RLock()  # held while a file is made, and while the disk is closed
        self.writable = writable
        if not chain:
            _opened.add(self)

    # A handle that is closed must not be used, nor closed while it is used.
    @contextlib.contextmanager
    def _used(self) -> Iterator[Optional[c_void_p]]:
        owner = self._chain or self
        with owner._idle:
            if owner._handle is None:
                raise ValueError("the disk is closed")
            owner._users += 1
            handle = self._handle
        try:
            yield handle
        finally:
            with owner._idle:
                owner._users -= 1
                owner._idle.notify_all()

    def _call(self, name: str, *arguments: Any) -> int:
        with self._used() as handle:
            return call(name, handle, *arguments)

    def close(self) -> None:
        """Closes the disk, and the files that file() made of it; what was written is made durable, and the disk clean, first.
        It is closed also when that fails. May be called again."""
        if self._chain:
            return
        with self._ending, contextlib.ExitStack() as stack:
            stack.callback(self._close)
            for file in list(self._files):
                stack.callback(_finish, file, file.close)

    def _close(self) -> None:
        # No call begins from here on, so those that run come to an end.
        with self._idle:
            handle, self._handle = self._handle, None
            try:
                self._idle.wait_for(lambda: not self._users)
            except BaseException:
                self._handle = handle
                raise
        if handle is not None:
            call("vhdx_close", handle)

    @property
    def closed(self) -> bool:
        return (self._chain or self)._handle is None

    def __enter__(self) -> "Disk":
        if self.closed:
            raise ValueError("the disk is closed")
        return self

    def __exit__(self, kind: Optional[Class[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def _is_own(self) -> bool:
        """Is it open, and not by the process that this one was forked from, which goes on with it?"""
        return self._handle is not None and self._process == os.getpid()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None and not self._chain and self._is_own():
            handle, self._handle = self._handle, None
            library.vhdx_close(handle)
            warnings.warn("a disk was not closed", ResourceWarning)  # which may raise

    # Two of them would close the handle twice.
    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("an open disk cannot be copied or pickled")

    @property
    def info(self) -> Info:
        found = c.Info()
        self._call("vhdx_get_info", byref(found))
        return _info(found)

    @property
    def size(self) -> int:
        """Of the disk, in bytes."""
        return self.info.virtual_size

    @property
    def parent(self) -> Optional["Disk"]:
        """The open parent, or None. It is closed with this disk."""
        with self._used() as own:
            handle = library.vhdx_get_parent(own)
        return Disk(c_void_p(handle), False, self._chain or self) if handle else None

    # ---- Data ----

    def read(self, offset: SupportsIndex, length: SupportsIndex) -> bytes:
        """length bytes from offset on."""
        buffer = bytearray(number(length))
        self.readinto(buffer, offset)
        return bytes(buffer)

    def readinto(self, buffer: Any, offset: SupportsIndex) -> None:
        """Fills a buffer (bytearray, memoryview, array, numpy array) with the bytes from offset on."""
        address, length = _address(buffer, True)
        self._call("vhdx_pread", address, length, number(offset))

    def write(self, data: Any, offset: SupportsIndex, fua: bool = False) -> None:
        """Writes a buffer at offset. Durable after flush(), or at once with fua."""
        address, length = _address(data, False)
        self._call("vhdx_pwrite", address, length, number(offset), c.FUA if fua else 0)

    def zero(self, offset: SupportsIndex, length: SupportsIndex, unmap: bool = True) -> None:
        """Makes a range read as zeros; with unmap, its space may be given up."""
        self._call("vhdx_zero", number(offset), number(length), c.ZERO_MAY_UNMAP if unmap else 0)

    def trim(self, offset: SupportsIndex, length: SupportsIndex) -> None:
        """Says that the contents of a range are needed no more."""
        self._call("vhdx_trim", number(offset), number(length), 0)

    def flush(self) -> None:
        """Makes durable what was written before, to the files that file() made too."""
        with self._ending:
            files: List[Buffered] = list(self._files)
        with contextlib.ExitStack() as stack:
            stack.callback(self._call, "vhdx_flush")
            for file in files:
                stack.callback(_finish, file, file.flush)

    def extents(self, offset: int = 0, length: Optional[int] = None, this_file: bool = False,
                file_holes: bool = False) -> Iterator[Extent]:
        """What lies where, in order and without gaps. this_file: what this file of the chain says alone; file_holes:
        what a block's space in the file does not hold is zeros, too."""
        flags = (c.EXTENTS_THIS_LAYER if this_file else 0) | (c.EXTENTS_FILE_HOLES if file_holes else 0)
        offset = number(offset)
        end = number(self.size if length is None else offset + number(length))
        found = (c.Extent * EXTENTS)()
        while offset < end:
            count = c_size_t(EXTENTS)
            self._call("vhdx_extents", offset, end - offset, flags, found, byref(count))
            told = [Extent(e.offset, e.length, Kind(e.type), e.depth, e.file_offset if e.type == Kind.DATA else None)
                    for e in found[:count.value]]
            offset = told[-1].offset + told[-1].length
            yield from told

    @overload
    def file(self, buffering: Literal[0]) -> "RawFile": ...  # type: ignore[misc]  # it is an int, too

    @overload
    def file(self, buffering: int = BUFFERING) -> Buffered: ...

    def file(self, buffering: int = BUFFERING) -> Union["RawFile", Buffered]:
        """The disk as a binary file object, for whatever reads, or writes, one; its size is fixed. What is written to it
        reaches the disk when one of the two is flushed or closed; with buffering=0 at once, as open() has it. Closing it
        leaves the disk open; closing the disk closes it."""
        if buffering < 0:
            buffering = BUFFERING
        owner = self._chain or self
        with owner._ending:
            raw = RawFile(self)
            if not buffering:
                return raw
            file = io.BufferedRandom(raw, buffering) if self.writable else io.BufferedReader(raw, buffering)
            owner._files.add(file)
        return file


class RawFile(io.RawIOBase):
    """A disk as an unbuffered file; also with read(offset, size) and get_size() under other names, see Image."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self.disk = disk
        self.position = 0
        self.length = disk.size

    def readable(self) -> bool:
        self._check()
        return True

    def writable(self) -> bool:
        self._check()
        return self.disk.writable

    def seekable(self) -> bool:
        self._check()
        return True

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def tell(self) -> int:
        self._check()
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}.get(whence)
        if base is None:
            raise ValueError(f"whence {whence} is none of SEEK_SET, SEEK_CUR and SEEK_END")
        offset = operator.index(offset)
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self.position = base + offset
        return self.position

    def _part(self, buffer: Any) -> memoryview:
        self._check()
        return memoryview(buffer).cast("B")[:max(0, self.length - self.position)]

    def readinto(self, buffer: Any) -> int:
        part = self._part(buffer)
        if not part.nbytes:
            return 0
        self.disk.readinto(part, self.position)
        self.position += part.nbytes
        return part.nbytes

    def write(self, buffer: Any) -> int:
        part = self._part(buffer)
        if memoryview(buffer).nbytes and not part.nbytes:
            raise OSError(28, "the disk ends here")  # ENOSPC
        self.disk.write(part, self.position)
        self.position += part.nbytes
        return part.nbytes

    def truncate(self, size: Optional[int] = None) -> NoReturn:
        raise io.UnsupportedOperation("a disk has the size that it has")


class Image:
    """A disk with the methods that readers in the manner of pytsk3's Img_Info want: subclass both, Image first."""

    def __init__(self, disk: Disk, *arguments: Any, **more: Any) -> None:
        self._disk = disk
        super().__init__(*arguments, **more)

    def close(self) -> None:
        """The disk stays open."""

    def read(self, offset: int, size: int) -> bytes:
        """What there is of size bytes at offset."""
        length = min(size, self._disk.size - offset)
        return self._disk.read(offset, length) if length > 0 else b""

    def get_size(self) -> int:
        return self._disk.size
