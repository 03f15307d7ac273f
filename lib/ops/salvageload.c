/* SPDX-License-Identifier: MIT */
/*
 * The first step of a salvage: headers, log, region tables and metadata, as they stand where they are right,
 * and else as they are found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "ops/hunt.h"
#include "ops/salvage.h"

/* Where writers that are known put the values of items: in their region, ... */
#define VALUES_AT METADATA_TABLE_SIZE
#define SIZE_AT	  8u
/* ... sectors' sizes behind the disk's size, or behind the disk's ID too. */
static const unsigned sector_sizes_at[] = {16, 32};

static bool region_may_be(const struct salvage *s, const struct region *region)
{
	return region->length && region->file_offset >= HEADER_SECTION_SIZE &&
	       is_aligned(region->file_offset, MIB) && region->file_offset < image_end(&s->image);
}

/* ---- Region tables ---- */

static void forget_items(struct image *image)
{
	free(image->items);
	image->items = NULL;
	image->item_count = 0;
	memset(image->known_items, 0, sizeof(image->known_items));
	image->parameters = (struct file_parameters){0};
	image->virtual_size = 0;
	image->logical_sector_size = 0;
	vhdx_locator_free(&image->locator);
	image->locator = (struct locator){0};
	image->known &= ~(uint32_t)(VHDX_KNOWN_GEOMETRY | VHDX_KNOWN_LOCATOR);
}

/* Through another view, or of a file that has no identifier. */
static int reload_regions(struct image *image)
{
	free(image->regions);
	image->regions = NULL;
	image->region_count = 0;
	image->table = NO_TABLE;
	image->bat = image->metadata = (struct region){.length = 0};
	image->known &= ~(uint32_t)VHDX_KNOWN_REGIONS;
	forget_items(image);
	int ret = vhdx_image_load_regions(image);

	return ret ? ret : vhdx_image_load_items(image);
}

static bool has_signature_at(const struct salvage *s, uint64_t offset, const char *signature)
{
	char bytes[8];
	size_t size = strlen(signature);

	return !vhdx_io_read(s->image.view, bytes, size, offset) && !memcmp(bytes, signature, size);
}

/* Of a table whose checksum is wrong: its entries, if that of the metadata leads to them. */
static int read_bad_table(struct salvage *s, unsigned copy)
{
	struct image *image = &s->image;
	auto_free uint8_t *buf = malloc(REGION_TABLE_SIZE);
	struct region bat = {.length = 0};
	struct region metadata = {.length = 0};

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_io_read(image->view, buf, REGION_TABLE_SIZE, region_table_offset(copy));

	if (ret)
		return vhdx_fail_errno(ret, s->name, "region table %u cannot be read", copy + 1);
	for (uint32_t i = 0; i < min_u64(image->tables[copy].entry_count, MAX_REGIONS); i++) {
		struct region region;

		vhdx_region_decode(buf, REGION_TABLE_SIZE, i, &region);
		if (guid_equal(&region.guid, &REGION_BAT) && region_may_be(s, &region))
			bat = region;
		if (guid_equal(&region.guid, &REGION_METADATA) && region_may_be(s, &region))
			metadata = region;
	}
	if (metadata.length && has_signature_at(s, metadata.file_offset, METADATA_SIGNATURE)) {
		image->metadata = metadata;
		image->bat = bat;
	}
	return 0;
}

static int use_bad_tables(struct salvage *s)
{
	int ret = 0;

	for (unsigned copy = 0; copy < 2 && !ret && !s->image.metadata.length; copy++)
		if (s->image.tables[copy].has_signature)
			ret = read_bad_table(s, copy);
	return ret;
}

/* ---- Headers and log ---- */

