/* SPDX-License-Identifier: MIT */
/* What the layers above an ancestor hold goes into the ancestor: contents, and items of the virtual disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/zeros.h"
#include "meta/newitems.h"
#include "ops/fork.h"
#include "ops/merge.h"
#include "vdisk/writer.h"

/* ---- Contents ---- */

#define BUFFER_SIZE ((size_t)4 * 1024 * 1024)

/* Zeros among data are looked for in pieces of this size. */
#define ZERO_PIECE ((size_t)64 * 1024)

/* Neighbouring pieces of one kind, which are not in the ancestor yet. */
struct run {
	const struct merge *merge;
	uint64_t offset;
	uint64_t length;
	bool is_data; /* else zeros */
	uint8_t *buf;
};

static int put_part(const struct run *run, size_t from, size_t to, bool zeros)
{
	struct vhdx *ancestor = run->merge->ancestor;
	uint64_t offset = run->offset + from;

	return zeros ? vhdx_zero(ancestor, offset, to - from, VHDX_ZERO_MAY_UNMAP)
		     : vhdx_pwrite(ancestor, run->buf + from, to - from, offset, 0);
}

/* The end of a piece that ends where the disk's offsets say, so that whole blocks of zeros are found. */
static size_t piece_end(const struct run *run, size_t from)
{
	size_t left = ZERO_PIECE - (size_t)((run->offset + from) % ZERO_PIECE);

	return from + (size_t)min_u64(left, run->length - from);
}

/* What only looks like data must not take space. */
static int put_data(const struct run *run)
{
	size_t length = (size_t)run->length;
	int ret = vhdx_pread(run->merge->leaf, run->buf, length, run->offset);

	for (size_t from = 0, to; from < length && !ret; from = to) {
		to = piece_end(run, from);
		bool zeros = vhdx_is_zeros(run->buf + from, to - from);

		for (size_t next; to < length; to = next) {
			next = piece_end(run, to);
			if (vhdx_is_zeros(run->buf + to, next - to) != zeros)
				break;
		}
		ret = put_part(run, from, to, zeros);
	}
	return ret;
}

static int report(const struct merge *merge, uint64_t done)
{
	uint64_t total = merge->leaf->image.virtual_size;

	if (merge->progress && merge->progress(merge->opaque, done, total))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, NULL, VHDX_NO_OFFSET, "stopped as asked");
	return 0;
}

static int put_run(struct run *run)
{
	uint64_t end = run->offset + run->length;
	int ret = 0;

	if (run->length && run->is_data)
		ret = put_data(run);
	else if (run->length)
		ret = vhdx_zero(run->merge->ancestor, run->offset, run->length,
				VHDX_ZERO_MAY_UNMAP);
	if (!ret && run->length)
		ret = report(run->merge, end);
	run->offset = end;
	run->length = 0;
	return ret;
}

/* Adds the begin of a piece of the layers to the run, or ends the run. *ret_used: bytes of the piece that are done. */
static int add_piece(struct run *run, uint64_t offset, const struct mapping *piece,
		     uint64_t *ret_used)
{
	bool is_data = piece->type == VHDX_EXTENT_DATA;
	uint64_t room = is_data ? BUFFER_SIZE : UINT64_MAX;
	int ret = 0;

	if (run->length &&
	    (run->is_data != is_data || run->offset + run->length != offset || run->length >= room))
		ret = put_run(run);
	if (ret)
		return ret;
	if (!run->length) {
		run->offset = offset;
		run->is_data = is_data;
	}
	uint64_t part = min_u64(piece->length, room - run->length);

	run->length += part;
	*ret_used = part;
	return 0;
}

static int merge_pieces(struct run *run)
{
	const struct merge *merge = run->merge;
	uint64_t size = merge->leaf->image.virtual_size;
	struct file_holes holes = {0};
	int ret = 0;

	for (uint64_t offset = 0, used; offset < size && !ret; offset += used) {
		struct mapping piece;

		used = 0;
		ret = vhdx_next_piece(merge->leaf, offset, size - offset, merge->layers, &holes,
				      &piece);
		if (!ret && piece.type == VHDX_EXTENT_PARENT)
			used = piece.length;
		else if (!ret)
			ret = add_piece(run, offset, &piece, &used);
	}
	return ret ? ret : put_run(run);
}

