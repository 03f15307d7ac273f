# SPDX-License-Identifier: MIT
"""Operations that change images: resize, compact, commit, rebase, diff, repair, salvage."""
from ctypes import byref, c_void_p
from typing import List, NamedTuple, Optional, Sequence, Union

from . import _structs as c
from ._disk import WARN, Disk, open_options
from ._library import Callbacks, Path, Progress, call, library, number, path
from ._operations import Contents, Finding, finding_function, make_flags, open_disk, source_of
from ._operations import open as open_image


def _open_to_change(file: Path, parent_dirs: Sequence[Path], any_parent: bool, no_parent: bool, lock_wait: float,
                    write_parents: int = 0, no_holes: bool = False) -> Disk:
    flags = make_flags(a=(True, c.OPEN_WRITE), b=(any_parent, c.OPEN_ANY_PARENT), d=(no_parent, c.OPEN_NO_PARENT),
                       e=(no_holes, c.OPEN_NO_HOLES))
    return open_disk(file, flags, parent_dirs, lock_wait, write_parents)


def resize(file: Path, size: int, *, shrink: bool = False, force: bool = False, no_holes: bool = False,
           progress: Progress = None, parent_dirs: Sequence[Path] = (), any_parent: bool = False,
           lock_wait: float = 0) -> None:
    """Gives a disk another size, in bytes. shrink: it may become smaller, where only zeros are cut off; force: the
    backup of a GUID partition table too."""
    calls = Callbacks()
    options = c.ResizeOptions(flags=make_flags(a=(shrink, c.RESIZE_SHRINK), b=(force, c.RESIZE_FORCE)),
                              progress=calls.progress(progress))
    with _open_to_change(file, parent_dirs, any_parent, False, lock_wait, no_holes=no_holes) as disk:
        calls.call("vhdx_resize", disk._handle, number(size), byref(options))


class CompactResult(NamedTuple):
    file_size_before: int
    file_size_after: int
    present: int  # blocks that had space in the file
    zero: int  # of them gave it up
    moved: int


def compact(file: Path, output: Optional[Path] = None, *, dry_run: bool = False, no_holes: bool = False,
            progress: Progress = None, lock_wait: float = 0) -> CompactResult:
    """Makes a file smaller, with the same contents; or writes a smaller one to output, and leaves it as it is. dry_run:
    says what would be."""
    calls = Callbacks()
    options = c.CompactOptions(flags=make_flags(a=(dry_run, c.COMPACT_DRY_RUN), b=(no_holes, c.COMPACT_NO_HOLES)),
                               output=None if output is None else path(output), progress=calls.progress(progress))
    result = c.CompactResult()
    reads = dry_run or output is not None
    flags = make_flags(a=(True, c.OPEN_NO_PARENT), b=(not reads, c.OPEN_WRITE), d=(not reads and no_holes, c.OPEN_NO_HOLES))
    with open_disk(file, flags, (), lock_wait) as disk:
        calls.call("vhdx_compact", disk._handle, byref(options), byref(result))
    return CompactResult(result.file_size_before, result.file_size_after, result.present, result.zero, result.moved)


def commit(file: Path, layers: int = 1, *, force: bool = False, progress: Progress = None,
           parent_dirs: Sequence[Path] = (), any_parent: bool = False, lock_wait: float = 0) -> None:
    """Merges a child into its parent, or with layers=2 into that one's parent, and so on. The merged files stay; they are
    of no use, the child excepted, which reads as before. force: go on although other children break."""
    calls = Callbacks()
    with _open_to_change(file, parent_dirs, any_parent, False, lock_wait, write_parents=layers) as disk:
        ancestor = disk._handle
        for _ in range(layers):
            ancestor = c_void_p(library.vhdx_get_parent(ancestor))
        options = c.CommitOptions(flags=make_flags(a=(force, c.COMMIT_FORCE)), into=ancestor,
                                  progress=calls.progress(progress))
        calls.call("vhdx_commit", disk._handle, byref(options))


def rebase(file: Path, parent: Path, *, unsafe: bool = False, windows_path: Optional[str] = None,
           progress: Progress = None, parent_dirs: Sequence[Path] = (), any_parent: bool = False,
           lock_wait: float = 0) -> None:
    """Gives a child another parent: it reads as before. unsafe: copy nothing, and do not look at the old parent, which
    need not be there."""
    calls = Callbacks()
    options = c.RebaseOptions(flags=make_flags(a=(unsafe, c.REBASE_UNSAFE)), parent=path(parent),
                              progress=calls.progress(progress))
    options.parent_options.contents = open_options(c.OPEN_ANY_PARENT if any_parent else 0, parent_dirs)
    if windows_path is not None:
        options.windows_path = path(windows_path)
    with _open_to_change(file, parent_dirs, any_parent, unsafe, lock_wait) as disk:
        calls.call("vhdx_rebase", disk._handle, byref(options))


