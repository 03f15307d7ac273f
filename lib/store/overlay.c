/* SPDX-License-Identifier: MIT */
/*
 * Changes beside a base that stays as it is until they are committed to it. Of a logged page only its
 * place in the base is kept, so memory grows with the number of changes and not with their bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "format/logentry.h"
#include "store/fill.h"
#include "store/io.h"
#include "store/overlay.h"

#define UNCHANGED   UINT32_MAX
#define BATCH_PAGES 64u /* neighbours that are written at once */

/* Piece i is [bounds[i], bounds[i + 1]) and shows changes[owner[i]]. Outside all pieces is the base. */
struct overlay {
	const struct vhdx_io *base;
	struct overlay_change *changes;
	uint64_t *bounds;
	uint32_t *owner;
	size_t pieces;
	uint64_t size;
};

static int compare_offsets(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The piece that holds @offset, or -1 when it lies before the first or behind the last. */
static ssize_t find_piece(const struct overlay *overlay, uint64_t offset)
{
	size_t low = 0;
	size_t high = overlay->pieces;

	if (!high || offset < overlay->bounds[0] || offset >= overlay->bounds[high])
		return -1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (overlay->bounds[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return (ssize_t)low;
}

/* The first piece at or after @piece that no change has taken yet, with the path to it shortened. */
static uint32_t first_free(uint32_t *next, uint32_t piece)
{
	uint32_t end = piece;

	while (next[end] != end)
		end = next[end];
	while (next[piece] != end) {
		uint32_t on = next[piece];

		next[piece] = end;
		piece = on;
	}
	return end;
}

/* From the newest change to the oldest, each takes those of its pieces that are still free. */
static int assign_owners(struct overlay *overlay, size_t count)
{
	auto_free uint32_t *next = malloc((overlay->pieces + 1) * sizeof(*next));

	if (!next)
		return -ENOMEM;
	for (size_t i = 0; i <= overlay->pieces; i++)
		next[i] = (uint32_t)i;
	for (size_t i = 0; i < overlay->pieces; i++)
		overlay->owner[i] = UNCHANGED;
	for (size_t c = count; c-- > 0;) {
		const struct overlay_change *change = &overlay->changes[c];

		if (!change->length)
			continue;
		uint32_t piece = first_free(next, (uint32_t)find_piece(overlay, change->offset));

		while (piece < overlay->pieces &&
		       overlay->bounds[piece] < change->offset + change->length) {
			overlay->owner[piece] = (uint32_t)c;
			next[piece] = piece + 1;
			piece = first_free(next, piece);
		}
	}
	return 0;
}

static int cut_pieces(struct overlay *overlay, size_t count)
{
	size_t bounds = 0;

	overlay->bounds = malloc((2 * count + 1) * sizeof(*overlay->bounds));
	overlay->owner = malloc((2 * count + 1) * sizeof(*overlay->owner));
	if (!overlay->bounds || !overlay->owner)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		overlay->bounds[bounds++] = overlay->changes[i].offset;
		overlay->bounds[bounds++] = overlay->changes[i].offset + overlay->changes[i].length;
	}
	qsort(overlay->bounds, bounds, sizeof(*overlay->bounds), compare_offsets);
	size_t distinct = 0;

	for (size_t i = 0; i < bounds; i++)
		if (!distinct || overlay->bounds[distinct - 1] != overlay->bounds[i])
			overlay->bounds[distinct++] = overlay->bounds[i];
	overlay->pieces = distinct ? distinct - 1 : 0;
	return assign_owners(overlay, count);
}

static int rebuild_page(const struct overlay *overlay, const struct overlay_change *change,
			uint8_t ret_page[LOG_SECTOR_SIZE])
{
	struct log_descriptor_disk disk;
	struct log_sector_disk sector;
	struct log_descriptor descriptor;
	int ret = vhdx_io_read(overlay->base, &disk, sizeof(disk), change->descriptor);

	if (!ret)
		ret = vhdx_io_read(overlay->base, &sector, sizeof(sector), change->sector);
	if (ret)
		return ret;
	memcpy(descriptor.leading, disk.data.leading_bytes, LOG_LEADING_SIZE);
	memcpy(descriptor.trailing, disk.data.trailing_bytes, LOG_TRAILING_SIZE);
	vhdx_log_page_rebuild(&descriptor, &sector, ret_page);
	return 0;
}

/* Bytes from @offset to the next bound, and what they show. */
static uint64_t piece_at(const struct overlay *overlay, uint64_t offset,
			 const struct overlay_change **ret_change)
{
	ssize_t piece = find_piece(overlay, offset);

	*ret_change = NULL;
	if (piece < 0)
		return overlay->pieces && offset < overlay->bounds[0] ? overlay->bounds[0] - offset
								      : UINT64_MAX - offset;
	if (overlay->owner[piece] != UNCHANGED)
		*ret_change = &overlay->changes[overlay->owner[piece]];
	return overlay->bounds[piece + 1] - offset;
}

static ssize_t overlay_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	const struct overlay *overlay = opaque;
	uint64_t size;
	uint64_t done = 0;

	if (vhdx_iov_size(iov, iovcnt, &size))
		return -EINVAL;
	if (offset >= overlay->size)
		return 0;
	size = min_u64(size, overlay->size - offset);
	while (done < size) {
		const struct overlay_change *change;
		uint64_t part = min_u64(piece_at(overlay, offset + done, &change), size - done);
		int ret = 0;

		if (!change) {
			ret = vhdx_io_readv(overlay->base, iov, iovcnt, done, part, offset + done);
		} else if (!change->descriptor) {
			iov_zero(iov, iovcnt, done, part);
		} else {
			uint8_t page[LOG_SECTOR_SIZE];

			ret = rebuild_page(overlay, change, page);
			if (!ret)
				vhdx_iov_fill(iov, iovcnt, done,
					      page + (offset + done - change->offset), part);
		}
		if (ret)
			return ret;
		done += part;
	}
	return (ssize_t)done;
}

static int overlay_get_size(void *opaque, uint64_t *ret_size)
{
	const struct overlay *overlay = opaque;

	*ret_size = overlay->size;
	return 0;
}

static int overlay_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct overlay *overlay = opaque;

	while (offset < overlay->size) {
		const struct overlay_change *change;
		uint64_t end = offset +
			       min_u64(piece_at(overlay, offset, &change), overlay->size - offset);
		int ret = 0;

		if (!change)
			ret = vhdx_io_next_data(overlay->base, offset, end, ret_start, ret_end);
		else if (!change->descriptor)
			ret = -ENXIO;
		else {
			*ret_start = offset;
			*ret_end = end;
		}
		if (ret != -ENXIO)
			return ret;
		offset = end;
	}
	return -ENXIO;
}

