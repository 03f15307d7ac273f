/* SPDX-License-Identifier: MIT */
/* Finds the block allocation table by its shape (F 6.2 to F 6.4), at any whole MiB of a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/zeros.h"
#include "meta/spacemap.h"
#include "ops/hunt.h"
#include "store/io.h"

/* Places that look like a BAT by their first page, and are read whole: more are not looked at. */
#define MAX_PROMISING 1024u

#define DAMAGED_SHARE 16u /* of the entries, where some may be */

/* A log and regions that are not known may be data that no entry covers. */
#define STRAY_MEBIBYTES 16u

#define ILLEGAL 1

/* What one place holds. */
struct shape {
	uint64_t entries; /* that are not zero */
	uint64_t present; /* of blocks */
	uint64_t bad;
	bool has_first; /* block 0 */
};

struct bat_hunt {
	const struct image *image;
	struct image candidate; /* the image with its BAT at the place that is looked at */
	bool may_be_damaged;
	bool may_begin_empty; /* look behind a first page of zeros too */
	unsigned promising;

	struct space_map space;
	struct shape shape;

	struct shape best;
	uint64_t place;
	unsigned equals; /* places as good as the best */
	uint8_t *buf;	 /* a MiB */

	uint64_t covered; /* MiB of data that lie in something */
	uint64_t stray;	  /* and in nothing */
};

static bool lies_in_file(const struct image *image, uint64_t offset)
{
	return offset >= HEADER_SECTION_SIZE && offset < image_end(image);
}

static bool bitmap_entry_is_legal(const struct image *image, uint64_t entry)
{
	return image_has_parent(image) && bat_entry_state(entry) == BITMAP_PRESENT &&
	       lies_in_file(image, bat_entry_offset(entry));
}

static bool block_entry_is_legal(const struct image *image, uint64_t entry)
{
	uint64_t offset = bat_entry_offset(entry);

	switch (bat_entry_state(entry)) {
	case BLOCK_NOT_PRESENT:
	case BLOCK_UNDEFINED:
	case BLOCK_ZERO:
	case BLOCK_UNMAPPED:
		return !offset || lies_in_file(image, offset);
	case BLOCK_FULLY_PRESENT:
		return lies_in_file(image, offset);
	case BLOCK_PARTIALLY_PRESENT:
		return image_has_parent(image) && lies_in_file(image, offset);
	default:
		return false;
	}
}

static bool entry_is_legal(const struct image *image, uint64_t index, uint64_t entry)
{
	if (bat_entry_reserved(entry))
		return false;
	return bat_index_is_bitmap(&image->geometry, index) ? bitmap_entry_is_legal(image, entry)
							    : block_entry_is_legal(image, entry);
}

/* Everything that has a place of its own in the file. */
static void mark_known(struct bat_hunt *hunt)
{
	const struct image *image = &hunt->candidate;

	vhdx_space_map_mark(&hunt->space, 0, HEADER_SECTION_SIZE, NULL);
	if (image->current != NO_HEADER && vhdx_image_log_is_usable(image))
		vhdx_space_map_mark(&hunt->space, image->log.offset, image->log.length, NULL);
	vhdx_space_map_mark(&hunt->space, image->metadata.file_offset, image->metadata.length,
			    NULL);
	for (uint32_t i = 0; i < image->region_count; i++) {
		const struct region *region = &image->regions[i];

		if (!guid_equal(&region->guid, &REGION_BAT) &&
		    lies_in_file(image, region->file_offset))
			vhdx_space_map_mark(&hunt->space, region->file_offset, region->length,
					    NULL);
	}
}

static bool takes_space(const struct image *image, uint64_t index, uint64_t entry)
{
	return bat_entry_state(entry) >= BLOCK_FULLY_PRESENT ||
	       bat_index_is_bitmap(&image->geometry, index);
}

/* Counts one bad entry; is it one too many? */
static int count_bad(struct bat_hunt *hunt)
{
	hunt->shape.bad++;
	if (!hunt->may_be_damaged)
		return ILLEGAL;
	return hunt->shape.bad > 2 + hunt->candidate.geometry.entries / DAMAGED_SHARE ? ILLEGAL : 0;
}

static int take_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct bat_hunt *hunt = opaque;
	const struct image *image = &hunt->candidate;
	bool is_bitmap = bat_index_is_bitmap(&image->geometry, index);

	hunt->shape.entries++;
	if (!entry_is_legal(image, index, entry))
		return count_bad(hunt);
	if (!takes_space(image, index, entry))
		return 0;
	if (vhdx_space_map_mark(&hunt->space, bat_entry_offset(entry),
				is_bitmap ? BITMAP_BLOCK_SIZE : image->geometry.block_size, NULL))
		return count_bad(hunt);
	hunt->shape.present += !is_bitmap;
	hunt->shape.has_first |= !index;
	return 0;
}

