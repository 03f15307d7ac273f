/* SPDX-License-Identifier: MIT */
/* Prints what an image is as aligned lines. */
#include <inttypes.h>

#include "info.h"
#include "names.h"
#include "text.h"

static void print_guid(const char *label, const struct vhdx_guid *guid)
{
	char text[VHDX_GUID_TEXT_SIZE];

	text_field(label, "%s", vhdx_guid_text(guid, text));
}

static void print_bytes(const char *label, uint64_t size_bytes)
{
	char text[TEXT_SIZE_MAX];

	text_field(label, "%s", text_bytes(size_bytes, text));
}

static void print_place(const char *label, uint64_t offset, uint64_t length)
{
	char text[TEXT_SIZE_MAX];

	text_field(label, "%s at byte %" PRIu64, text_size(length, text), offset);
}

static void print_string(const char *label, const char *string)
{
	if (string)
		text_field(label, "%s", string);
}

static void print_geometry(const struct image_info *image)
{
	const struct vhdx_info *info = &image->info;

	text_field("Type", "%s", type_name(info->type));
	print_bytes("Virtual size", info->virtual_size);
	print_bytes("Block size", info->block_size);
	text_field("Blocks", "%" PRIu64, info->blocks);
	text_field("Sectors", "%" PRIu32 " bytes logical, %" PRIu32 " physical",
		   info->logical_sector_size, info->physical_sector_size);
	print_guid("Disk ID", &info->disk_id);
}

static void print_header(const struct vhdx_info *info)
{
	text_field("Header", "%u, sequence number %" PRIu64, info->current_header,
		   info->sequence_number);
	print_guid("File write GUID", &info->file_write_guid);
	print_guid("Data write GUID", &info->data_write_guid);
	print_guid("Log GUID", &info->log_guid);
	print_place("Log region", info->log_offset, info->log_length);
}

static void print_log(const struct vhdx_info *info)
{
	text_field("Log", "%s (%s, entries: %" PRIu64 ")", log_state_name(info->log_state),
		   log_state_meaning(info->log_state), info->log_entries);
}

static void print_candidates(const struct vhdx *disk)
{
	struct vhdx_candidate found = {.size = sizeof(found)};

	for (size_t i = 0; !vhdx_get_candidate(disk, i, &found); i++)
		text_field(i ? "" : "Looked for", "%s (%s): %s%s%s", found.path, found.key,
			   candidate_state_name(found.state), *found.text ? ": " : "", found.text);
}

/* The parent that is open, which may itself be damaged. */
static void print_open_parent(const struct vhdx *parent)
{
	struct vhdx_info info = {.size = sizeof(info)};
	const struct vhdx_error *fault = vhdx_get_fault(parent);

	if (vhdx_get_info(parent, &info))
		return;
	text_field("Parent", "%s", info.path);
	if (fault)
		text_field("Parent's fault", "%s", fault->text);
}

#define ADVICE " (--parent-dir DIR looks in DIR too)"

static bool was_missed(const struct vhdx *disk)
{
	struct vhdx_candidate found = {.size = sizeof(found)};

	return !vhdx_get_candidate(disk, 0, &found) && found.state == VHDX_PARENT_MISSING;
}

static void print_parent(const struct image_info *image)
{
	const struct vhdx_info *info = &image->info;
	const struct vhdx *parent = vhdx_get_parent(image->disk);

	if (parent)
		print_open_parent(parent);
	else
		text_field("Parent", "not open%s", was_missed(image->disk) ? ADVICE : "");
	print_string("Parent linkage", info->parent_linkage);
	print_string("Parent linkage 2", info->parent_linkage2);
	print_string("Relative path", info->relative_path);
	print_string("Volume path", info->volume_path);
	print_string("Windows path", info->absolute_win32_path);
	print_candidates(image->disk);
}

void info_print_text(const struct image_info *image)
{
	const struct vhdx_info *info = &image->info;

	text_field("File", "%s", info->path);
	print_bytes("File size", info->file_size);
	if (image->has_actual_size)
		print_bytes("Space used", image->actual_size);
	if (is_known(image, VHDX_KNOWN_GEOMETRY))
		print_geometry(image);
	if (is_known(image, VHDX_KNOWN_CREATOR))
		print_string("Creator", info->creator);
	if (is_known(image, VHDX_KNOWN_LOG))
		print_log(info);
	if (is_known(image, VHDX_KNOWN_HEADER))
		print_header(info);
	if (is_known(image, VHDX_KNOWN_REGIONS)) {
		print_place("BAT region", info->bat_offset, info->bat_length);
		print_place("Metadata region", info->metadata_offset, info->metadata_length);
	}
	if (is_known(image, VHDX_KNOWN_LOCATOR))
		print_parent(image);
}
