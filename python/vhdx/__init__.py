# SPDX-License-Identifier: MIT
"""VHDX virtual disks, as Hyper-V, Windows, Azure and WSL2 use them.

    import vhdx

    with vhdx.open("disk.vhdx") as disk:
        boot = disk.read(0, 512)
"""
from ._disk import Disk, Extent, Image, Info, Kind, LogState, RawFile, Type
from ._library import Busy, Cancelled, Inconsistent, VhdxError, library
from ._operations import CheckResult, Finding, Severity, check, compare, convert, create, is_image, open

__version__ = library.vhdx_version().decode()
__all__ = ["Busy", "Cancelled", "CheckResult", "Disk", "Extent", "Finding", "Image", "Inconsistent", "Info", "Kind",
           "LogState", "RawFile", "Severity", "Type", "VhdxError", "check", "compare", "convert", "create", "is_image",
           "open"]