/* Is the place better than the best so far (1), as good (0), or worse (-1)? */
static int compare_shapes(const struct shape *a, const struct shape *b)
{
	if (a->present != b->present)
		return a->present > b->present ? 1 : -1;
	return a->has_first - b->has_first;
}

static void take_shape(struct bat_hunt *hunt, uint64_t offset)
{
	int order = hunt->equals ? compare_shapes(&hunt->shape, &hunt->best) : 1;

	if (order > 0) {
		hunt->best = hunt->shape;
		hunt->place = offset;
		hunt->equals = 0;
	}
	hunt->equals += order >= 0;
}

/* Damage is not all that there is: of what is no BAT, most entries are bad. */
static bool is_mostly_good(const struct shape *shape)
{
	return shape->entries && shape->bad * DAMAGED_SHARE <= shape->entries + 2 * DAMAGED_SHARE &&
	       shape->bad * 2 <= shape->entries;
}

/* Sets up the map of space as the BAT at @offset would have it. ILLEGAL when it cannot be one. */
static int walk_place(struct bat_hunt *hunt, uint64_t offset)
{
	hunt->shape = (struct shape){0};
	hunt->candidate.bat.file_offset = offset;
	int ret = vhdx_space_map_init(&hunt->space, image_end(&hunt->candidate));

	if (ret)
		return ret;
	mark_known(hunt);
	if (vhdx_space_map_mark(&hunt->space, offset, hunt->candidate.bat.length, NULL))
		return ILLEGAL;
	return vhdx_bat_walk(&hunt->candidate, false, take_entry, hunt, NULL, NULL);
}

static int read_whole(struct bat_hunt *hunt, uint64_t offset)
{
	if (++hunt->promising > MAX_PROMISING)
		return -ENOTUNIQ;
	int ret = walk_place(hunt, offset);

	vhdx_space_map_free(&hunt->space);
	if (ret < 0)
		return ret;
	if (!ret && is_mostly_good(&hunt->shape))
		take_shape(hunt, offset);
	return 0;
}

/* By the entries of its first pages; zeros say nothing. */
static bool is_promising(struct bat_hunt *hunt, const uint8_t *page)
{
	const struct image *image = &hunt->candidate;
	uint64_t count = min_u64(PAGE_SIZE / BAT_ENTRY_SIZE, image->geometry.entries);
	uint64_t filled = 0;
	uint64_t bad = 0;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t entry = le64_get(((const struct le64 *)(const void *)page)[i]);

		filled += entry != 0;
		/* On later pages bitmaps have other places: any entry that may be somewhere will do. */
		bad += entry && !entry_is_legal(image, 0, entry) &&
		       !entry_is_legal(image, image->geometry.chunk_ratio, entry);
	}
	return filled && (hunt->may_be_damaged ? bad * 2 <= filled : !bad);
}

/* Reads on behind zeros, up to the end of the MiB or of the BAT. */
static int look_behind_zeros(struct bat_hunt *hunt, uint64_t offset)
{
	uint64_t size = min_u64(MIB, hunt->candidate.geometry.entries * BAT_ENTRY_SIZE);
	int ret = vhdx_io_read(hunt->image->view, hunt->buf, (size_t)size, offset);

	if (ret)
		return vhdx_fail_io(ret, hunt->image->name, offset, "cannot be searched");
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		if (!vhdx_is_zeros(hunt->buf + at, (size_t)min_u64(PAGE_SIZE, size - at)))
			return is_promising(hunt, hunt->buf + at) ? read_whole(hunt, offset) : 0;
	return 0;
}

static int look_for_bat(void *opaque, uint64_t offset)
{
	struct bat_hunt *hunt = opaque;
	const struct image *image = hunt->image;

	if (!range_within(offset, hunt->candidate.geometry.entries * BAT_ENTRY_SIZE,
			  image_end(image)))
		return 0;
	int ret = vhdx_io_read(image->view, hunt->buf, PAGE_SIZE, offset);

	if (ret)
		return vhdx_fail_io(ret, image->name, offset, "cannot be searched");
	size_t used = (size_t)min_u64(PAGE_SIZE, image->geometry.entries * BAT_ENTRY_SIZE);

	memset(hunt->buf + used, 0, PAGE_SIZE - used);
	if (vhdx_is_zeros(hunt->buf, used))
		return hunt->may_begin_empty ? look_behind_zeros(hunt, offset) : 0;
	return !hunt->may_begin_empty && is_promising(hunt, hunt->buf) ? read_whole(hunt, offset)
								       : 0;
}

