/* SPDX-License-Identifier: MIT */
/* The metadata table, the items that this library understands, and what they make of the disk (F 5, F 6.1, F 8). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "meta/itemplaces.h"
#include "store/io.h"

#define VOLUME_PREFIX "\\\\?\\Volume{"

static void check_known_item(struct image *image, unsigned index, enum known_item known)
{
	const struct metadata_item *item = &image->items[index];
	const struct item_rule *rule = &vhdx_item_rules[known];
	uint64_t at = item_entry_offset(image, index);

	if (!rule->length && !item->length) {
		vhdx_image_report(image, PROBLEM_ITEM_LENGTH, at,
				  "metadata: %s is empty (expected at least its header)",
				  rule->name);
		return;
	}
	if (rule->length && item->length != rule->length) {
		vhdx_image_report(image, PROBLEM_ITEM_LENGTH, at,
				  "metadata: %s is %u bytes long (expected %u)", rule->name,
				  item->length, rule->length);
		return;
	}
	if (!vhdx_item_lies_in_region(image, item)) {
		vhdx_image_report(
			image, PROBLEM_ITEM_PLACE, at,
			"metadata: %s is %u bytes at %#x of its region (expected behind the table, "
			"within the region's %#x bytes)",
			rule->name, item->length, item->offset, image->metadata.length);
		return;
	}
	if ((item->flags & ITEM_ALL_FLAGS & ~ITEM_IS_VIRTUAL_DISK) !=
	    (rule->flags & ~ITEM_IS_VIRTUAL_DISK))
		vhdx_image_report(image, PROBLEM_ITEM_FLAGS_UNUSUAL, at,
				  "metadata: %s has flags %#x (%#x is usual)", rule->name,
				  item->flags, rule->flags);
	image->known_items[known] =
		(struct found_item){true, image->metadata.file_offset + item->offset, item->length};
}

static void check_unknown_item(struct image *image, unsigned index, const char *name)
{
	const struct metadata_item *item = &image->items[index];
	uint64_t at = item_entry_offset(image, index);

	if (guid_equal(&item->id, &ITEM_INCOMPLETE_MARKER))
		vhdx_image_report(image, PROBLEM_ITEM_INCOMPLETE_FILE, at,
				  "metadata: marked as a file whose creation was never finished "
				  "(expected no such mark)");
	else if (item->flags & ITEM_IS_REQUIRED)
		vhdx_image_report(
			image, PROBLEM_ITEM_UNKNOWN_REQUIRED, at,
			"metadata: item %s is required and unknown (expected only known ones)",
			name);
	if (guid_is_zero(&item->id))
		vhdx_image_report(image, PROBLEM_ITEM_ZERO_ID, at,
				  "metadata: entry %u has no ItemId (expected a GUID)", index);
	if (item->length ? !vhdx_item_lies_in_region(image, item) : item->offset != 0)
		vhdx_image_report(
			image,
			item->length ? PROBLEM_ITEM_UNKNOWN_PLACE : PROBLEM_ITEM_EMPTY_OFFSET, at,
			"metadata: item %s is %u bytes at %#x of its region (expected %s)", name,
			item->length, item->offset,
			item->length ? "behind the table, within the region"
				     : "offset 0 for an empty one");
}

static void check_item(struct image *image, unsigned index)
{
	const struct metadata_item *item = &image->items[index];
	char text[VHDX_GUID_TEXT_SIZE];
	const char *name = vhdx_item_name(item, text);
	enum known_item known = known_item_of(item);

	for (unsigned i = 0; i < index; i++)
		if (guid_equal(&image->items[i].id, &item->id) &&
		    item_is_user(&image->items[i]) == item_is_user(item)) {
			vhdx_image_report(
				image, PROBLEM_ITEM_DUPLICATE, item_entry_offset(image, index),
				"metadata: item %s stands in the table twice (expected once)",
				name);
			return;
		}
	if ((item->flags & ~ITEM_ALL_FLAGS) || item->reserved)
		vhdx_image_report(
			image, PROBLEM_ITEM_FLAGS, item_entry_offset(image, index),
			"metadata: item %s has flags %#x and %#x in its reserved field (expected no reserved "
			"bits)",
			name, item->flags, item->reserved);
	if (known < KNOWN_ITEMS)
		check_known_item(image, index, known);
	else
		check_unknown_item(image, index, name);
}

static int report_overlap(void *opaque, unsigned first, unsigned second)
{
	struct image *image = opaque;
	char text[2][VHDX_GUID_TEXT_SIZE];

	vhdx_image_report(image, PROBLEM_ITEM_OVERLAP, item_entry_offset(image, second),
			  "metadata: items %s and %s overlap (expected each in a place of its own)",
			  vhdx_item_name(&image->items[first], text[0]),
			  vhdx_item_name(&image->items[second], text[1]));
	return 0;
}

static int decode_items(struct image *image, const void *buf)
{
	unsigned users = 0;

	image->items = calloc(image->metadata_table.entry_count + 1u, sizeof(*image->items));
	if (!image->items)
		return vhdx_fail_memory();
	image->item_count = image->metadata_table.entry_count;
	image->memory += image->item_count * sizeof(*image->items);
	for (unsigned i = 0; i < image->item_count; i++) {
		vhdx_metadata_item_decode(buf, METADATA_TABLE_SIZE, i, &image->items[i]);
		users += item_is_user(&image->items[i]);
	}
	for (unsigned i = 0; i < image->item_count; i++)
		check_item(image, i);
	if (users > MAX_USER_ITEMS)
		vhdx_image_report(
			image, PROBLEM_ITEM_COUNT, image->metadata.file_offset,
			"metadata: %u items are marked as the user's (expected at most %u)", users,
			MAX_USER_ITEMS);
	return vhdx_items_walk_overlaps(image->items, image->item_count, report_overlap, image);
}

static int load_table(struct image *image)
{
	const struct metadata_table *table = &image->metadata_table;
	uint64_t at = image->metadata.file_offset;
	auto_free void *buf = malloc(METADATA_TABLE_SIZE);

	if (!buf)
		return vhdx_fail_memory();
	if (image->metadata.length < METADATA_TABLE_SIZE) {
		vhdx_image_report(image, PROBLEM_METADATA_REGION_SIZE, at,
				  "metadata region is %u bytes long (expected at least the %" PRIu64
				  " of its table)",
				  image->metadata.length, METADATA_TABLE_SIZE);
		return 0;
	}
	int ret = vhdx_io_read(image->view, buf, METADATA_TABLE_SIZE, at);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "the metadata table cannot be read");
	vhdx_metadata_table_decode(buf, METADATA_TABLE_SIZE, &image->metadata_table);
	if (!table->has_signature) {
		vhdx_image_report(image, PROBLEM_METADATA_SIGNATURE, at,
				  "metadata: no signature (expected \"" METADATA_SIGNATURE "\")");
		return 0;
	}
	if (table->has_reserved)
		vhdx_image_report(
			image, PROBLEM_METADATA_RESERVED,
			at + offsetof(struct metadata_table_disk, reserved),
			"metadata: reserved fields of the table are set (expected zeros)");
	if (table->entry_count > MAX_ITEMS) {
		vhdx_image_report(image, PROBLEM_METADATA_COUNT,
				  at + offsetof(struct metadata_table_disk, entry_count),
				  "metadata: EntryCount is %u (expected at most %u)",
				  table->entry_count, MAX_ITEMS);
		return 0;
	}
	return decode_items(image, buf);
}

/* Reads the value of a fixed-size item. *ret_there tells whether there is one. */
static int read_item(struct image *image, enum known_item known, void *ret_value, bool *ret_there)
{
	const struct found_item *found = &image->known_items[known];

	*ret_there = found->present;
	if (!found->present)
		return 0;
	int ret = vhdx_io_read(image->view, ret_value, found->length, found->offset);

	return ret ? vhdx_fail_errno(ret, image->name, "metadata: %s cannot be read",
				     vhdx_item_rules[known].name)
		   : 0;
}