static void take_log(struct salvage *s)
{
	static const struct vhdx_salvage_fact facts[] = {
		[VHDX_LOG_CLEAN] = {VHDX_SALVAGE_READ, "nothing to replay"},
		[VHDX_LOG_EMPTY] = {VHDX_SALVAGE_READ, "changes nothing"},
		[VHDX_LOG_DIRTY] = {VHDX_SALVAGE_READ, "replayed in memory"},
		[VHDX_LOG_CORRUPT] = {VHDX_SALVAGE_NOT_KNOWN, "ignored: it cannot be replayed"},
	};

	s->result.log_fact = facts[s->image.log_state];
	if (vhdx_image_log_is_usable(&s->image))
		s->result.log_offset = s->image.log.offset;
	else
		s->image.log.length = 0;
}

static int load_without_header(struct salvage *s)
{
	struct image *image = &s->image;
	bool found;
	int ret = vhdx_salvage_find_log(s, &found);

	if (!ret && found)
		ret = vhdx_salvage_replay(s);
	if (!found)
		image->log.length = 0;
	return ret ? ret : reload_regions(image);
}

/* ---- Metadata ---- */

static bool is_block_size(uint32_t size)
{
	return is_power_of_two(size) && size >= MIN_BLOCK_SIZE && size <= MAX_BLOCK_SIZE;
}

static bool is_sector_size(uint32_t size)
{
	return size == 512 || size == 4096;
}

static bool is_disk_size(uint64_t size)
{
	return size && size <= MAX_DISK_SIZE && is_aligned(size, 512);
}

/* Values that cannot be are as good as none. */
static void take_items(struct salvage *s, enum vhdx_salvage_how how, const char *text)
{
	struct image *image = &s->image;

	if (!image->items)
		return;
	fact_set(&s->result.metadata_fact, how, text);
	s->result.metadata_offset = image->metadata.file_offset;
	if (is_block_size(image->parameters.block_size)) {
		fact_set(&s->result.block_size_fact, how, text);
		fact_set(&s->result.type_fact, how, text);
	} else {
		image->parameters = (struct file_parameters){0};
	}
	if (is_sector_size(image->logical_sector_size))
		fact_set(&s->result.logical_sector_size_fact, how, text);
	else
		image->logical_sector_size = 0;
	if (is_disk_size(image->virtual_size))
		fact_set(&s->result.virtual_size_fact, how, text);
	else
		image->virtual_size = 0;
}

static int try_metadata(struct salvage *s, const struct region *region, enum vhdx_salvage_how how,
			const char *text)
{
	forget_items(&s->image);
	int ret = vhdx_hunt_use_metadata(&s->image, region);

	if (ret && ret != -EUCLEAN)
		return ret;
	take_items(s, how, text);
	return 0;
}

/* Of several regions that differ, the first: an image that lies inside this one comes behind it. */
static int search_metadata(struct salvage *s)
{
	const char *text = "found by its signature";
	struct region region;
	int ret = vhdx_hunt_metadata(s->image.view, s->name, &region);

	if (ret == -ENOTUNIQ) {
		text = "the first of several that were found by their signature";
		ret = vhdx_hunt_next_metadata(s->image.view, s->name, 0, &region);
	}
	if (!ret)
		return try_metadata(s, &region, VHDX_SALVAGE_BY_SIGNATURE, text);
	return ret == -ENOENT ? 0 : ret;
}

/* ---- Values without a table that names them ---- */

struct values {
	struct salvage *s;
	uint64_t offset;
	struct file_parameters parameters;
	uint64_t virtual_size;
	uint32_t sector_size;
};

static bool decode_values(const uint8_t *bytes, unsigned sectors_at, struct values *ret_values)
{
	uint32_t logical = le32_get(*(const struct le32 *)(bytes + sectors_at));
	uint32_t physical = le32_get(*(const struct le32 *)(bytes + sectors_at + 4));

	vhdx_file_parameters_decode(bytes, sizeof(struct file_parameters_disk),
				    &ret_values->parameters);
	ret_values->virtual_size = le64_get(*(const struct le64 *)(bytes + SIZE_AT));
	ret_values->sector_size = logical;
	return is_block_size(ret_values->parameters.block_size) &&
	       !(ret_values->parameters.flags & ~PARAMETER_ALL_FLAGS) &&
	       is_disk_size(ret_values->virtual_size) && is_sector_size(logical) &&
	       is_sector_size(physical) && is_aligned(ret_values->virtual_size, logical);
}

