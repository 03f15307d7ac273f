/* SPDX-License-Identifier: MIT */
/*
 * A child takes over from its parents what would change if it had another parent. Both contents are compared
 * only where the child's file holds nothing.
 */
#include <errno.h>

#include "ops/differ.h"
#include "ops/takeover.h"
#include "vdisk/io.h"
#include "vdisk/write.h"

/* ---- Contents where the child holds nothing ---- */

/* A disk's contents, of which only what is the parent's in @child is shown, and may differ. */
struct masked {
	struct source source; /* for whoever reads */
	struct source disk;
	struct vhdx *child;
	struct vhdx *parent; /* the new one */
	uint64_t start;	     /* the range that was found last, shown or not */
	uint64_t end;
};

static struct masked *masked_of(struct source *source)
{
	return (struct masked *)((char *)source - offsetof(struct masked, source));
}

static bool is_same_place(const struct mapping *a, const struct mapping *b)
{
	return a->type == VHDX_EXTENT_DATA && b->type == VHDX_EXTENT_DATA &&
	       a->file_offset == b->file_offset && a->layer->has_identity &&
	       b->layer->has_identity && a->layer->identity.device == b->layer->identity.device &&
	       a->layer->identity.inode == b->layer->identity.inode;
}

/* Cuts *length to a part that both chains read from the same place of one file, as they may far up, or do not. */
static int check_shared(const struct masked *masked, uint64_t offset, uint64_t *length,
			bool *ret_shared)
{
	struct mapping ours, theirs;

	*ret_shared = false;
	if (offset >= masked->parent->image.virtual_size)
		return 0;
	*length = min_u64(*length, masked->parent->image.virtual_size - offset);
	int ret = vhdx_next_piece(masked->child, offset, *length, ALL_LAYERS, NULL, &ours);

	if (!ret)
		ret = vhdx_next_piece(masked->parent, offset, *length, ALL_LAYERS, NULL, &theirs);
	if (ret)
		return ret;
	*ret_shared = is_same_place(&ours, &theirs);
	*length = min_u64(*length, min_u64(ours.length, theirs.length));
	return 0;
}

/* Finds out whether what begins at @offset is shown, and how far that goes. */
static int look_at(struct masked *masked, uint64_t offset, uint64_t end, bool *ret_shown)
{
	struct mapping piece;
	bool shared = false;
	int ret = vhdx_next_piece(masked->child, offset, end - offset, THIS_LAYER, NULL, &piece);
	bool gap = !ret && piece.type == VHDX_EXTENT_PARENT;

	if (gap)
		ret = check_shared(masked, offset, &piece.length, &shared);
	if (ret)
		return ret;
	masked->start = offset;
	masked->end = offset + piece.length;
	*ret_shown = gap && !shared;
	return 0;
}

/* Makes the first range that is shown, and ends behind @offset, the one found. -ENXIO when there is none before @end. */
static int find_shown(struct masked *masked, uint64_t offset, uint64_t end)
{
	bool shown = offset < masked->end;

	for (offset = max_u64(offset, masked->end); !shown; offset = masked->end) {
		if (offset >= end)
			return -ENXIO;
		int ret = look_at(masked, offset, end, &shown);

		if (ret)
			return ret;
	}
	return 0;
}

static int masked_next_data(struct source *source, uint64_t offset, uint64_t end,
			    uint64_t *ret_start, uint64_t *ret_end)
{
	struct masked *masked = masked_of(source);
	uint64_t start, stop;

	for (;;) {
		int ret = find_shown(masked, offset, end);

		if (ret)
			return ret;
		offset = max_u64(offset, masked->start);
		ret = vhdx_source_next_data(&masked->disk, offset, end, &start, &stop);
		if (ret)
			return ret;
		if (start < masked->end)
			break;
		offset = start;
	}
	*ret_start = start;
	*ret_end = min_u64(stop, masked->end);
	return 0;
}

static int masked_read(struct source *source, void *buf, size_t size, uint64_t offset,
		       size_t *ret_done)
{
	return vhdx_source_read(&masked_of(source)->disk, buf, size, offset, ret_done);
}