/* A needed item that stands in the table but cannot be used has been reported as that. */
static void report_missing(struct image *image, enum known_item known, enum problem problem)
{
	for (unsigned i = 0; i < image->item_count; i++)
		if (!item_is_user(&image->items[i]) &&
		    guid_equal(&image->items[i].id, &vhdx_item_rules[known].id))
			return;
	vhdx_image_report(image, problem, image->metadata.file_offset,
			  "metadata: no %s (expected one)", vhdx_item_rules[known].name);
}

/* F 9.1: a child has no room to keep. */
static void check_leave_allocated(struct image *image)
{
	if (image_has_parent(image) && image->parameters.flags & PARAMETER_LEAVE_BLOCKS_ALLOCATED)
		vhdx_image_report(
			image, PROBLEM_PARAMETER_IGNORED,
			image->known_items[FILE_PARAMETERS].offset +
				offsetof(struct file_parameters_disk, flags),
			"metadata: LeaveBlocksAllocated is set beside HasParent, where it "
			"means nothing (0 is usual)");
}

static int load_parameters(struct image *image, bool *ret_usable)
{
	struct file_parameters_disk disk;
	uint64_t at = image->known_items[FILE_PARAMETERS].offset;
	int ret = read_item(image, FILE_PARAMETERS, &disk, ret_usable);

	if (ret || !*ret_usable) {
		report_missing(image, FILE_PARAMETERS, PROBLEM_ITEM_MISSING);
		return ret;
	}
	vhdx_file_parameters_decode(&disk, sizeof(disk), &image->parameters);
	uint32_t block_size = image->parameters.block_size;

	if (!block_size_is_valid(block_size)) {
		vhdx_image_report(
			image, PROBLEM_BLOCK_SIZE, at,
			"metadata: BlockSize is %u (expected a power of two from 1 to 256 MiB)",
			block_size);
		*ret_usable = false;
	}
	if (image->parameters.flags & ~PARAMETER_ALL_FLAGS)
		vhdx_image_report(
			image, PROBLEM_PARAMETER_FLAGS,
			at + offsetof(struct file_parameters_disk, flags),
			"metadata: File Parameters have flags %#x (expected no reserved bits)",
			image->parameters.flags);
	check_leave_allocated(image);
	return 0;
}

