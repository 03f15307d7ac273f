/* SPDX-License-Identifier: MIT */
/* The two region tables, which of them counts, and the regions that it names (F 3). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/zeros.h"
#include "meta/image.h"
#include "store/io.h"

static const char *region_name(const struct vhdx_guid *guid, char text[VHDX_GUID_TEXT_SIZE])
{
	if (guid_equal(guid, &REGION_BAT))
		return "BAT";
	return guid_equal(guid, &REGION_METADATA) ? "metadata" : vhdx_guid_text(guid, text);
}

static bool is_known_region(const struct vhdx_guid *guid)
{
	return guid_equal(guid, &REGION_BAT) || guid_equal(guid, &REGION_METADATA);
}

static int load_table(struct image *image, unsigned copy, void *buf)
{
	struct region_table *table = &image->tables[copy];
	uint64_t at = region_table_offset(copy);
	int ret = vhdx_io_read(image->view, buf, REGION_TABLE_SIZE, at);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "region table %u cannot be read",
				       copy + 1);
	vhdx_region_table_decode(buf, REGION_TABLE_SIZE, table);
	if (!table->has_signature)
		vhdx_image_report(image, PROBLEM_REGION_TABLE_SIGNATURE, at,
				  "region table %u: no signature (expected \"" REGION_SIGNATURE
				  "\")",
				  copy + 1);
	else if (!region_table_is_valid(table))
		vhdx_image_report(image, PROBLEM_REGION_TABLE_CHECKSUM,
				  at + offsetof(struct region_table_disk, checksum),
				  "region table %u: checksum is %#010x (expected %#010x)", copy + 1,
				  table->stored_checksum, table->checksum);
	return 0;
}

static void choose_table(struct image *image, const uint8_t *bufs[2])
{
	bool first = region_table_is_valid(&image->tables[0]);
	bool second = region_table_is_valid(&image->tables[1]);

	if (!first && !second) {
		vhdx_image_report(
			image, PROBLEM_REGION_TABLES_BOTH_BAD, REGION_TABLE_1_OFFSET,
			"region tables 1 and 2: neither is valid (expected at least one)");
		return;
	}
	image->table = first ? 0 : 1;
	if (first && second && memcmp(bufs[0], bufs[1], REGION_TABLE_SIZE) != 0)
		vhdx_image_report(
			image, PROBLEM_REGION_TABLES_DIFFER, REGION_TABLE_2_OFFSET,
			"region tables 1 and 2 are valid and differ (expected copies); the first counts");
}

static uint64_t entry_offset(const struct image *image, uint32_t index)
{
	return region_table_offset(image->table) + offsetof(struct region_table_disk, entries) +
	       index * sizeof(struct region_entry_disk);
}

/* Behind the header section, inside the file, and not empty. */
static bool region_lies_in_file(const struct image *image, const struct region *region)
{
	return region->file_offset >= HEADER_SECTION_SIZE && region->length &&
	       range_within(region->file_offset, region->length, image_end(image));
}

static void check_known_region(struct image *image, const struct region *region, uint64_t at,
			       const char *name)
{
	if (!region_lies_in_file(image, region))
		vhdx_image_report(image, PROBLEM_REGION_PLACE, at,
				  "%s region: %#x bytes at %#" PRIx64
				  " (expected behind the first MiB and within the "
				  "file's %#" PRIx64 " bytes)",
				  name, region->length, region->file_offset,
				  image_view_size(image));
	if (!(region->required & REGION_REQUIRED))
		vhdx_image_report(image, PROBLEM_REGION_NOT_REQUIRED, at,
				  "%s region: not marked as required (a mark is usual)", name);
}

static void check_unknown_region(struct image *image, const struct region *region, uint64_t at,
				 const char *name)
{
	if (region->required & REGION_REQUIRED)
		vhdx_image_report(
			image, PROBLEM_REGION_UNKNOWN_REQUIRED, at,
			"region %s is required and unknown (expected only the BAT and the metadata)",
			name);
	else if (!region_lies_in_file(image, region))
		vhdx_image_report(image, PROBLEM_REGION_UNKNOWN_PLACE, at,
				  "region %s: %#x bytes at %#" PRIx64 " (expected within the file)",
				  name, region->length, region->file_offset);
}

