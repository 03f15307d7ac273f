/* SPDX-License-Identifier: MIT */
/*
 * Changing one block. Where it is present already its bytes are written in place, beside readers; else,
 * with the block to itself, payload is written first, and then all of its metadata changes at once. Only
 * a commit makes that durable: until then a crash gives the old contents.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/rules.h"
#include "store/fill.h"
#include "store/io.h"
#include "vdisk/entries.h"
#include "vdisk/read.h"
#include "vdisk/write.h"

/* What becomes of a block. */
struct block_change {
	const struct block_write *write;
	uint64_t block;
	uint64_t index; /* of its BAT entry */
	uint64_t start; /* of the disk */
	uint64_t old_entry;
	struct place place;    /* of its payload */
	bool took_space;       /* the place is new */
	bool data_first;       /* its payload must be durable before the log entry is written */
	uint64_t first_sector; /* PARTIALLY_PRESENT: sectors that come to be here */
	uint64_t sectors;
};

static bool has_space(unsigned state)
{
	return state == BLOCK_FULLY_PRESENT || state == BLOCK_PARTIALLY_PRESENT;
}

/* ---- Payload ---- */

static int fill_space(const struct vhdx *disk, uint64_t file_offset, uint64_t length)
{
	int ret = disk->open_flags & VHDX_OPEN_NO_HOLES || image_type(&disk->image) == VHDX_FIXED
			  ? vhdx_fill_zeros(&disk->file, file_offset, length)
			  : vhdx_fill_holes(&disk->file, file_offset, length);

	return ret ? vhdx_fail_io(ret, disk->name, file_offset,
				  "%" PRIu64 " bytes of a block cannot be cleared", length)
		   : 0;
}

int vhdx_fail_write(const struct vhdx *disk, int ret, uint64_t file_offset, uint64_t length)
{
	return vhdx_fail_io(ret, disk->name, file_offset,
			    "%" PRIu64 " bytes of a block cannot be written", length);
}

static int write_payload(const struct block_write *write, uint64_t file_offset)
{
	const struct vhdx *disk = write->disk;

	if (!write->iov)
		return fill_space(disk, file_offset, write->length);
	int ret = vhdx_io_writev(&disk->file, write->iov, write->iovcnt, write->skip, write->length,
				 file_offset);

	return ret ? vhdx_fail_write(disk, ret, file_offset, write->length) : 0;
}

/* Space that is not fresh may hold anything: all of it but [@from, @to) of the block is cleared. */
static int clear_around(const struct block_change *change, uint64_t from, uint64_t to)
{
	const struct place *place = &change->place;
	const struct vhdx *disk = change->write->disk;

	if (place->fresh || !OBEYS(RULE_CLEAN_RECYCLED))
		return 0;
	int ret = fill_space(disk, place->offset, from);

	return ret ? ret : fill_space(disk, place->offset + to, place->length - to);
}

/*
 * A sector of which the guest writes only a part gets the rest of what it reads as now: its bytes
 * [@from, @to) of the disk.
 */
static int complete_sector(const struct block_change *change, uint64_t from, uint64_t to)
{
	uint8_t bytes[4096]; /* no sector is larger */
	struct iovec iov = {bytes, (size_t)(to - from)};
	struct vhdx *disk = change->write->disk;

	if (from == to)
		return 0;
	int ret = vhdx_read_in_block(disk, from, to - from, &iov, 1, 0);

	if (ret)
		return ret;
	struct block_write part = {disk, from, to - from, &iov, 1, 0};

	return write_payload(&part, change->place.offset + (from - change->start));
}

/* ---- Metadata ---- */

/* The block's entry becomes @entry; its payload is all of it here, or zero. */
static int store_entry(const struct block_change *change, uint64_t entry)
{
	return vhdx_entry_change(change->write->disk,
				 &(struct entry_change){
					 .index = change->index,
					 .entry = entry,
					 .needed_end = change->place.offset + change->place.length,
					 .data_first = change->data_first,
				 });
}

