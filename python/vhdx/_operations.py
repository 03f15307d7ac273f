# SPDX-License-Identifier: MIT
"""Opening, creating, checking, converting and comparing."""
import contextlib
import enum
import errno
from ctypes import byref, c_void_p
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import _foreign
from . import _structs as c
from ._disk import Disk, Type, open_options
from ._library import Callbacks, Path, Progress, VhdxError, call, number, path, text


def make_flags(**named: Tuple[bool, int]) -> int:
    return sum(bit for given, bit in named.values() if given)


def open_disk(file: Path, flags: int, parent_dirs: Sequence[Path], lock_wait: float, write_parents: int = 0) -> Disk:
    """write_parents: how many parents are opened for writing too."""
    handle = c_void_p()
    call("vhdx_open", path(file), byref(open_options(flags, parent_dirs, lock_wait, write_parents)), byref(handle))
    return Disk(handle, bool(flags & c.OPEN_WRITE))


def open(file: Path, writable: bool = False, *, parent_dirs: Sequence[Path] = (),  # pylint: disable=redefined-builtin
         no_parent: bool = False, any_parent: bool = False, ignore_id_mismatch: bool = False, force_share: bool = False,
         no_holes: bool = False, no_lock: bool = False, examine: bool = False, lock_wait: float = 0) -> Disk:
    """Opens the disk in a file, with its parents. A dirty log is replayed: in memory, or of a writable disk in the file.

    parent_dirs: more folders where parents may lie; no_parent: this file alone; any_parent: parents anywhere;
    examine: open what can be read of a damaged image; lock_wait: seconds to wait for another process's lock."""
    flags = make_flags(a=(writable, c.OPEN_WRITE), b=(no_parent, c.OPEN_NO_PARENT), d=(any_parent, c.OPEN_ANY_PARENT),
                       e=(ignore_id_mismatch, c.OPEN_IGNORE_ID_MISMATCH), f=(force_share, c.OPEN_FORCE_SHARE),
                       g=(no_holes, c.OPEN_NO_HOLES), h=(no_lock, c.OPEN_NO_LOCK), i=(examine, c.OPEN_EXAMINE))
    return open_disk(file, flags, parent_dirs, lock_wait)


def is_image(file: Path) -> bool:
    """Does the file begin as VHDX images do?"""
    return bool(call("vhdx_probe", path(file)))


def _create_options(size: int, type: Type, *, block_size: int, log_size: int, sector_size: int,  # pylint: disable=redefined-builtin
                    physical_sector_size: int = 0, seed: Optional[bytes] = None, parent: Optional[Path] = None,
                    windows_path: Optional[str] = None, parent_dirs: Sequence[Path] = (), any_parent: bool = False, force: bool,
                    no_holes: bool, sync: bool) -> c.CreateOptions:
    try:
        type = Type.DIFFERENCING if parent is not None else Type(type)
    except ValueError:
        raise ValueError(f"type {type!r} is none of Type.DYNAMIC, Type.FIXED and Type.DIFFERENCING") from None
    flags = make_flags(a=(force, c.CREATE_FORCE), b=(no_holes, c.CREATE_NO_HOLES), d=(not sync, c.CREATE_NO_SYNC))
    options = c.CreateOptions(flags=flags, type=int(type), virtual_size=number(size),
                              block_size=number(block_size, 32), log_length=number(log_size, 32),
                              logical_sector_size=number(sector_size, 32),
                              physical_sector_size=number(physical_sector_size, 32), seed=seed, seed_size=len(seed or b""))
    if parent is not None:
        options.parent = path(parent)
        opened = open_options(c.OPEN_ANY_PARENT if any_parent else 0, parent_dirs)
        options.parent_options.contents = opened
    if windows_path is not None:
        options.windows_path = path(windows_path)
    return options


def create(file: Path, size: int = 0, type: Type = Type.DYNAMIC, *, block_size: int = 0,  # pylint: disable=redefined-builtin
           log_size: int = 0, sector_size: int = 0, physical_sector_size: int = 0, seed: Optional[bytes] = None,
           parent: Optional[Path] = None, windows_path: Optional[str] = None, parent_dirs: Sequence[Path] = (),
           any_parent: bool = False, force: bool = False, no_holes: bool = False, sync: bool = True) -> None:
    """Makes a new image; the file appears whole, or not at all.

    size: of the disk, in bytes, or 0 for a child as large as its parent; type: Type.DYNAMIC or FIXED; block_size,
    log_size, sector_size, physical_sector_size: in bytes; parent: make a child of that image, windows_path being the
    parent's on Windows; parent_dirs, any_parent: as for open(), for its own parents; seed: bytes that make the GUIDs
    reproducible; force: replace a file; no_holes; sync=False: do not wait until it is durable."""
    call("vhdx_create", path(file), byref(_create_options(
        size, type, block_size=block_size, log_size=log_size, sector_size=sector_size,
        physical_sector_size=physical_sector_size, seed=seed, parent=parent, windows_path=windows_path,
        parent_dirs=parent_dirs, any_parent=any_parent, force=force, no_holes=no_holes, sync=sync)))


class Severity(enum.IntEnum):
    NOTE = 0
    WINDOWS = 1
    LEAK = 2
    DAMAGE = 3
    LOCKED = 4
    FATAL = 5
    FOREIGN = 6