static int look_for_values(void *opaque, uint64_t offset)
{
	struct values *values = opaque;
	uint8_t bytes[40];
	int ret = vhdx_io_read(values->s->image.view, bytes, sizeof(bytes), offset + VALUES_AT);

	if (ret)
		return vhdx_fail_io(ret, values->s->name, offset, "cannot be searched");
	values->offset = offset;
	for (size_t i = 0; i < ARRAY_SIZE(sector_sizes_at) && !ret; i++)
		ret = decode_values(bytes, sector_sizes_at[i], values);
	return ret;
}

static int search_values(struct salvage *s)
{
	static const char text[] = "guessed from values where writers usually put them";
	struct values values = {.s = s};
	int ret = vhdx_hunt_places(s->image.view, s->name, HEADER_SECTION_SIZE,
				   image_view_size(&s->image), look_for_values, &values);

	if (ret != 1)
		return ret;
	s->image.parameters = values.parameters;
	s->image.virtual_size = values.virtual_size;
	s->image.logical_sector_size = values.sector_size;
	s->image.metadata = (struct region){REGION_METADATA, values.offset, (uint32_t)MIB, 1};
	s->result.metadata_offset = values.offset;
	fact_set(&s->result.metadata_fact, VHDX_SALVAGE_BY_GUESS, text);
	s->result.block_size_fact = s->result.virtual_size_fact =
		s->result.logical_sector_size_fact = s->result.type_fact = s->result.metadata_fact;
	return 0;
}

static bool has_geometry(const struct salvage *s)
{
	return fact_is_known(&s->result.block_size_fact) &&
	       fact_is_known(&s->result.virtual_size_fact) &&
	       fact_is_known(&s->result.logical_sector_size_fact);
}

static int load_metadata(struct salvage *s)
{
	const struct region named = s->image.metadata;
	int ret = 0;

	take_items(s, VHDX_SALVAGE_READ, "read");
	if (!s->image.items && region_may_be(s, &named))
		ret = try_metadata(s, &named, VHDX_SALVAGE_READ, "read");
	if (!ret && !s->image.items)
		ret = search_metadata(s);
	if (!ret && !s->image.items) {
		s->image.metadata = region_may_be(s, &named) ? named : (struct region){.length = 0};
		ret = search_values(s);
	}
	return ret;
}

/* ---- What the caller gave ---- */

static void override(struct salvage *s)
{
	static const struct vhdx_salvage_fact given = {VHDX_SALVAGE_OVERRIDDEN, "as given"};
	const struct vhdx_salvage_options *options = &s->options;

	if (options->block_size) {
		s->image.parameters.block_size = options->block_size;
		s->result.block_size_fact = given;
	}
	if (options->virtual_size) {
		s->image.virtual_size = options->virtual_size;
		s->result.virtual_size_fact = given;
	}
	if (options->logical_sector_size) {
		s->image.logical_sector_size = options->logical_sector_size;
		s->result.logical_sector_size_fact = given;
	}
}

int vhdx_salvage_load(struct salvage *s)
{
	struct image *image = &s->image;
	int ret = vhdx_image_load(image, s->name, &s->file, NULL, NULL);

	if (!ret && image->current == NO_HEADER)
		ret = load_without_header(s);
	else if (!ret)
		take_log(s);
	if (!ret && image->table == NO_TABLE)
		ret = use_bad_tables(s);
	if (!ret)
		ret = load_metadata(s);
	if (ret)
		return ret;
	override(s);
	if (has_geometry(s))
		vhdx_salvage_set_geometry(s);
	return 0;
}
