# SPDX-License-Identifier: MIT
"""VHDX virtual disks, as Hyper-V, Windows, Azure and WSL2 use them.

    import vhdx

    with vhdx.open("disk.vhdx") as disk:
        boot = disk.read(0, 512)
"""
from ._changes import (CompactResult, RepairResult, SalvageResult, commit, compact, diff, rebase, repair, resize, salvage,
                       undo_repair)
from ._disk import Disk, Extent, Image, Info, Kind, LogState, RawFile, Type
from ._library import Busy, Cancelled, Exists, Inconsistent, NotFound, NotPermitted, VhdxError, library
from ._operations import CheckResult, Finding, Severity, check, compare, convert, create, is_image, open

__version__: str = library.vhdx_version().decode()
__all__ = ["Busy", "Cancelled", "CheckResult", "CompactResult", "Disk", "Exists", "Extent", "Finding", "Image", "Inconsistent",
           "Info", "Kind", "LogState", "NotFound", "NotPermitted", "RawFile", "RepairResult", "SalvageResult", "Severity", "Type", "VhdxError", "check", "commit",
           "compact", "compare", "convert", "create", "diff", "is_image", "open", "rebase", "repair", "resize", "salvage",
           "undo_repair"]