class Finding(NamedTuple):
    number: int  # of the problem, as in vhdx-problems(7)
    name: str
    severity: Severity
    file: str
    offset: Optional[int]  # in the file
    text: str
    guest_offset: int  # the part of the disk that is affected
    guest_length: int
    loss_bytes: int


class CheckResult(NamedTuple):
    findings: List[Finding]
    damages: int
    leaks: int
    leaked_bytes: int
    notes: int
    blocks: int
    present: int
    lost_bytes: int
    doubtful_bytes: int

    @property
    def clean(self) -> bool:
        return not self.damages and not self.leaks


def make_finding(found: c.Finding) -> Finding:
    problem = found.problem.contents
    return Finding(problem.number, text(problem.name), Severity(problem.severity), text(found.file),
                   None if found.offset == c.NO_OFFSET else found.offset, text(found.text), found.guest_offset,
                   found.guest_length, found.loss_bytes)


def finding_function(findings: List[Finding]) -> Any:
    """For the library: adds each finding to the list."""
    return c.FINDING_FN(lambda _, found: findings.append(make_finding(found.contents)))


def check(file: Path, chain: bool = False, windows: bool = False, progress: Progress = None, *,
          parent_dirs: Sequence[Path] = (), no_parent: bool = False, any_parent: bool = False,
          ignore_id_mismatch: bool = False, force_share: bool = False, lock_wait: float = 0) -> CheckResult:
    """Holds an image against every rule of the format, and changes nothing. chain: count the parents' faults too;
    windows: count what Windows is known to refuse; the rest is as for open()."""
    findings: List[Finding] = []
    calls = Callbacks()
    tell = finding_function(findings)
    options = c.CheckOptions(flags=make_flags(a=(chain, c.CHECK_CHAIN), b=(windows, c.CHECK_WINDOWS)), finding=tell,
                             progress=calls.progress(progress))
    result = c.CheckResult()
    with open(file, examine=True, parent_dirs=parent_dirs, no_parent=no_parent, any_parent=any_parent,
              ignore_id_mismatch=ignore_id_mismatch, force_share=force_share, lock_wait=lock_wait) as disk:
        calls.call("vhdx_check", disk._handle, byref(options), byref(result))
    return CheckResult(findings, result.damages, result.leaks, result.leaked_bytes, result.notes, result.blocks,
                       result.present, result.lost_bytes, result.doubtful_bytes)


Contents = Union[Path, Disk]


@contextlib.contextmanager
def source_of(contents: Contents, raw: Optional[bool], argument: str) -> Iterator[c.Source]:
    """raw: None, the content decides; argument: the caller's name of that."""
    if isinstance(contents, Disk):
        with contents._used() as handle:
            yield c.Source(disk=handle)
    elif raw or (raw is None and not is_image(contents)):
        foreign = None if raw else _foreign.find(contents)
        if foreign:
            raise VhdxError(errno.ENOTSUP, f"is {foreign.name}: {foreign.advice} (expected a VHDX or a raw disk; {argument}=True "
                            "takes the bytes as they are)", text(path(contents)))
        yield c.Source(path=path(contents))
    else:
        with open(contents) as disk:
            yield c.Source(disk=disk._handle)


def convert(source: Contents, destination: Path, *, raw_source: Optional[bool] = None, raw: Optional[bool] = None,
            type: Type = Type.DYNAMIC, block_size: int = 0, log_size: int = 0,  # pylint: disable=redefined-builtin
            sector_size: int = 0, force: bool = False, no_holes: bool = False, sync: bool = True, threads: int = 0,
            direct: bool = False, clone: bool = True, progress: Progress = None) -> None:
    """Copies contents to a new file, which appears whole or not at all, or to a block device.

    source: a file, or an open Disk; raw_source: whether the file is raw (by default its content decides: a VHDX, or raw;
    what is known as another format, or packed, is refused); raw: whether
    the destination is (by default unless it is named .vhdx or .avhdx); type, block_size, log_size, sector_size, force,
    no_holes, sync: as for create(); clone: share blocks with the source where the file system can, else copy and find
    zeros; progress: called with the bytes done and in all, stops the copy when it returns True (Cancelled)."""
    if raw is None:
        raw = not path(destination).lower().endswith((b".vhdx", b".avhdx"))
    calls = Callbacks()
    create_options = _create_options(0, type, block_size=block_size, log_size=log_size, sector_size=sector_size,
                                     force=force, no_holes=no_holes, sync=sync)
    target = c.Destination(format=c.FORMAT_RAW if raw else c.FORMAT_VHDX, path=path(destination))
    target.create.contents = create_options
    flags = (c.CONVERT_DIRECT if direct else 0) | (0 if clone else c.CONVERT_NO_CLONE)
    options = c.ConvertOptions(flags=flags, threads=number(threads, 32), progress=calls.progress(progress))
    with source_of(source, raw_source, "raw_source") as from_where:
        calls.call("vhdx_convert", byref(from_where), byref(target), byref(options))


def compare(a: Contents, b: Contents, *, raw_a: Optional[bool] = None, raw_b: Optional[bool] = None,
            progress: Progress = None) -> Optional[int]:
    """Where two contents first differ, or None when they are the same; zeros at the longer one's end do not count."""
    calls = Callbacks()
    result = c.Difference()
    options = c.CompareOptions(progress=calls.progress(progress))
    with source_of(a, raw_a, "raw_a") as first, source_of(b, raw_b, "raw_b") as second:
        calls.call("vhdx_compare", byref(first), byref(second), byref(options), byref(result))
    return result.offset if result.differ else None