static void overlay_close(void *opaque)
{
	struct overlay *overlay = opaque;

	free(overlay->changes);
	free(overlay->bounds);
	free(overlay->owner);
	free(overlay);
}

int vhdx_overlay_io(const struct vhdx_io *base, struct overlay_change *changes, size_t count,
		    uint64_t size, struct vhdx_io *ret_io)
{
	struct overlay *overlay = malloc(sizeof(*overlay));

	if (!overlay) {
		free(changes);
		return vhdx_fail_memory();
	}
	*overlay = (struct overlay){.base = base, .changes = changes, .size = size};
	if (cut_pieces(overlay, count)) {
		overlay_close(overlay);
		return vhdx_fail_memory();
	}
	*ret_io = (struct vhdx_io){
		.size = sizeof(*ret_io),
		.opaque = overlay,
		.preadv = overlay_preadv,
		.get_size = overlay_get_size,
		.next_data = overlay_next_data,
		.close = overlay_close,
	};
	return 0;
}

/* Pages that follow each other, on their way to the base. */
struct batch {
	const struct vhdx_io *base;
	uint8_t *bytes;
	uint64_t offset;
	size_t size;
};

static int write_batch(struct batch *batch)
{
	int ret = vhdx_io_write(batch->base, batch->bytes, batch->size, batch->offset);

	batch->size = 0;
	return ret;
}

static int commit_page(const struct overlay *overlay, const struct overlay_change *change,
		       struct batch *batch)
{
	int ret = 0;

	if (batch->size == BATCH_PAGES * LOG_SECTOR_SIZE ||
	    batch->offset + batch->size != change->offset)
		ret = write_batch(batch);
	if (!batch->size)
		batch->offset = change->offset;
	if (!ret)
		ret = rebuild_page(overlay, change, batch->bytes + batch->size);
	batch->size += LOG_SECTOR_SIZE;
	return ret;
}

/* What is a hole already stays one: a log may zero far more than the file has space for. */
static int commit_zeros(const struct overlay *overlay, uint64_t offset, uint64_t end)
{
	int ret = 0;

	while (!ret && offset < end) {
		uint64_t start;
		uint64_t stop;

		ret = vhdx_io_next_data(overlay->base, offset, end, &start, &stop);
		if (ret == -ENXIO)
			return 0;
		if (!ret)
			ret = vhdx_fill_zeros(overlay->base, start, stop - start);
		if (!ret)
			offset = stop;
	}
	return ret;
}

int vhdx_overlay_commit(const struct vhdx_io *io, uint64_t base_size)
{
	const struct overlay *overlay = io->opaque;
	auto_free uint8_t *bytes = malloc((size_t)BATCH_PAGES * LOG_SECTOR_SIZE);
	struct batch batch = {.base = overlay->base, .bytes = bytes};
	int ret = 0;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < overlay->pieces && !ret; i++) {
		const struct overlay_change *change =
			overlay->owner[i] == UNCHANGED ? NULL
						       : &overlay->changes[overlay->owner[i]];

		if (change && change->descriptor)
			ret = commit_page(overlay, change, &batch);
		else if (change)
			ret = commit_zeros(overlay, overlay->bounds[i],
					   min_u64(overlay->bounds[i + 1], base_size));
	}
	return ret ? ret : write_batch(&batch);
}