/* Leaves *ret_size alone and *ret_usable false when the item is not there. */
static int load_sector_size(struct image *image, enum known_item known, uint32_t *ret_size,
			    bool *ret_usable)
{
	struct le32 disk;
	int ret = read_item(image, known, &disk, ret_usable);

	if (ret || !*ret_usable)
		return ret;
	*ret_size = le32_get(disk);
	if (!sector_size_is_valid(*ret_size)) {
		vhdx_image_report(image, PROBLEM_SECTOR_SIZE, image->known_items[known].offset,
				  "metadata: %s is %u (expected 512 or 4096)",
				  vhdx_item_rules[known].name, *ret_size);
		*ret_usable = false;
	}
	return 0;
}

static int load_sector_sizes(struct image *image, bool *ret_usable)
{
	bool has_physical;
	int ret = load_sector_size(image, LOGICAL_SECTOR_SIZE, &image->logical_sector_size,
				   ret_usable);

	if (ret)
		return ret;
	if (!*ret_usable)
		report_missing(image, LOGICAL_SECTOR_SIZE, PROBLEM_ITEM_MISSING);
	ret = load_sector_size(image, PHYSICAL_SECTOR_SIZE, &image->physical_sector_size,
			       &has_physical);
	if (ret)
		return ret;
	if (!has_physical) {
		report_missing(image, PHYSICAL_SECTOR_SIZE, PROBLEM_PHYSICAL_SECTOR_MISSING);
		image->physical_sector_size = image->logical_sector_size;
	}
	if (*ret_usable && image->physical_sector_size < image->logical_sector_size)
		vhdx_image_report(
			image, PROBLEM_SECTOR_SIZE_ORDER,
			image->known_items[PHYSICAL_SECTOR_SIZE].offset,
			"metadata: physical sectors of %u bytes, logical ones of %u (smaller "
			"ones are usual)",
			image->physical_sector_size, image->logical_sector_size);
	return 0;
}

static int load_disk_size(struct image *image, bool *ret_usable)
{
	struct le64 disk;
	int ret = read_item(image, VIRTUAL_DISK_SIZE, &disk, ret_usable);

	if (ret || !*ret_usable) {
		report_missing(image, VIRTUAL_DISK_SIZE, PROBLEM_ITEM_MISSING);
		return ret;
	}
	image->virtual_size = le64_get(disk);
	uint32_t sector =
		sector_size_is_valid(image->logical_sector_size) ? image->logical_sector_size : 512;

	if (!disk_size_is_valid(image->virtual_size, sector)) {
		vhdx_image_report(image, PROBLEM_DISK_SIZE,
				  image->known_items[VIRTUAL_DISK_SIZE].offset,
				  "metadata: VirtualDiskSize is %" PRIu64
				  " (expected whole sectors of %u bytes, at most 64 TiB)",
				  image->virtual_size, sector);
		*ret_usable = false;
	}
	return 0;
}

static int load_disk_id(struct image *image)
{
	bool there;
	int ret = read_item(image, VIRTUAL_DISK_ID, &image->disk_id, &there);

	if (!ret && !there)
		report_missing(image, VIRTUAL_DISK_ID, PROBLEM_DISK_ID_MISSING);
	return ret;
}

static void make_geometry(struct image *image)
{
	struct geometry geometry = geometry_make(image->virtual_size, image->parameters.block_size,
						 image->logical_sector_size,
						 image_has_parent(image));

	if (geometry.entries > image->bat.length / BAT_ENTRY_SIZE) {
		vhdx_image_report(image, PROBLEM_BAT_TOO_SMALL, image->bat.file_offset,
				  "BAT region is %u bytes long (expected at least the %" PRIu64
				  " of its %" PRIu64 " entries)",
				  image->bat.length, geometry.entries * BAT_ENTRY_SIZE,
				  geometry.entries);
		return;
	}
	if (!range_within(image->bat.file_offset, geometry.entries * BAT_ENTRY_SIZE,
			  image_view_size(image))) {
		vhdx_image_report(image, PROBLEM_BAT_CUT, image->bat.file_offset,
				  "file is %" PRIu64
				  " bytes long (expected all of the BAT, whose %" PRIu64
				  " entries begin at %#" PRIx64 ")",
				  image_view_size(image), geometry.entries, image->bat.file_offset);
		return;
	}
	image->geometry = geometry;
	image->known |= VHDX_KNOWN_GEOMETRY;
}