static void check_region(struct image *image, uint32_t index)
{
	const struct region *region = &image->regions[index];
	char text[VHDX_GUID_TEXT_SIZE];
	const char *name = region_name(&region->guid, text);
	uint64_t at = entry_offset(image, index);

	for (uint32_t i = 0; i < index; i++)
		if (guid_equal(&image->regions[i].guid, &region->guid)) {
			vhdx_image_report(
				image, PROBLEM_REGION_DUPLICATE, at,
				"region table %u: the %s region stands there twice (expected once)",
				image->table + 1, name);
			return;
		}
	if (is_known_region(&region->guid))
		check_known_region(image, region, at, name);
	else
		check_unknown_region(image, region, at, name);
	if (!is_aligned(region->file_offset, MIB) || !is_aligned(region->length, MIB))
		vhdx_image_report(image, PROBLEM_REGION_ALIGNMENT, at,
				  "%s region: %#x bytes at %#" PRIx64 " (expected whole MiB)", name,
				  region->length, region->file_offset);
	if (region->required & ~REGION_REQUIRED)
		vhdx_image_report(image, PROBLEM_REGION_RESERVED, at,
				  "%s region: Required is %#x (expected 0 or 1)", name,
				  region->required);
}

/* What the region @index overlaps, the log or a region before it; NULL when nothing. */
static const char *find_overlap(const struct image *image, uint32_t index,
				char text[VHDX_GUID_TEXT_SIZE])
{
	const struct region *a = &image->regions[index];

	if (image->current != NO_HEADER &&
	    ranges_meet(a->file_offset, a->length, image->log.offset, image->log.length))
		return "log";
	for (uint32_t i = 0; i < index; i++) {
		const struct region *b = &image->regions[i];

		if (region_lies_in_file(image, b) &&
		    ranges_meet(a->file_offset, a->length, b->file_offset, b->length))
			return region_name(&b->guid, text);
	}
	return NULL;
}

static void check_region_overlaps(struct image *image)
{
	char text[2][VHDX_GUID_TEXT_SIZE];

	for (uint32_t i = 0; i < image->region_count; i++) {
		const struct region *region = &image->regions[i];
		const char *other =
			region_lies_in_file(image, region) ? find_overlap(image, i, text[1]) : NULL;

		if (other)
			vhdx_image_report(image, PROBLEM_REGION_OVERLAP, entry_offset(image, i),
					  "%s region overlaps the %s%s (expected space of its own)",
					  region_name(&region->guid, text[0]), other,
					  strcmp(other, "log") != 0 ? " region" : "");
	}
}

/* The known region of that GUID, or a missing one is reported. */
static bool find_region(struct image *image, const struct vhdx_guid *guid, const char *name,
			struct region *ret_region)
{
	for (uint32_t i = 0; i < image->region_count; i++)
		if (guid_equal(&image->regions[i].guid, guid)) {
			*ret_region = image->regions[i];
			return region_lies_in_file(image, ret_region);
		}
	vhdx_image_report(image, PROBLEM_REGION_MISSING, region_table_offset(image->table),
			  "region table %u: no %s region (expected one)", image->table + 1, name);
	return false;
}

static int decode_regions(struct image *image, const uint8_t *buf)
{
	const struct region_table *table = &image->tables[image->table];
	uint64_t at = region_table_offset(image->table);

	if (table->reserved)
		vhdx_image_report(image, PROBLEM_REGION_RESERVED,
				  at + offsetof(struct region_table_disk, reserved),
				  "region table %u: the reserved field is %#x (expected 0)",
				  image->table + 1, table->reserved);
	if (table->entry_count > MAX_REGIONS) {
		vhdx_image_report(image, PROBLEM_REGION_COUNT,
				  at + offsetof(struct region_table_disk, entry_count),
				  "region table %u: EntryCount is %u (expected at most %u)",
				  image->table + 1, table->entry_count, MAX_REGIONS);
		return 0;
	}
	image->regions = calloc(table->entry_count + 1u, sizeof(*image->regions));
	if (!image->regions)
		return vhdx_fail_memory();
	image->region_count = table->entry_count;
	image->memory += image->region_count * sizeof(*image->regions);
	for (uint32_t i = 0; i < image->region_count; i++)
		vhdx_region_decode(buf, REGION_TABLE_SIZE, i, &image->regions[i]);
	for (uint32_t i = 0; i < image->region_count; i++)
		check_region(image, i);
	check_region_overlaps(image);
	bool has_bat = find_region(image, &REGION_BAT, "BAT", &image->bat);
	bool has_metadata = find_region(image, &REGION_METADATA, "metadata", &image->metadata);

	if (has_bat && has_metadata)
		image->known |= VHDX_KNOWN_REGIONS;
	return 0;
}

int vhdx_image_load_regions(struct image *image)
{
	auto_free uint8_t *buf = malloc(2 * REGION_TABLE_SIZE);

	if (!buf)
		return vhdx_fail_memory();
	const uint8_t *bufs[2] = {buf, buf + REGION_TABLE_SIZE};
	int ret = load_table(image, 0, buf);

	if (!ret)
		ret = load_table(image, 1, buf + REGION_TABLE_SIZE);
	if (ret)
		return ret;
	choose_table(image, bufs);
	return image->table == NO_TABLE ? 0 : decode_regions(image, bufs[image->table]);
}
