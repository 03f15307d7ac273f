# SPDX-License-Identifier: MIT
"""The structs of vhdx.h that this package uses, member by member."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_size_t, c_uint, c_uint8, c_uint32, c_uint64,
                    c_void_p, sizeof)
from typing import Any

NO_OFFSET = (1 << 64) - 1

OPEN_NO_PARENT = 0x1
OPEN_ANY_PARENT = 0x2
OPEN_IGNORE_ID_MISMATCH = 0x4
OPEN_FORCE_SHARE = 0x8
OPEN_EXAMINE = 0x10
OPEN_WRITE = 0x20
OPEN_NO_HOLES = 0x40
OPEN_NO_LOCK = 0x80
FUA = 0x1
ZERO_MAY_UNMAP = 0x2
EXTENTS_THIS_LAYER = 0x1
EXTENTS_FILE_HOLES = 0x2
CHECK_CHAIN = 0x1
CHECK_WINDOWS = 0x2
CREATE_FORCE = 0x1
CREATE_NO_HOLES = 0x2
CREATE_NO_SYNC = 0x4
CONVERT_DIRECT = 0x1
CONVERT_NO_CLONE = 0x2
RESIZE_SHRINK = 0x1
RESIZE_FORCE = 0x2
COMPACT_DRY_RUN = 0x1
COMPACT_NO_HOLES = 0x2
COMMIT_FORCE = 0x1
REBASE_UNSAFE = 0x1
REPAIR_DRY_RUN = 0x1
REPAIR_DISCARD_LOG = 0x2
REPAIR_NO_HOLES = 0x4
SALVAGE_FORCE = 0x1
FORMAT_RAW = 0
FORMAT_VHDX = 1

WARNING_FN = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
PROGRESS_FN = CFUNCTYPE(c_int, c_void_p, c_uint64, c_uint64)


class Sized(Structure):
    """A struct that begins with its size."""

    def __init__(self, **members: Any) -> None:
        super().__init__(**members)
        self.size = sizeof(self)


class Guid(Structure):
    _fields_ = [("bytes", c_uint8 * 16)]


class Error(Structure):
    _fields_ = [("errnum", c_int), ("problem", c_uint), ("file", c_char_p), ("offset", c_uint64), ("text", c_char_p)]


class Problem(Structure):
    _fields_ = [("number", c_uint), ("name", c_char_p), ("severity", c_int), ("loss", c_int), ("mended", c_int),
                ("section", c_char_p), ("text", c_char_p), ("mend", c_char_p)]


class Finding(Sized):
    _fields_ = [("size", c_size_t), ("problem", POINTER(Problem)), ("file", c_char_p), ("offset", c_uint64),
                ("text", c_char_p), ("guest_offset", c_uint64), ("guest_length", c_uint64), ("loss_bytes", c_uint64)]


FINDING_FN = CFUNCTYPE(None, c_void_p, POINTER(Finding))


class OpenOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("parent_dirs", POINTER(c_char_p)), ("warning", WARNING_FN),
                ("open_parent", c_void_p), ("opaque", c_void_p), ("name", c_char_p), ("lock_wait_ms", c_uint),
                ("write_parents", c_uint), ("next_parent", c_void_p)]


class Info(Sized):
    _fields_ = [("size", c_size_t), ("known", c_uint32), ("path", c_char_p), ("file_size", c_uint64),
                ("creator", c_char_p), ("current_header", c_uint), ("sequence_number", c_uint64),
                ("file_write_guid", Guid), ("data_write_guid", Guid), ("log_guid", Guid), ("log_offset", c_uint64),
                ("log_length", c_uint64), ("log_state", c_int), ("log_entries", c_uint64),
                ("replayed_entries", c_uint64), ("bat_offset", c_uint64), ("bat_length", c_uint64),
                ("metadata_offset", c_uint64), ("metadata_length", c_uint64), ("type", c_int),
                ("virtual_size", c_uint64), ("block_size", c_uint32), ("logical_sector_size", c_uint32),
                ("physical_sector_size", c_uint32), ("disk_id", Guid), ("blocks", c_uint64),
                ("parent_linkage", c_char_p), ("parent_linkage2", c_char_p), ("relative_path", c_char_p),
                ("volume_path", c_char_p), ("absolute_win32_path", c_char_p)]


class Extent(Structure):
    _fields_ = [("offset", c_uint64), ("length", c_uint64), ("file_offset", c_uint64), ("type", c_int),
                ("depth", c_uint)]


class CheckOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("finding", FINDING_FN), ("progress", PROGRESS_FN),
                ("opaque", c_void_p), ("totals", c_void_p), ("total_count", c_size_t)]


class CheckResult(Sized):
    _fields_ = [("size", c_size_t), ("notes", c_uint64), ("leaks", c_uint64), ("leaked_bytes", c_uint64),
                ("damages", c_uint64), ("blocks", c_uint64), ("present", c_uint64), ("lost_bytes", c_uint64),
                ("doubtful_bytes", c_uint64), ("lost_blocks", c_uint64), ("cut_blocks", c_uint64),
                ("cut_bytes", c_uint64), ("cut_structures", c_uint64)]


class CreateOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("type", c_int), ("virtual_size", c_uint64),
                ("block_size", c_uint32), ("log_length", c_uint32), ("logical_sector_size", c_uint32),
                ("physical_sector_size", c_uint32), ("seed", c_char_p), ("seed_size", c_size_t),
                ("creator", c_char_p), ("parent", c_char_p), ("windows_path", c_char_p),
                ("parent_options", POINTER(OpenOptions))]


class Source(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("disk", c_void_p), ("path", c_char_p), ("io", c_void_p),
                ("use_fd", c_int), ("fd", c_int), ("name", c_char_p)]


class Destination(Sized):
    _fields_ = [("size", c_size_t), ("format", c_int), ("path", c_char_p), ("io", c_void_p), ("use_fd", c_int),
                ("fd", c_int), ("create", POINTER(CreateOptions)), ("name", c_char_p)]


class ConvertOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("threads", c_uint), ("progress", PROGRESS_FN),
                ("opaque", c_void_p)]


class CompareOptions(Sized):
    _fields_ = [("size", c_size_t), ("progress", PROGRESS_FN), ("opaque", c_void_p)]


class Difference(Sized):
    _fields_ = [("size", c_size_t), ("differ", c_int), ("offset", c_uint64), ("a_size", c_uint64),
                ("b_size", c_uint64)]


class ResizeOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("progress", PROGRESS_FN), ("opaque", c_void_p)]


class CompactOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("is_free", c_void_p), ("is_free_opaque", c_void_p),
                ("output", c_char_p), ("output_io", c_void_p), ("progress", PROGRESS_FN), ("opaque", c_void_p)]


class CompactResult(Sized):
    _fields_ = [("size", c_size_t), ("file_size_before", c_uint64), ("file_size_after", c_uint64), ("present", c_uint64),
                ("zero", c_uint64), ("unused", c_uint64), ("moved", c_uint64), ("kept_bytes", c_uint64),
                ("other_bytes", c_uint64), ("keeps_blocks", c_int)]


class CommitOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("into", c_void_p), ("progress", PROGRESS_FN),
                ("opaque", c_void_p)]


class RebaseOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("parent", c_char_p), ("relative_path", c_char_p),
                ("windows_path", c_char_p), ("volume_path", c_char_p), ("parent_options", POINTER(OpenOptions)),
                ("progress", PROGRESS_FN), ("opaque", c_void_p)]


class DiffOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("block_size", c_uint32), ("log_length", c_uint32),
                ("windows_path", c_char_p), ("relative_path", c_char_p), ("warning", WARNING_FN),
                ("progress", PROGRESS_FN), ("opaque", c_void_p)]


class RepairOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("undo_path", c_char_p), ("mended", FINDING_FN),
                ("left", FINDING_FN), ("progress", PROGRESS_FN), ("opaque", c_void_p), ("undo", c_void_p),
                ("scratch", c_void_p), ("io", c_void_p)]


class RepairResult(Sized):
    _fields_ = [("size", c_size_t), ("mended", c_uint64), ("left", c_uint64), ("lost_bytes", c_uint64),
                ("changed_bytes", c_uint64), ("released_bytes", c_uint64), ("undo_was_used", c_int), ("is_written", c_int)]


class SalvageFact(Structure):
    _fields_ = [("how", c_int), ("text", c_char_p)]


class SalvageOptions(Sized):
    _fields_ = [("size", c_size_t), ("flags", c_uint32), ("block_size", c_uint32), ("virtual_size", c_uint64),
                ("logical_sector_size", c_uint32), ("range", c_void_p), ("progress", PROGRESS_FN), ("opaque", c_void_p),
                ("io", c_void_p)]


class SalvageResult(Sized):
    _fields_ = [("size", c_size_t), ("virtual_size", c_uint64), ("block_size", c_uint32),
                ("logical_sector_size", c_uint32), ("type", c_int), ("log_offset", c_uint64),
                ("metadata_offset", c_uint64), ("bat_offset", c_uint64), ("missing_bytes", c_uint64),
                ("virtual_size_fact", SalvageFact), ("block_size_fact", SalvageFact),
                ("logical_sector_size_fact", SalvageFact), ("type_fact", SalvageFact), ("log_fact", SalvageFact),
                ("metadata_fact", SalvageFact), ("bat_fact", SalvageFact), ("zero_bytes", c_uint64),
                ("parent_bytes", c_uint64), ("found_bytes", c_uint64), ("guessed_bytes", c_uint64),
                ("lost_bytes", c_uint64), ("blocks", c_uint64), ("lost_blocks", c_uint64)]


# What each is in C.
NAMES = {
    Guid: "vhdx_guid", Error: "vhdx_error", Problem: "vhdx_problem", Finding: "vhdx_finding",
    OpenOptions: "vhdx_open_options", Info: "vhdx_info", Extent: "vhdx_extent", CheckOptions: "vhdx_check_options",
    CheckResult: "vhdx_check_result", CreateOptions: "vhdx_create_options", Source: "vhdx_source",
    Destination: "vhdx_destination", ConvertOptions: "vhdx_convert_options", CompareOptions: "vhdx_compare_options",
    Difference: "vhdx_difference", ResizeOptions: "vhdx_resize_options", CompactOptions: "vhdx_compact_options",
    CompactResult: "vhdx_compact_result", CommitOptions: "vhdx_commit_options", RebaseOptions: "vhdx_rebase_options",
    DiffOptions: "vhdx_diff_options", RepairOptions: "vhdx_repair_options", RepairResult: "vhdx_repair_result",
    SalvageFact: "vhdx_salvage_fact", SalvageOptions: "vhdx_salvage_options", SalvageResult: "vhdx_salvage_result",
}