/* Allowed, or of no account; Windows minds the last. */
static void check_locator_habits(struct image *image, uint64_t at)
{
	const struct locator *locator = &image->locator;
	const char *second = vhdx_locator_get(locator, KEY_LINKAGE_2);
	const char *volume = vhdx_locator_get(locator, KEY_VOLUME_PATH);
	struct vhdx_guid guid;

	if (second && vhdx_guid_parse(second, &guid))
		vhdx_image_report(image, PROBLEM_LOCATOR_LINKAGE_2, at,
				  "parent locator: " KEY_LINKAGE_2 " is %.64s (a GUID is usual)",
				  second);
	if (volume && strncasecmp(volume, VOLUME_PREFIX, strlen(VOLUME_PREFIX)) != 0)
		vhdx_image_report(image, PROBLEM_LOCATOR_VOLUME_PATH, at,
				  "parent locator: " KEY_VOLUME_PATH " is %.100s (" VOLUME_PREFIX
				  "GUID} before the path is usual)",
				  volume);
	if (locator->has_odd_place)
		vhdx_image_report(
			image, PROBLEM_LOCATOR_ODD_PLACE, at,
			"parent locator: a string begins at an odd offset (expected even ones)");
}

/* Is there a path to the parent, and what to know it by? */
static bool check_locator(struct image *image, uint64_t at)
{
	const struct locator *locator = &image->locator;
	const char *linkage = vhdx_locator_get(locator, KEY_LINKAGE);
	char text[VHDX_GUID_TEXT_SIZE];

	if (!guid_equal(&locator->type, &LOCATOR_TYPE_VHDX))
		vhdx_image_report(image, PROBLEM_LOCATOR_TYPE, at,
				  "parent locator: type %s is unknown",
				  vhdx_guid_text(&locator->type, text));
	if (locator->reserved)
		vhdx_image_report(image, PROBLEM_LOCATOR_RESERVED,
				  at + offsetof(struct locator_disk, reserved),
				  "parent locator: the reserved field is %#x (expected 0)",
				  locator->reserved);
	if (!vhdx_locator_has_linkage(locator))
		vhdx_image_report(image, PROBLEM_LOCATOR_LINKAGE, at,
				  "parent locator: " KEY_LINKAGE " is %.64s (expected a GUID)",
				  linkage ? linkage : "missing");
	if (!vhdx_locator_has_path(locator))
		vhdx_image_report(image, PROBLEM_LOCATOR_NO_PATH, at,
				  "parent locator: no path (expected at least one of three)");
	check_locator_habits(image, at);
	return vhdx_locator_is_usable(locator);
}

static int load_locator(struct image *image)
{
	const struct found_item *found = &image->known_items[PARENT_LOCATOR];
	struct fault fault = {0};

	if (!image_has_parent(image)) {
		if (found->present)
			vhdx_image_report(
				image, PROBLEM_LOCATOR_WITHOUT_PARENT, found->offset,
				"metadata: there is a parent locator, and HasParent is not set "
				"(expected none)");
		return 0;
	}
	if (!found->present) {
		report_missing(image, PARENT_LOCATOR, PROBLEM_LOCATOR_MISSING);
		return 0;
	}
	auto_free void *buf = malloc(found->length);

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_io_read(image->view, buf, found->length, found->offset);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "the parent locator cannot be read");
	ret = vhdx_locator_decode(buf, found->length, &image->locator, &fault);
	if (ret == -EUCLEAN)
		vhdx_image_report(image, fault.problem, found->offset + fault.offset, "%s",
				  fault.text);
	if (ret)
		return ret == -EUCLEAN ? 0 : ret;
	image->known |= VHDX_KNOWN_LOCATOR;
	image->memory += image->locator.text_size;
	image->locator_is_usable = check_locator(image, found->offset);
	return 0;
}

int vhdx_image_load_items(struct image *image)
{
	bool has_parameters = false;
	bool has_sectors = false;
	bool has_size = false;

	if (!(image->known & VHDX_KNOWN_REGIONS))
		return 0;
	int ret = load_table(image);

	if (ret || !image->items)
		return ret;
	ret = load_parameters(image, &has_parameters);
	if (!ret)
		ret = load_sector_sizes(image, &has_sectors);
	if (!ret)
		ret = load_disk_size(image, &has_size);
	if (!ret)
		ret = load_disk_id(image);
	if (ret)
		return ret;
	if (has_parameters && has_sectors && has_size)
		make_geometry(image);
	return has_parameters ? load_locator(image) : 0;
}