/* A bitmap block that a chunk gets by a change. */
struct new_bitmap {
	uint64_t index;	    /* of its BAT entry */
	struct place place; /* length 0: the chunk has one */
};

/* Under the lock of new bitmaps. What its space held is cleared, so it is data_first when that is not fresh. */
static int make_bitmap(struct vhdx *disk, struct new_bitmap *bitmap)
{
	int ret = vhdx_space_take(&disk->writer->space, BITMAP_BLOCK_SIZE, &bitmap->place);

	if (ret)
		return ret;
	if (!bitmap->place.fresh && OBEYS(RULE_NEW_BITMAP_ZERO))
		ret = fill_space(disk, bitmap->place.offset, BITMAP_BLOCK_SIZE);
	if (ret)
		return ret;
	return vhdx_image_reserve(&disk->image, bitmap->place.offset, BITMAP_BLOCK_SIZE,
				  "a bitmap block");
}

static void store_bits(const struct block_change *change, struct change *stores,
		       const struct held_bits *bits, struct page *page)
{
	uint64_t entry = bat_entry_make(BLOCK_PARTIALLY_PRESENT, change->place.offset);

	/* Bits may be left from the block's earlier life. */
	if (change->took_space && OBEYS(RULE_ALL_BITS))
		vhdx_bitmap_set(stores, bits, bits->sector, bits->count, false);
	vhdx_bitmap_set(stores, bits, change->first_sector, change->sectors, true);
	if (vhdx_bitmap_is_full(bits))
		entry = bat_entry_make(BLOCK_FULLY_PRESENT, change->place.offset);
	if (change->took_space || bat_entry_state(entry) == BLOCK_FULLY_PRESENT)
		vhdx_bat_set(stores, page, change->index, entry);
	vhdx_change_needs(stores, change->place.offset + change->place.length);
	vhdx_change_data_first(stores);
}

/* All stores of a block that is, or becomes, PARTIALLY_PRESENT. */
static int store_partial(const struct block_change *change, const struct new_bitmap *bitmap)
{
	struct vhdx *disk = change->write->disk;
	uint32_t sector_size = disk->image.logical_sector_size;
	uint64_t first = change->start / sector_size;
	uint64_t count = disk_block_length(disk, change->start) / sector_size;
	bool is_new = bitmap->place.length;
	struct page *bitmap_page = NULL;
	struct page *page = NULL;
	struct held_bits bits;
	struct change stores;
	int ret = vhdx_journal_begin(&disk->writer->journal, 2 + vhdx_bitmap_pages(first, count),
				     &stores);

	if (ret)
		return ret;
	ret = vhdx_bat_hold(&disk->bat, &disk->image, &stores, change->index, &page);
	if (!ret && is_new)
		ret = vhdx_bat_hold(&disk->bat, &disk->image, &stores, bitmap->index, &bitmap_page);
	if (!ret)
		ret = vhdx_bitmap_hold(&disk->bitmaps, &stores, first, count,
				       is_new ? bitmap->place.offset : 0, &bits);
	if (!ret) {
		vhdx_change_enter(&stores);
		if (is_new) {
			vhdx_bat_set(&stores, bitmap_page, bitmap->index,
				     bat_entry_make(BITMAP_PRESENT, bitmap->place.offset));
			vhdx_change_needs(&stores, bitmap->place.offset + BITMAP_BLOCK_SIZE);
		}
		store_bits(change, &stores, &bits, page);
		vhdx_change_leave(&stores);
	}
	vhdx_change_end(&stores);
	return ret;
}

/* Does the chunk have its bitmap? */
static int find_bitmap(struct vhdx *disk, const struct new_bitmap *bitmap, bool *ret_found)
{
	uint64_t entry;
	int ret = vhdx_bat_get(&disk->bat, bitmap->index, &entry);

	if (!ret)
		*ret_found = bat_entry_state(entry) == BITMAP_PRESENT;
	return ret;
}

