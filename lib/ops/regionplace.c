/* SPDX-License-Identifier: MIT */
/* Regions that do not lie as they must: not on a MiB, or over something else (F 3). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "ops/claims.h"
#include "ops/regionplace.h"
#include "store/fill.h"
#include "store/io.h"

#define MAX_REGION_LENGTH round_down(UINT32_MAX, MIB)

static const char *name_of(const struct region *region, char text[VHDX_GUID_TEXT_SIZE])
{
	if (guid_equal(&region->guid, &REGION_BAT))
		return "BAT";
	return guid_equal(&region->guid, &REGION_METADATA) ? "metadata"
							   : vhdx_guid_text(&region->guid, text);
}

static bool is_aligned_region(const struct region *region)
{
	return is_aligned(region->file_offset | region->length, MIB);
}

/* Does a region or the log lie in [offset, offset + length), beside the region @index itself? */
static bool is_taken(const struct image *image, const struct region_list *list, uint32_t index,
		     uint64_t offset, uint64_t length)
{
	if (ranges_meet(offset, length, image->log.offset, image->log.length))
		return true;
	for (uint32_t i = 0; i < list->count; i++)
		if (i != index && vhdx_region_lies_in_file(image, &list->regions[i]) &&
		    ranges_meet(offset, length, list->regions[i].file_offset,
				list->regions[i].length))
			return true;
	return false;
}

/* What only rounds a region's length up is its own, or nobody's: blocks come in whole MiB. */
static bool lengthen(const struct image *image, struct region_list *list, uint32_t index)
{
	struct region *region = &list->regions[index];
	uint64_t length = min_u64(round_up(region->length, MIB), MAX_REGION_LENGTH);

	if (!is_aligned(region->file_offset, MIB) ||
	    is_taken(image, list, index, region->file_offset, length))
		return false;
	region->length = (uint32_t)length;
	list->changed = true;
	return true;
}

/* ---- moving ---- */

#define PIECE_SIZE (64 * KIB)

static int copy_pieces(const struct image *image, uint64_t from, uint64_t to, uint64_t length,
		       uint8_t *piece)
{
	for (uint64_t done = 0; done < length; done += PIECE_SIZE) {
		size_t size = (size_t)min_u64(PIECE_SIZE, length - done);
		int ret = vhdx_io_read(image->file, piece, size, from + done);

		if (!ret)
			ret = vhdx_io_write(image->file, piece, size, to + done);
		if (ret)
			return ret;
	}
	return 0;
}

/* Holes stay holes. */
static int copy_region(const struct image *image, const struct region *region, uint64_t to)
{
	auto_free uint8_t *piece = malloc(PIECE_SIZE);
	uint64_t end = region->file_offset + region->length;
	uint64_t data_end;
	int ret = 0;

	if (!piece)
		return -ENOMEM;
	for (uint64_t at = region->file_offset; !ret && at < end; at = data_end) {
		ret = vhdx_io_next_data(image->file, at, end, &at, &data_end);
		if (ret == -ENXIO)
			return 0;
		if (!ret)
			ret = copy_pieces(image, at, to + (at - region->file_offset), data_end - at,
					  piece);
	}
	return ret;
}

/* Makes @length bytes at @offset zeros that lie in the file. */
static int clear(const struct image *image, uint64_t offset, uint64_t length)
{
	uint64_t size;
	int ret = vhdx_io_get_size(image->file, &size);

	if (!ret && !range_within(offset, length, size))
		ret = vhdx_io_set_size(image->file, offset + length);
	if (!ret && offset < size)
		ret = vhdx_fill_holes(image->file, offset, min_u64(length, size - offset));
	return ret;
}

static int move(const struct image *image, struct region_list *list, uint32_t index, uint64_t place,
		uint64_t length)
{
	struct region *region = &list->regions[index];
	int ret = clear(image, place, length);

	if (!ret)
		ret = copy_region(image, region, place);
	if (ret == -EOPNOTSUPP)
		return ret;
	if (ret)
		return vhdx_fail_io(ret, image->name, place, "a region cannot be moved there");
	region->file_offset = place;
	region->length = (uint32_t)length;
	list->changed = true;
	return 0;
}

