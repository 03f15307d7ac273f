/* SPDX-License-Identifier: MIT */
/* The regions of an image under repair, as its two tables have them, however damaged they are. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/guid.h"
#include "ops/regionlist.h"
#include "store/io.h"

/* Two copies that differ in more units are not put together: 2 to that power must be tried. */
#define MAX_DIFFERENCES 10u

#define UNIT 8u /* bytes */

bool vhdx_region_lies_in_file(const struct image *image, const struct region *region)
{
	return region->file_offset >= HEADER_SECTION_SIZE && region->length &&
	       range_within(region->file_offset, region->length, image_end(image));
}

int vhdx_region_is_metadata(const struct image *image, const struct region *region, bool *ret_is)
{
	char signature[sizeof(METADATA_SIGNATURE) - 1];

	*ret_is = false;
	if (!vhdx_region_lies_in_file(image, region) || !is_aligned(region->file_offset, MIB))
		return 0;
	int ret = vhdx_io_read(image->view, signature, sizeof(signature), region->file_offset);

	if (ret)
		return vhdx_fail_io(ret, image->name, region->file_offset, "cannot be read");
	*ret_is = !memcmp(signature, METADATA_SIGNATURE, sizeof(signature));
	return 0;
}

/* ---- the list ---- */

uint32_t vhdx_region_list_find(const struct region_list *list, const struct vhdx_guid *guid,
			       uint32_t *ret_first)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < list->count; i++)
		if (guid_equal(&list->regions[i].guid, guid) && !count++ && ret_first)
			*ret_first = i;
	return count;
}

void vhdx_region_list_remove(struct region_list *list, uint32_t index)
{
	list->count--;
	memmove(&list->regions[index], &list->regions[index + 1],
		(list->count - index) * sizeof(*list->regions));
	list->changed = true;
}

bool vhdx_region_list_put(struct region_list *list, const struct region *region)
{
	uint32_t first = 0;
	uint32_t found = vhdx_region_list_find(list, &region->guid, &first);

	for (uint32_t i = list->count; found > 1 && i-- > first + 1;)
		if (guid_equal(&list->regions[i].guid, &region->guid))
			vhdx_region_list_remove(list, i);
	if (!found && list->count == MAX_REGIONS)
		return false;
	list->regions[found ? first : list->count++] = *region;
	list->changed = true;
	return true;
}

/* ---- the tables ---- */

/* Entries that a table counts; where its count cannot be right, those before the first without a GUID. */
static uint32_t count_entries(const uint8_t *table)
{
	struct region_table header;
	struct region region;
	uint32_t count = 0;

	vhdx_region_table_decode(table, REGION_TABLE_SIZE, &header);
	if (header.entry_count <= MAX_REGIONS)
		return header.entry_count;
	while (!vhdx_region_decode(table, REGION_TABLE_SIZE, count, &region) &&
	       !guid_is_zero(&region.guid))
		count++;
	return count;
}

static void take_table(struct region_list *list, const uint8_t *table)
{
	list->count = count_entries(table);
	for (uint32_t i = 0; i < list->count; i++)
		vhdx_region_decode(table, REGION_TABLE_SIZE, i, &list->regions[i]);
}

/* A GUID of which half is left can be no other one. */
static bool is_nearly(const struct vhdx_guid *guid, const struct vhdx_guid *wanted)
{
	size_t same = 0;

	for (size_t i = 0; i < sizeof(guid->bytes); i++)
		same += guid->bytes[i] == wanted->bytes[i];
	return same >= sizeof(guid->bytes) / 2;
}

int vhdx_region_tables_walk(const struct region_list *list, const struct vhdx_guid *guid,
			    region_visitor *visit, void *opaque)
{
	struct region region;
	int ret = 0;

	for (unsigned copy = 0; copy < 2; copy++) {
		uint32_t count = count_entries(list->tables[copy]);

		for (uint32_t i = 0; i < count && !ret; i++) {
			vhdx_region_decode(list->tables[copy], REGION_TABLE_SIZE, i, &region);
			if (!is_nearly(&region.guid, guid))
				continue;
			region.guid = *guid;
			ret = visit(opaque, &region);
		}
	}
	return ret;
}

/* ---- two copies put together ---- */

struct fitting {
	uint8_t *trial;
	const uint8_t *other;
	uint32_t checksums[2]; /* either copy's */
	size_t differing[MAX_DIFFERENCES];
	size_t count;
};

static bool fit_from(const struct fitting *fitting, size_t index)
{
	uint8_t found[UNIT];

	if (index == fitting->count) {
		uint32_t crc = vhdx_crc32c_structure(fitting->trial, REGION_TABLE_SIZE);

		return crc == fitting->checksums[0] || crc == fitting->checksums[1];
	}
	uint8_t *at = fitting->trial + fitting->differing[index];

	memcpy(found, at, UNIT);
	if (fit_from(fitting, index + 1))
		return true;
	memcpy(at, fitting->other + fitting->differing[index], UNIT);
	if (fit_from(fitting, index + 1))
		return true;
	memcpy(at, found, UNIT);
	return false;
}