/* A MiB that is data, in an image that has no BAT of blocks. */
static int find_stray_data(void *opaque, uint64_t offset)
{
	struct bat_hunt *hunt = opaque;
	const struct image *image = hunt->image;

	if (vhdx_space_map_has(&hunt->space, offset))
		return 0;
	int ret = vhdx_io_read(image->view, hunt->buf, MIB, offset);

	if (ret)
		return vhdx_fail_io(ret, image->name, offset, "cannot be searched");
	return vhdx_is_zeros(hunt->buf, MIB) ? 0 : -ENOENT;
}

static int count_covered(void *opaque, uint64_t offset)
{
	struct bat_hunt *hunt = opaque;
	bool is_covered = vhdx_space_map_has(&hunt->space, offset);

	*(is_covered ? &hunt->covered : &hunt->stray) += 1;
	return 0;
}

/*
 * Does the best place explain half of what the file holds? -ENOENT when it does not: it may be that of an
 * image inside this one.
 */
static int check_best(struct bat_hunt *hunt)
{
	const struct image *image = hunt->image;
	int ret = walk_place(hunt, hunt->place);

	if (!ret)
		ret = vhdx_hunt_places(image->view, image->name, HEADER_SECTION_SIZE,
				       image_view_size(image),
				       hunt->best.present ? count_covered : find_stray_data, hunt);
	vhdx_space_map_free(&hunt->space);
	if (!ret && hunt->stray > hunt->covered + STRAY_MEBIBYTES)
		return -ENOENT;
	return ret > 0 ? -ENOENT : ret;
}

/* For an image that holds nothing but what is known: the first space that is large enough. */
static int find_empty(struct bat_hunt *hunt)
{
	const struct image *image = hunt->image;
	uint64_t after = image->metadata.file_offset + image->metadata.length;
	int ret = vhdx_space_map_init(&hunt->space, image_end(image));

	if (ret)
		return ret;
	mark_known(hunt);
	if (image->current != NO_HEADER)
		after = max_u64(after, image->log.offset + image->log.length);
	ret = vhdx_hunt_places(image->view, image->name, HEADER_SECTION_SIZE,
			       image_view_size(image), find_stray_data, hunt);
	hunt->place = vhdx_space_map_find_run(&hunt->space, NULL, round_up_saturated(after, MIB),
					      hunt->candidate.bat.length);
	vhdx_space_map_free(&hunt->space);
	if (ret)
		return ret;
	return hunt->place == UINT64_MAX ? -ENOENT : 0;
}

static int search(struct bat_hunt *hunt)
{
	const struct image *image = hunt->image;
	int ret = 0;

	for (int pass = 0; pass < 2 && !ret && !hunt->equals; pass++) {
		hunt->may_begin_empty = pass;
		ret = vhdx_hunt_places(image->view, image->name, HEADER_SECTION_SIZE,
				       image_view_size(image), look_for_bat, hunt);
	}
	if (ret)
		return ret;
	if (hunt->equals > 1)
		return -ENOTUNIQ;
	if (hunt->equals)
		return check_best(hunt);
	return hunt->may_be_damaged ? -ENOENT : find_empty(hunt);
}

static int hunt_bat(const struct image *image, bool may_be_damaged, struct region *ret_region)
{
	auto_free uint8_t *buf = malloc(MIB);
	struct bat_hunt hunt = {
		.image = image,
		.candidate = *image,
		.may_be_damaged = may_be_damaged,
		.buf = buf,
	};
	uint64_t length = round_up(image->geometry.entries * BAT_ENTRY_SIZE, MIB);

	if (!buf)
		return vhdx_fail_memory();
	if (may_be_damaged) /* the file may have been cut, too */
		image_set_view_size(&hunt.candidate, MAX_MAPPED_FILE);
	hunt.candidate.bat = (struct region){REGION_BAT, 0, (uint32_t)length, REGION_REQUIRED};
	int ret = search(&hunt);

	if (ret)
		return ret;
	*ret_region = hunt.candidate.bat;
	ret_region->file_offset = hunt.place;
	return 0;
}

int vhdx_hunt_bat(const struct image *image, struct region *ret_region)
{
	return hunt_bat(image, false, ret_region);
}

int vhdx_hunt_damaged_bat(const struct image *image, struct region *ret_region)
{
	return hunt_bat(image, true, ret_region);
}