static int align(struct repair *repair, const struct image *image, struct region_list *list,
		 uint32_t index, struct claims *claims)
{
	struct region *region = &list->regions[index];
	struct region before = *region;
	uint64_t length = min_u64(round_up(region->length, MIB), MAX_REGION_LENGTH);
	char text[VHDX_GUID_TEXT_SIZE];
	uint64_t place;

	if (!lengthen(image, list, index)) {
		if (!vhdx_claims_find_room(claims, length, &place))
			return 0;
		int ret = move(image, list, index, place, length);

		if (ret) /* a device cannot grow */
			return ret == -EOPNOTSUPP ? 0 : ret;
		vhdx_space_map_mark(&claims->space, place, length, NULL);
		claims->size = max_u64(claims->size, place + length);
		claims->end = max_u64(claims->end, place + length);
	}
	vhdx_repair_mended(repair, PROBLEM_REGION_ALIGNMENT, before.file_offset, 0, 0,
			   "the %s region, %#x bytes at %#" PRIx64
			   ", is now %#x bytes at %#" PRIx64,
			   name_of(region, text), before.length, before.file_offset, region->length,
			   region->file_offset);
	return 0;
}

int vhdx_align_regions(struct repair *repair, const struct image *image, struct region_list *list)
{
	struct claims claims;
	int ret = vhdx_claims_make(image, &claims);

	if (ret)
		return ret;
	vhdx_space_map_mark(&claims.space, image->log.offset, image->log.length, NULL);
	for (uint32_t i = 0; i < list->count && !ret; i++)
		if (!is_aligned_region(&list->regions[i]) &&
		    vhdx_region_lies_in_file(image, &list->regions[i]))
			ret = align(repair, image, list, i, &claims);
	vhdx_claims_free(&claims);
	return ret;
}

/* ---- overlaps ---- */

/* What a region needs of its length. */
static uint64_t needed_length(const struct image *image, const struct region *region)
{
	uint64_t end = METADATA_TABLE_SIZE;

	if (guid_equal(&region->guid, &REGION_BAT))
		return round_up(image->geometry.entries * BAT_ENTRY_SIZE, MIB);
	if (!guid_equal(&region->guid, &REGION_METADATA))
		return region->length;
	for (unsigned i = 0; i < image->item_count; i++)
		if (image->items[i].length)
			end = max_u64(end,
				      (uint64_t)image->items[i].offset + image->items[i].length);
	return round_up(end, MIB);
}

static void cut(struct repair *repair, const struct image *image, struct region_list *list,
		struct region *region, const struct region *next)
{
	uint64_t length = next->file_offset - region->file_offset;
	char text[2][VHDX_GUID_TEXT_SIZE];

	if (!length || !is_aligned(length, MIB) || needed_length(image, region) > length)
		return;
	vhdx_repair_mended(repair, PROBLEM_REGION_OVERLAP, region->file_offset, 0, 0,
			   "the %s region is cut from %#x bytes to the %#" PRIx64
			   " before the %s region: it needs no more",
			   name_of(region, text[0]), region->length, length,
			   name_of(next, text[1]));
	region->length = (uint32_t)length;
	list->changed = true;
}

void vhdx_cut_regions(struct repair *repair, const struct image *image, struct region_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		for (uint32_t j = 0; j < list->count; j++) {
			struct region *a = &list->regions[i];
			struct region *b = &list->regions[j];

			if (a->file_offset < b->file_offset && vhdx_region_lies_in_file(image, a) &&
			    vhdx_region_lies_in_file(image, b) &&
			    ranges_meet(a->file_offset, a->length, b->file_offset, b->length))
				cut(repair, image, list, a, b);
		}
}