/* The copies were the same once, so each unit is right in one of them unless both were hit there. */
static bool fit_tables(uint8_t *table, const uint8_t *other)
{
	struct region_table headers[2];
	struct fitting fitting = {.trial = table, .other = other};

	vhdx_region_table_decode(table, REGION_TABLE_SIZE, &headers[0]);
	vhdx_region_table_decode(other, REGION_TABLE_SIZE, &headers[1]);
	for (size_t at = UNIT; at < REGION_TABLE_SIZE; at += UNIT)
		if (memcmp(table + at, other + at, UNIT) != 0) {
			if (fitting.count == MAX_DIFFERENCES)
				return false;
			fitting.differing[fitting.count++] = at;
		}
	fitting.checksums[0] = headers[0].stored_checksum;
	fitting.checksums[1] = headers[1].stored_checksum;
	memcpy(table, REGION_SIGNATURE, sizeof(REGION_SIGNATURE) - 1);
	return fit_from(&fitting, 0);
}

/* ---- the better of two tables ---- */

static int rate_table(const struct image *image, const uint8_t *table, unsigned *ret_score)
{
	struct region_table header;
	uint32_t count = count_entries(table);
	unsigned score = 0;

	vhdx_region_table_decode(table, REGION_TABLE_SIZE, &header);
	for (uint32_t i = 0; i < count; i++) {
		struct region region;
		bool is_right = false;
		int ret = 0;

		vhdx_region_decode(table, REGION_TABLE_SIZE, i, &region);
		if (guid_equal(&region.guid, &REGION_METADATA))
			ret = vhdx_region_is_metadata(image, &region, &is_right);
		else if (guid_equal(&region.guid, &REGION_BAT))
			is_right = vhdx_region_lies_in_file(image, &region);
		if (ret)
			return ret;
		score += is_right ? 2 : 0;
	}
	*ret_score = score + region_table_is_valid(&header);
	return 0;
}

/* An entry that nobody needs, from a table that is not right, may be anything. */
static void drop_implausible(const struct image *image, struct region_list *list)
{
	bool has_all = vhdx_region_list_find(list, &REGION_BAT, NULL) &&
		       vhdx_region_list_find(list, &REGION_METADATA, NULL);

	for (uint32_t i = list->count; i-- > 0;) {
		const struct region *region = &list->regions[i];

		if (guid_equal(&region->guid, &REGION_BAT) ||
		    guid_equal(&region->guid, &REGION_METADATA))
			continue;
		if (!vhdx_region_lies_in_file(image, region) ||
		    !is_aligned(region->file_offset | region->length, MIB) ||
		    guid_is_zero(&region->guid) || (!has_all && region->required & REGION_REQUIRED))
			vhdx_region_list_remove(list, i);
	}
}

static int take_better(const struct image *image, struct region_list *list)
{
	unsigned scores[2];

	for (unsigned copy = 0; copy < 2; copy++) {
		int ret = rate_table(image, list->tables[copy], &scores[copy]);

		if (ret)
			return ret;
	}
	take_table(list, list->tables[scores[1] > scores[0]]);
	drop_implausible(image, list);
	list->changed = true;
	return 0;
}

static int read_tables(const struct image *image, struct region_list *list)
{
	list->regions = calloc(MAX_REGIONS, sizeof(*list->regions));
	list->tables[0] = malloc(2 * REGION_TABLE_SIZE);
	if (!list->regions || !list->tables[0])
		return vhdx_fail_memory();
	list->tables[1] = list->tables[0] + REGION_TABLE_SIZE;
	for (unsigned copy = 0; copy < 2; copy++) {
		int ret = vhdx_io_read(image->view, list->tables[copy], REGION_TABLE_SIZE,
				       region_table_offset(copy));

		if (ret)
			return vhdx_fail_errno(ret, image->name, "region table %u cannot be read",
					       copy + 1);
	}
	return 0;
}

/* A table whose checksum fits and whose count cannot be right was written so: there is nothing to prove. */
static int take_regions(const struct image *image, struct region_list *list,
			enum region_source *ret_source)
{
	if (image->regions) {
		*ret_source = REGIONS_VALID;
		take_table(list, list->tables[image->table]);
		return 0;
	}
	uint8_t *trial = malloc(REGION_TABLE_SIZE);

	if (!trial)
		return vhdx_fail_memory();
	memcpy(trial, list->tables[0], REGION_TABLE_SIZE);
	bool fits = image->table == NO_TABLE && fit_tables(trial, list->tables[1]);

	*ret_source = fits ? REGIONS_PROVED : REGIONS_TRUSTED;
	if (fits)
		take_table(list, trial);
	free(trial);
	list->changed = true;
	return fits ? 0 : take_better(image, list);
}

int vhdx_region_list_read(const struct image *image, struct region_list *ret_list,
			  enum region_source *ret_source)
{
	struct region_list list = {0};
	int ret = read_tables(image, &list);

	if (!ret)
		ret = take_regions(image, &list, ret_source);
	if (ret)
		vhdx_region_list_free(&list);
	else
		*ret_list = list;
	return ret;
}

void vhdx_region_list_free(struct region_list *list)
{
	free(list->regions);
	free(list->tables[0]);
	*list = (struct region_list){0};
}

int vhdx_region_list_write(const struct repair *repair, const struct region_list *list,
			   unsigned table)
{
	uint8_t *bytes = list->changed ? list->tables[0] : list->tables[table];
	int ret = 0;

	if (list->changed)
		vhdx_region_table_encode(list->regions, list->count, bytes, REGION_TABLE_SIZE);
	for (unsigned copy = 0; copy < 2 && !ret; copy++)
		ret = vhdx_io_write(repair->io, bytes, REGION_TABLE_SIZE,
				    region_table_offset(copy));
	return ret ? vhdx_fail_errno(ret, repair->name, "the region tables cannot be written") : 0;
}