/* A chunk gets its bitmap by the first block that needs it; others wait for that. */
static int store_with_new_bitmap(const struct block_change *change, struct new_bitmap *bitmap)
{
	struct vhdx *disk = change->write->disk;
	bool found = false;

	pthread_mutex_lock(&disk->writer->new_bitmap);
	int ret = find_bitmap(disk, bitmap, &found);

	if (!ret && !found)
		ret = make_bitmap(disk, bitmap);
	if (!ret)
		ret = store_partial(change, bitmap);
	if (ret && bitmap->place.length)
		vhdx_space_give_back(&disk->writer->space, &bitmap->place);
	pthread_mutex_unlock(&disk->writer->new_bitmap);
	return ret;
}

static int store_partial_block(const struct block_change *change)
{
	struct vhdx *disk = change->write->disk;
	const struct geometry *g = &disk->image.geometry;
	struct new_bitmap bitmap = {.index =
					    bat_index_of_bitmap(g, change->block / g->chunk_ratio)};
	bool found = false;
	int ret = find_bitmap(disk, &bitmap, &found);

	if (ret)
		return ret;
	/* A block that is PARTIALLY_PRESENT without a bitmap is damage, not a chunk's first. */
	return found || !change->took_space ? store_partial(change, &bitmap)
					    : store_with_new_bitmap(change, &bitmap);
}

/* ---- Blocks that are not all here ---- */

static bool owns_old_space(const struct block_change *change)
{
	unsigned state = bat_entry_state(change->old_entry);

	return has_space(state) || ((state == BLOCK_UNMAPPED || state == BLOCK_UNDEFINED) &&
				    bat_entry_offset(change->old_entry));
}

/* Space that the block owns already, or new. What it holds already must go, unless it is the block's. */
static int find_place(struct block_change *change)
{
	struct vhdx *disk = change->write->disk;
	uint32_t block_size = disk->image.parameters.block_size;

	if (owns_old_space(change)) {
		change->place =
			(struct place){bat_entry_offset(change->old_entry), block_size, false};
		return 0;
	}
	int ret = vhdx_space_take(&disk->writer->space, block_size, &change->place);

	change->took_space = !ret;
	return ret;
}

/* All of the block comes to be here: what is not written is zeros. */
static int fill_block(struct block_change *change)
{
	const struct block_write *write = change->write;
	uint64_t in_block = write->offset - change->start;
	int ret = 0;

	/* A PARTIALLY_PRESENT block is written whole; what it holds behind the disk's end is its own. */
	if (!has_space(bat_entry_state(change->old_entry)))
		ret = clear_around(change, in_block, in_block + write->length);
	if (!ret)
		ret = write_payload(write, change->place.offset + in_block);
	if (!ret)
		ret = store_entry(change,
				  bat_entry_make(BLOCK_FULLY_PRESENT, change->place.offset));
	return ret;
}

/* Some of its sectors come to be here, the others stay the parent's, or as they are. */
static int fill_sectors(struct block_change *change)
{
	const struct block_write *write = change->write;
	uint32_t sector_size = write->disk->image.logical_sector_size;
	uint64_t end = write->offset + write->length;
	uint64_t from = round_down(write->offset, sector_size);
	uint64_t to = round_up(end, sector_size);
	int ret = 0;

	change->first_sector = from / sector_size;
	change->sectors = (to - from) / sector_size;
	if (change->took_space)
		ret = clear_around(change, from - change->start, to - change->start);
	if (!ret)
		ret = complete_sector(change, from, write->offset);
	if (!ret)
		ret = complete_sector(change, end, to);
	if (!ret)
		ret = write_payload(write, change->place.offset + (write->offset - change->start));
	return ret ? ret : store_partial_block(change);
}

/* F 6.5: only what is the parent's may become PARTIALLY_PRESENT, for a clear bit lets him show. */
static bool becomes_partial(const struct block_change *change)
{
	const struct block_write *write = change->write;
	unsigned state = bat_entry_state(change->old_entry);

	if (!image_has_parent(&write->disk->image) ||
	    write->length == disk_block_length(write->disk, write->offset))
		return false;
	return state == BLOCK_NOT_PRESENT || state == BLOCK_PARTIALLY_PRESENT ||
	       !OBEYS(RULE_HIDE_PARENT);
}

