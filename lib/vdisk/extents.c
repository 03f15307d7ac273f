/* SPDX-License-Identifier: MIT */
/* What is data, zero, or the parent's: pieces of the mapping, merged with their neighbours. */
#include <errno.h>
#include <inttypes.h>

#include "store/io.h"
#include "vdisk/disk.h"

#define EXTENT_FLAGS (VHDX_EXTENTS_THIS_LAYER | VHDX_EXTENTS_FILE_HOLES)

/* Cuts a piece of data down to what its file holds or does not hold at its beginning. */
static int split_at_hole(struct mapping *mapping, struct file_holes *holes)
{
	struct known_data *known = &holes->layers[mapping->depth % ARRAY_SIZE(holes->layers)];
	uint64_t start;
	uint64_t end;
	int ret = vhdx_known_data(known, mapping->layer->image.view, mapping->file_offset, &start,
				  &end);

	if (ret)
		return vhdx_fail(ret, NO_PROBLEM, mapping->layer->name, mapping->file_offset,
				 "the file's holes cannot be told");
	if (start == mapping->file_offset) {
		mapping->length = min_u64(mapping->length, end - start);
		return 0;
	}
	mapping->length = min_u64(mapping->length, start - mapping->file_offset);
	mapping->type = VHDX_EXTENT_ZERO;
	mapping->file_offset = VHDX_NO_OFFSET;
	return 0;
}

int vhdx_next_piece(struct vhdx *disk, uint64_t offset, uint64_t length, unsigned layers,
		    struct file_holes *holes, struct mapping *ret_mapping)
{
	struct shared_stripe share = stripe_share(disk_stripe(disk, offset));
	int ret = vhdx_map(disk, offset, length, layers, ret_mapping);

	if (!ret && ret_mapping->type == VHDX_EXTENT_DATA && holes)
		ret = split_at_hole(ret_mapping, holes);
	stripe_unshare(share);
	vhdx_page_cache_trim(&disk->shared->cache, vhdx_stripes_grace, &disk->shared->stripes);
	return ret;
}

static bool continues(const struct vhdx_extent *extent, const struct mapping *mapping)
{
	return extent->type == mapping->type && extent->depth == mapping->depth &&
	       (extent->type != VHDX_EXTENT_DATA ||
		extent->file_offset + extent->length == mapping->file_offset);
}

int vhdx_list_extents(struct vhdx *disk, uint64_t offset, uint64_t length, unsigned layers,
		      struct file_holes *holes, struct vhdx_extent *ret_extents, size_t *count)
{
	size_t used = 0;
	uint64_t done = 0;
	int ret = 0;

	while (done < length) {
		struct mapping mapping;

		ret = vhdx_next_piece(disk, offset + done, length - done, layers, holes, &mapping);
		if (ret)
			break;
		struct vhdx_extent *last = used ? &ret_extents[used - 1] : NULL;

		if (last && continues(last, &mapping)) {
			last->length += mapping.length;
		} else {
			if (used == *count)
				break;
			ret_extents[used++] = (struct vhdx_extent){
				.offset = offset + done,
				.length = mapping.length,
				.file_offset = mapping.file_offset,
				.type = mapping.type,
				.depth = mapping.depth,
			};
		}
		done += mapping.length;
	}
	if (ret && !used)
		return ret;
	*count = used;
	return 0;
}

static int check_arguments(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags,
			   const struct vhdx_extent *extents, const size_t *count)
{
	if (!disk || !extents || !count || !*count || flags & ~EXTENT_FLAGS)
		return vhdx_fail_argument(
			"vhdx_extents: no disk, no room for extents, or unknown flags %#x", flags);
	int ret = disk_check_readable(disk);

	if (!ret && !range_within(offset, length, disk->image.virtual_size))
		ret = vhdx_fail(-EINVAL, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				"cannot map %" PRIu64 " bytes at %" PRIu64
				" of the disk (it has %" PRIu64 ")",
				length, offset, disk->image.virtual_size);
	return ret;
}

int vhdx_extents(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags,
		 struct vhdx_extent *ret_extents, size_t *count)
{
	struct file_holes holes = {0};
	int ret = check_arguments(disk, offset, length, flags, ret_extents, count);

	if (ret)
		return ret;
	return vhdx_list_extents(
		disk, offset, length, flags & VHDX_EXTENTS_THIS_LAYER ? THIS_LAYER : ALL_LAYERS,
		flags & VHDX_EXTENTS_FILE_HOLES ? &holes : NULL, ret_extents, count);
}
