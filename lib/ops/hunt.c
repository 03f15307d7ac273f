/* SPDX-License-Identifier: MIT */
/* Finds the metadata region by its signature and its values, at any whole MiB of a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ops/hunt.h"
#include "store/holes.h"
#include "store/io.h"

#define COMPARED_AT_ONCE (64 * KIB)

int vhdx_hunt_places(const struct vhdx_io *io, const char *name, uint64_t from, uint64_t size,
		     place_visitor *visit, void *opaque)
{
	struct known_data known = {0};
	uint64_t offset = round_up_saturated(from, MIB);
	int ret = 0;

	while (offset < size && !ret) {
		uint64_t start;
		uint64_t end;

		ret = vhdx_known_data(&known, io, offset, &start, &end);
		if (ret)
			return vhdx_fail_io(ret, name, offset, "cannot be searched");
		if (start >= size)
			return 0;
		offset = round_down(start, MIB);
		ret = visit(opaque, offset);
		offset += MIB;
	}
	return ret;
}

/* So that no place of the BAT, which is not known, is a reason to have no geometry. */
static void allow_any_bat(struct image *image)
{
	image->bat.file_offset = 0;
	image->bat.length = UINT32_MAX;
}

int vhdx_hunt_use_metadata(struct image *image, const struct region *region)
{
	struct region bat = image->bat;
	uint64_t size = image_view_size(image);
	uint32_t known = image->known;

	image->metadata = *region;
	allow_any_bat(image);
	/* What the file does not hold reads as zeros, which no value may be. */
	image_set_view_size(image, (uint64_t)INT64_MAX);
	image->known |= VHDX_KNOWN_REGIONS;
	int ret = vhdx_image_load_items(image);

	image->known = known | (image->known & ~VHDX_KNOWN_REGIONS);
	image_set_view_size(image, size);
	image->bat = bat;
	if (ret)
		return ret;
	return image->known & VHDX_KNOWN_GEOMETRY ? 0 : -EUCLEAN;
}

/*
 * What the table and its items take, from the region's start. Items that could not lie in any region here do
 * not count: a region that was made for them would lie nowhere itself.
 */
static uint64_t used_length(const struct image *image, uint64_t room)
{
	uint64_t end = METADATA_TABLE_SIZE;

	for (unsigned i = 0; i < image->item_count; i++) {
		const struct metadata_item *item = &image->items[i];

		if (item->length && item->length <= MAX_ITEM_LENGTH &&
		    range_within(item->offset, item->length, room))
			end = max_u64(end, (uint64_t)item->offset + item->length);
	}
	return end;
}

/* *ret_used is 0 when the region at @offset makes no geometry. */
static int try_region(const struct vhdx_io *io, const char *name, uint64_t offset,
		      uint64_t *ret_used)
{
	struct region region = {REGION_METADATA, offset, (uint32_t)MAX_METADATA_REGION,
				REGION_REQUIRED};
	struct image image = {
		.name = name, .file = io, .view = io, .current = NO_HEADER, .table = NO_TABLE};
	uint64_t size;
	int ret = vhdx_io_get_size(io, &size);

	if (ret)
		return vhdx_fail_errno(ret, name, "its size cannot be read");
	ret = vhdx_hunt_use_metadata(&image, &region);
	uint64_t room = min_u64(round_up_saturated(size, MIB) - offset, MAX_METADATA_REGION);

	*ret_used = ret ? 0 : used_length(&image, room);
	vhdx_image_free(&image);
	return ret == -EUCLEAN ? 0 : ret;
}

struct metadata_hunt {
	const struct vhdx_io *io;
	const char *name;
	uint64_t offset;
	uint64_t used;
};

static int look_for_metadata(void *opaque, uint64_t offset)
{
	struct metadata_hunt *hunt = opaque;
	struct metadata_table_disk *none = NULL;
	char signature[sizeof(none->signature)];
	int ret = vhdx_io_read(hunt->io, signature, sizeof(signature), offset);

	if (ret)
		return vhdx_fail_io(ret, hunt->name, offset, "cannot be searched");
	if (memcmp(signature, METADATA_SIGNATURE, sizeof(signature)) != 0)
		return 0;
	ret = try_region(hunt->io, hunt->name, offset, &hunt->used);
	hunt->offset = offset;
	return ret ? ret : hunt->used != 0;
}

static int next_metadata(struct metadata_hunt *hunt, uint64_t from)
{
	uint64_t size;
	int ret = vhdx_io_get_size(hunt->io, &size);

	if (ret)
		return vhdx_fail_errno(ret, hunt->name, "its size cannot be read");
	ret = vhdx_hunt_places(hunt->io, hunt->name, max_u64(from, HEADER_SECTION_SIZE), size,
			       look_for_metadata, hunt);
	if (ret == 1)
		return 0;
	return ret ? ret : -ENOENT;
}

static struct region region_of(const struct metadata_hunt *hunt)
{
	return (struct region){REGION_METADATA, hunt->offset, (uint32_t)round_up(hunt->used, MIB),
			       REGION_REQUIRED};
}

int vhdx_hunt_next_metadata(const struct vhdx_io *io, const char *name, uint64_t from,
			    struct region *ret_region)
{
	struct metadata_hunt hunt = {.io = io, .name = name};
	int ret = next_metadata(&hunt, from);

	if (!ret)
		*ret_region = region_of(&hunt);
	return ret;
}

/* -ENOTUNIQ unless what both places use is the same, byte for byte. */
static int compare_regions(const struct metadata_hunt *a, const struct metadata_hunt *b)
{
	auto_free uint8_t *buf = malloc(2 * COMPARED_AT_ONCE);
	int ret = buf ? 0 : vhdx_fail_memory();

	if (!ret && a->used != b->used)
		return -ENOTUNIQ;
	for (uint64_t at = 0; at < a->used && !ret; at += COMPARED_AT_ONCE) {
		size_t size = (size_t)min_u64(COMPARED_AT_ONCE, a->used - at);

		ret = vhdx_io_read(a->io, buf, size, a->offset + at);
		if (!ret)
			ret = vhdx_io_read(a->io, buf + COMPARED_AT_ONCE, size, b->offset + at);
		if (ret)
			return vhdx_fail_io(ret, a->name, b->offset + at, "cannot be searched");
		if (memcmp(buf, buf + COMPARED_AT_ONCE, size) != 0)
			return -ENOTUNIQ;
	}
	return ret;
}

int vhdx_hunt_metadata(const struct vhdx_io *io, const char *name, struct region *ret_region)
{
	struct metadata_hunt first = {.io = io, .name = name};
	struct metadata_hunt next = first;
	int ret = next_metadata(&first, 0);

	if (ret)
		return ret;
	next.offset = first.offset;
	do {
		ret = next_metadata(&next, next.offset + MIB);
		if (!ret)
			ret = compare_regions(&first, &next);
	} while (!ret);
	if (ret == -ENOENT) {
		*ret_region = region_of(&first);
		return 0;
	}
	return ret;
}