static const struct source_functions masked_functions = {masked_next_data, masked_read, NULL};

/* Shows of @disk, which is one of the other two, where these may differ. */
static int mask(struct vhdx *child, struct vhdx *parent, struct vhdx *disk,
		struct masked *ret_masked)
{
	struct vhdx_source view = {.size = sizeof(view), .disk = disk};

	*ret_masked = (struct masked){.child = child, .parent = parent};
	int ret = vhdx_source_open(&view, false, &ret_masked->disk);

	if (ret)
		return ret;
	ret_masked->source = (struct source){
		.functions = &masked_functions,
		.name = ret_masked->disk.name,
		.size = min_u64(ret_masked->disk.size, child->image.virtual_size),
	};
	return 0;
}

/* ---- What differs there ---- */

struct takeover {
	struct vhdx *child;
	uint64_t zero_start; /* zeros that wait for others behind them */
	uint64_t zero_end;
};

/* In one block. All of it needs no space. */
static int put_zeros_in_block(struct vhdx *child, uint64_t offset, uint64_t length)
{
	struct block_write zeros = {.disk = child, .offset = offset, .length = length};

	if (length == disk_block_length(child, offset))
		return vhdx_block_drop(child, offset, BLOCK_ZERO);
	return vhdx_block_write(&zeros);
}

static int put_zeros(struct takeover *takeover)
{
	uint32_t block_size = takeover->child->image.parameters.block_size;
	uint64_t end = takeover->zero_end;
	int ret = takeover->zero_start < end ? vhdx_gate_pass(takeover->child, GATE_METADATA) : 0;

	while (takeover->zero_start < end && !ret) {
		uint64_t at = takeover->zero_start;
		uint64_t part = min_u64(end - at, block_size - at % block_size);

		ret = put_zeros_in_block(takeover->child, at, part);
		takeover->zero_start += part;
	}
	return ret;
}

static int add_zeros(struct takeover *takeover, uint64_t offset, uint64_t length)
{
	int ret = offset == takeover->zero_end ? 0 : put_zeros(takeover);

	if (ret)
		return ret;
	if (offset != takeover->zero_end)
		takeover->zero_start = offset;
	takeover->zero_end = offset + length;
	return takeover->zero_end % takeover->child->image.parameters.block_size
		       ? 0
		       : put_zeros(takeover);
}

/* A differing_fn: @bytes are what the child reads now. */
static int take_run(void *opaque, uint64_t offset, uint64_t length, const void *bytes)
{
	struct takeover *takeover = opaque;
	struct iovec iov = {(void *)(uintptr_t)bytes, (size_t)length};

	if (!bytes)
		return add_zeros(takeover, offset, length);
	int ret = put_zeros(takeover);

	return ret ? ret : vhdx_disk_write(takeover->child, GATE_METADATA, &iov, 1, offset, length);
}

static int take(struct vhdx *child, struct masked *theirs, struct masked *ours,
		vhdx_progress_fn *progress, void *opaque)
{
	struct takeover takeover = {.child = child};
	struct differ differ = {
		.first = &theirs->source,
		.second = &ours->source,
		.sector_size = child->image.logical_sector_size,
		.end = child->image.virtual_size,
		.found = take_run,
		.opaque = &takeover,
		.progress = progress,
		.progress_opaque = opaque,
	};
	int ret = vhdx_differ(&differ);

	return ret ? ret : put_zeros(&takeover);
}

int vhdx_take_over(struct vhdx *child, struct vhdx *parent, vhdx_progress_fn *progress,
		   void *opaque)
{
	struct masked theirs;
	struct masked ours;
	int ret = mask(child, parent, parent, &theirs);

	if (ret)
		return ret;
	ret = mask(child, parent, child, &ours);
	if (!ret) {
		ret = take(child, &theirs, &ours, progress, opaque);
		vhdx_source_close(&ours.disk);
	}
	vhdx_source_close(&theirs.disk);
	return ret;
}