/* With the block to itself. Whatever replaces the parent's sectors must not show before it is durable. */
static int change_block(struct block_change *change)
{
	struct vhdx *disk = change->write->disk;
	unsigned state = bat_entry_state(change->old_entry);
	int ret = find_place(change);

	if (ret)
		return ret;
	change->data_first = !change->place.fresh ||
			     (image_has_parent(&disk->image) && state == BLOCK_NOT_PRESENT);
	ret = becomes_partial(change) ? fill_sectors(change) : fill_block(change);
	if (ret && change->took_space)
		vhdx_space_give_back(&disk->writer->space, &change->place);
	return ret;
}

/* ---- Blocks that are ---- */

/* Does the write go to space that the disk reads already? Then *ret_file_offset is where. */
static int find_present(const struct block_write *write, uint64_t *ret_file_offset, bool *ret_found)
{
	struct mapping mapping;
	uint64_t done = 0;

	*ret_found = false;
	while (done < write->length) {
		int ret = vhdx_map(write->disk, write->offset + done, write->length - done,
				   THIS_LAYER, &mapping);

		if (ret)
			return ret;
		if (mapping.type != VHDX_EXTENT_DATA)
			return 0;
		if (!done)
			*ret_file_offset = mapping.file_offset;
		done += mapping.length;
	}
	*ret_found = true;
	return 0;
}

/* Under the stripe, shared or not. */
static int write_present(const struct block_write *write, bool *ret_done)
{
	uint64_t file_offset = 0;
	int ret = find_present(write, &file_offset, ret_done);

	return ret || !*ret_done ? ret : write_payload(write, file_offset);
}

static struct block_change begin_change(const struct block_write *write)
{
	const struct vhdx *disk = write->disk;
	uint64_t block = disk_block_of(disk, write->offset);

	return (struct block_change){
		.write = write,
		.block = block,
		.index = bat_index_of_block(&disk->image.geometry, block),
		.start = block * disk->image.parameters.block_size,
	};
}

static int change_alone(const struct block_write *write, struct stripe *stripe)
{
	struct block_change change = begin_change(write);
	bool done = false;

	vhdx_stripe_lock(stripe);
	int ret = write_present(write, &done); /* somebody else may have been here */

	if (!ret && !done)
		ret = vhdx_bat_get(&write->disk->bat, change.index, &change.old_entry);
	if (!ret && !done)
		ret = change_block(&change);
	vhdx_stripe_unlock(stripe);
	return ret;
}

int vhdx_block_write(const struct block_write *write)
{
	struct stripe *stripe = disk_stripe(write->disk, write->offset);
	struct shared_stripe share = stripe_share(stripe);
	bool done = false;
	int ret = write_present(write, &done);

	stripe_unshare(share);
	return ret || done ? ret : change_alone(write, stripe);
}

/* ---- Blocks that lose their space ---- */

static int drop_space(const struct block_change *change, enum block_state state)
{
	struct vhdx *disk = change->write->disk;

	return vhdx_entry_change(disk, &(struct entry_change){
					       .index = change->index,
					       .entry = bat_entry_make(state, 0),
					       .freed_offset = bat_entry_offset(change->old_entry),
					       .freed_length = disk->image.parameters.block_size,
					       .forget = true,
				       });
}

int vhdx_block_drop(struct vhdx *disk, uint64_t offset, enum block_state state)
{
	struct block_write whole = {.disk = disk, .offset = offset};
	struct block_change change = begin_change(&whole);
	struct stripe *stripe = disk_stripe(disk, offset);

	vhdx_stripe_lock(stripe);
	int ret = vhdx_bat_get(&disk->bat, change.index, &change.old_entry);
	unsigned old_state = bat_entry_state(change.old_entry);

	if (!ret && has_space(old_state))
		ret = drop_space(&change, state);
	else if (!ret && old_state == BLOCK_NOT_PRESENT && image_has_parent(&disk->image))
		ret = store_entry(&change, bat_entry_make(state, 0));
	vhdx_stripe_unlock(stripe);
	return ret;
}