int vhdx_merge_contents(const struct merge *merge)
{
	auto_free uint8_t *buf = malloc(BUFFER_SIZE);
	struct run run = {.merge = merge, .buf = buf};

	if (!buf)
		return vhdx_fail_memory();
	int ret = merge_pieces(&run);

	return ret ? ret : report(merge, merge->leaf->image.virtual_size);
}

/* ---- Items ---- */

/* The item of that id, system or user as the other is, or NULL. */
static const struct plan_item *find_item(const struct forked_items *items,
					 const struct plan_item *other)
{
	for (unsigned i = 0; i < items->count; i++) {
		const struct plan_item *item = &items->items[i];

		if (guid_equal(&item->id, &other->id) &&
		    !((item->flags ^ other->flags) & ITEM_IS_USER))
			return item;
	}
	return NULL;
}

static bool is_same(const struct plan_item *a, const struct plan_item *b)
{
	return a && a->flags == b->flags && a->length == b->length &&
	       (!a->length || !memcmp(a->bytes, b->bytes, a->length));
}

static void add_known(struct item_change *changes, unsigned *count, enum known_item known,
		      const void *bytes)
{
	const struct item_rule *rule = &vhdx_item_rules[known];

	changes[(*count)++] = (struct item_change){
		.id = rule->id, .flags = rule->flags, .bytes = bytes, .length = rule->length};
}

/* What must change of the items that every image has: the sizes are the caller's business. */
static void list_known(const struct merge *merge, const struct le32 *physical,
		       struct item_change *changes, unsigned *count)
{
	const struct image *from = &merge->leaf->image;
	const struct image *to = &merge->ancestor->image;

	if (!guid_equal(&from->disk_id, &to->disk_id))
		add_known(changes, count, VIRTUAL_DISK_ID, &from->disk_id);
	if (from->physical_sector_size != to->physical_sector_size)
		add_known(changes, count, PHYSICAL_SECTOR_SIZE, physical);
}

/* What must change of the others: at most as many changes as both have items. */
static void list_items(const struct forked_items *from, const struct forked_items *to,
		       struct item_change *changes, unsigned *count)
{
	for (unsigned i = 0; i < to->count; i++) {
		const struct plan_item *item = &to->items[i];

		if (!find_item(from, item))
			changes[(*count)++] = (struct item_change){
				.id = item->id, .flags = item->flags, .remove = true};
	}
	for (unsigned i = 0; i < from->count; i++) {
		const struct plan_item *item = &from->items[i];

		if (!is_same(find_item(to, item), item))
			changes[(*count)++] = (struct item_change){.id = item->id,
								   .flags = item->flags,
								   .bytes = item->bytes,
								   .length = item->length};
	}
}

static int change_items(const struct merge *merge, const struct forked_items *from,
			const struct forked_items *to)
{
	struct writer *writer = merge->ancestor->writer;
	struct le32 physical = le32_from(merge->leaf->image.physical_sector_size);
	auto_free struct item_change *changes =
		calloc((size_t)from->count + to->count + KNOWN_ITEMS, sizeof(*changes));
	unsigned count = 0;

	if (!changes)
		return vhdx_fail_memory();
	list_known(merge, &physical, changes, &count);
	list_items(from, to, changes, &count);
	return count ? vhdx_items_change(&merge->ancestor->image, &writer->journal, &writer->areas,
					 changes, count)
		     : 0;
}

int vhdx_merge_items(const struct merge *merge)
{
	struct forked_items from = {0};
	struct forked_items to = {0};
	int ret = vhdx_fork_items(merge->leaf, &from);

	if (!ret)
		ret = vhdx_fork_items(merge->ancestor, &to);
	if (!ret)
		ret = change_items(merge, &from, &to);
	vhdx_forked_items_free(&from);
	vhdx_forked_items_free(&to);
	return ret;
}
