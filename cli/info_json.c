/* SPDX-License-Identifier: MIT */
/* Prints what an image is as JSON: qemu-img's keys, and an object "vhdx" with all else. */
#include "info.h"
#include "names.h"

static void print_guid(struct json *json, const char *name, const struct vhdx_guid *guid)
{
	char text[VHDX_GUID_TEXT_SIZE];

	json_string(json, name, vhdx_guid_text(guid, text));
}

/* The first name that the child has for its parent, as it stands in the image. */
static const char *stored_parent(const struct vhdx_info *info)
{
	if (info->relative_path)
		return info->relative_path;
	return info->absolute_win32_path ? info->absolute_win32_path : info->volume_path;
}

static void print_qemu_keys(const struct image_info *image, struct json *json)
{
	const struct vhdx_info *info = &image->info;
	const struct vhdx *parent = vhdx_get_parent(image->disk);
	struct vhdx_info parent_info = {.size = sizeof(parent_info)};

	json_string(json, "filename", info->path);
	json_string(json, "format", "vhdx");
	if (is_known(image, VHDX_KNOWN_GEOMETRY)) {
		json_number(json, "virtual-size", info->virtual_size);
		json_number(json, "cluster-size", info->block_size);
	}
	if (image->has_actual_size)
		json_number(json, "actual-size", image->actual_size);
	if (is_known(image, VHDX_KNOWN_LOG))
		json_boolean(json, "dirty-flag",
			     info->log_state == VHDX_LOG_DIRTY ||
				     info->log_state == VHDX_LOG_CORRUPT);
	if (is_known(image, VHDX_KNOWN_LOCATOR))
		json_string(json, "backing-filename", stored_parent(info));
	if (parent && !vhdx_get_info(parent, &parent_info))
		json_string(json, "full-backing-filename", parent_info.path);
}

static void print_geometry(const struct vhdx_info *info, struct json *json)
{
	json_string(json, "type", type_name(info->type));
	json_number(json, "block-size", info->block_size);
	json_number(json, "blocks", info->blocks);
	json_number(json, "logical-sector-size", info->logical_sector_size);
	json_number(json, "physical-sector-size", info->physical_sector_size);
	print_guid(json, "disk-id", &info->disk_id);
}

static void print_header(const struct vhdx_info *info, struct json *json)
{
	json_number(json, "current-header", info->current_header);
	json_number(json, "sequence-number", info->sequence_number);
	print_guid(json, "file-write-guid", &info->file_write_guid);
	print_guid(json, "data-write-guid", &info->data_write_guid);
	print_guid(json, "log-guid", &info->log_guid);
	json_number(json, "log-offset", info->log_offset);
	json_number(json, "log-length", info->log_length);
}

static void print_regions(const struct vhdx_info *info, struct json *json)
{
	json_number(json, "bat-offset", info->bat_offset);
	json_number(json, "bat-length", info->bat_length);
	json_number(json, "metadata-offset", info->metadata_offset);
	json_number(json, "metadata-length", info->metadata_length);
}

static void print_candidates(const struct vhdx *disk, struct json *json)
{
	struct vhdx_candidate found = {.size = sizeof(found)};

	json_begin_array(json, "candidates");
	for (size_t i = 0; !vhdx_get_candidate(disk, i, &found); i++) {
		json_begin_object(json, NULL);
		json_string(json, "key", found.key);
		json_string(json, "path", found.path);
		json_string(json, "state", candidate_state_name(found.state));
		json_string(json, "text", found.text);
		json_end_object(json);
	}
	json_end_array(json);
}

/* Nothing, when there is none. */
static void print_fault(const struct vhdx_error *fault, struct json *json)
{
	if (!fault)
		return;
	const struct vhdx_problem *problem = vhdx_get_problem(fault->problem);

	json_begin_object(json, "fault");
	if (problem) {
		json_number(json, "problem", problem->number);
		json_string(json, "name", problem->name);
	}
	if (fault->offset != VHDX_NO_OFFSET)
		json_number(json, "offset", fault->offset);
	json_string(json, "text", fault->text);
	json_end_object(json);
}

static void print_parent(const struct image_info *image, struct json *json)
{
	const struct vhdx_info *info = &image->info;
	const struct vhdx *parent = vhdx_get_parent(image->disk);

	json_begin_object(json, "parent");
	json_string(json, "linkage", info->parent_linkage);
	json_string(json, "linkage2", info->parent_linkage2);
	json_string(json, "relative-path", info->relative_path);
	json_string(json, "volume-path", info->volume_path);
	json_string(json, "absolute-win32-path", info->absolute_win32_path);
	print_candidates(image->disk, json);
	print_fault(parent ? vhdx_get_fault(parent) : NULL, json);
	json_end_object(json);
}

void info_print_json(const struct image_info *image, struct json *json)
{
	const struct vhdx_info *info = &image->info;

	json_begin_object(json, NULL);
	print_qemu_keys(image, json);
	json_begin_object(json, "vhdx");
	json_number(json, "file-size", info->file_size);
	if (is_known(image, VHDX_KNOWN_GEOMETRY))
		print_geometry(info, json);
	if (is_known(image, VHDX_KNOWN_CREATOR))
		json_string(json, "creator", info->creator);
	if (is_known(image, VHDX_KNOWN_LOG)) {
		json_string(json, "log-state", log_state_name(info->log_state));
		json_number(json, "log-entries", info->log_entries);
	}
	if (is_known(image, VHDX_KNOWN_HEADER))
		print_header(info, json);
	if (is_known(image, VHDX_KNOWN_REGIONS))
		print_regions(info, json);
	if (is_known(image, VHDX_KNOWN_LOCATOR))
		print_parent(image, json);
	print_fault(image->fault, json);
	json_end_object(json);
	json_end_object(json);
}