def diff(base: Union[Path, Disk], contents: Contents, file: Path, *, raw_contents: Optional[bool] = None,
         block_size: int = 0, log_size: int = 0, windows_path: Optional[str] = None, force: bool = False,
         no_holes: bool = False, sync: bool = True, progress: Progress = None) -> None:
    """Makes a child of base that reads as contents do: an incremental backup. raw_contents: whether these are a raw file
    (by default its content decides); the rest is as for create()."""
    if not isinstance(base, Disk):
        with open_image(base) as opened:
            diff(opened, contents, file, raw_contents=raw_contents, block_size=block_size, log_size=log_size,
                 windows_path=windows_path, force=force, no_holes=no_holes, sync=sync, progress=progress)
        return
    calls = Callbacks()
    flags = make_flags(a=(force, c.CREATE_FORCE), b=(no_holes, c.CREATE_NO_HOLES), d=(not sync, c.CREATE_NO_SYNC))
    options = c.DiffOptions(flags=flags, block_size=number(block_size, 32), log_length=number(log_size, 32), warning=WARN,
                            windows_path=None if windows_path is None else path(windows_path),
                            progress=calls.progress(progress))
    with source_of(contents, raw_contents, "raw_contents") as source, base._used() as handle:
        calls.call("vhdx_diff", handle, byref(source), path(file), byref(options))


class RepairResult(NamedTuple):
    mended: List[Finding]  # text: what was done
    left: List[Finding]
    lost_bytes: int  # of the disk, which what was mended costs
    changed_bytes: int  # of the file
    written: bool  # the file was changed, and the undo file holds what was there


def repair(file: Path, undo: Optional[Path] = None, *, dry_run: bool = False, discard_log: bool = False,
           no_holes: bool = False, progress: Progress = None) -> RepairResult:
    """Mends what check() finds. undo: where what is overwritten is kept, by default the file's name and .undo; dry_run: on
    a draft only; discard_log: give up a log that cannot be replayed, with what only it holds."""
    calls, result = Callbacks(), c.RepairResult()
    mended: List[Finding] = []
    left: List[Finding] = []
    options = c.RepairOptions(
        flags=make_flags(a=(dry_run, c.REPAIR_DRY_RUN), b=(discard_log, c.REPAIR_DISCARD_LOG), d=(no_holes, c.REPAIR_NO_HOLES)),
        undo_path=None if undo is None else path(undo), mended=finding_function(mended), left=finding_function(left),
        progress=calls.progress(progress))
    calls.call("vhdx_repair", path(file), byref(options), byref(result))
    return RepairResult(mended, left, result.lost_bytes, result.changed_bytes, bool(result.is_written))


def undo_repair(file: Path, undo: Optional[Path] = None) -> None:
    """Puts back what a repair overwrote."""
    call("vhdx_undo_repair", path(file), path(file) + b".undo" if undo is None else path(undo), 0)


class SalvageResult(NamedTuple):
    """Sizes in bytes; the last five are of the disk, and all of it."""
    virtual_size: int
    block_size: int
    zero_bytes: int
    parent_bytes: int
    found_bytes: int
    guessed_bytes: int
    lost_bytes: int


def salvage(file: Path, output: Path, *, size: int = 0, block_size: int = 0, sector_size: int = 0, force: bool = False,
            progress: Progress = None) -> SalvageResult:
    """Copies what can still be read of a ruined image to a raw file. size, block_size, sector_size: if they are known
    better; force: replace a file. Look at guessed_bytes and lost_bytes."""
    calls, result = Callbacks(), c.SalvageResult()
    options = c.SalvageOptions(flags=make_flags(a=(force, c.SALVAGE_FORCE)), block_size=number(block_size, 32),
                               virtual_size=number(size), logical_sector_size=number(sector_size, 32),
                               progress=calls.progress(progress))
    calls.call("vhdx_salvage", path(file), path(output), byref(options), byref(result))
    return SalvageResult(result.virtual_size, result.block_size, result.zero_bytes, result.parent_bytes,
                         result.found_bytes, result.guessed_bytes, result.lost_bytes)
