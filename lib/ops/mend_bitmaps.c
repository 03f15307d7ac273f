/* SPDX-License-Identifier: MIT */
/* Repair of the sector bitmaps: a new one for each chunk that needs one and has none. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/zeros.h"
#include "meta/batcheck.h"
#include "ops/batclaims.h"
#include "store/io.h"

#define PAGE_BITS (PAGE_SIZE * (uint64_t)8)
#define DATA_SIZE (256 * KIB) /* of blocks, read at once: whole sectors of any size */

struct bitmap_mend {
	struct repair *repair;
	struct image *image;
	struct space_map space; /* made when the first bitmap needs space */
	uint64_t next;		/* no MiB before it is free */
	uint64_t size;		/* of the file */
	uint64_t chunk;		/* the chunk that is looked at ... */
	bool needed;		/* ... has a PARTIALLY_PRESENT block ... */
	bool has_bitmap;	/* ... and a bitmap */
	struct le64 *entries;	/* of a chunk's blocks */
	uint8_t *data;
};

/* ---- where a new bitmap goes ---- */

static int make_space_map(struct bitmap_mend *mend)
{
	struct bat_counts counts;

	return mend->space.words ? 0
				 : vhdx_check_bat(mend->image, NULL, NULL, &counts, &mend->space);
}

static int extend_file(struct bitmap_mend *mend, uint64_t size)
{
	int ret = size <= mend->size ? 0 : vhdx_io_set_size(mend->repair->io, size);

	if (ret)
		return vhdx_fail_errno(ret, mend->image->name,
				       "the file cannot be extended to %" PRIu64 " bytes", size);
	mend->size = max_u64(mend->size, size);
	return 0;
}

/* Free space within the file, or behind its end. */
static int find_space(struct bitmap_mend *mend, uint64_t *ret_offset)
{
	int ret = make_space_map(mend);

	if (ret)
		return ret;
	uint64_t offset = min_u64(vhdx_space_map_find_run(&mend->space, NULL, mend->next, MIB),
				  mend->space.mebibytes * MIB);

	ret = vhdx_space_map_grow(&mend->space, offset + MIB);
	if (!ret)
		ret = extend_file(mend, offset + MIB);
	if (ret)
		return ret;
	vhdx_space_map_mark(&mend->space, offset, MIB, NULL);
	mend->next = offset + MIB;
	*ret_offset = offset;
	return 0;
}

/* ---- what it holds ---- */

/* Sets the bits of those sectors in @data that are not all zeros. */
static void set_bits(const struct bitmap_mend *mend, uint8_t *page, uint64_t bit, uint64_t size)
{
	uint32_t sector_size = mend->image->logical_sector_size;

	for (uint64_t at = 0; at < size; at += sector_size, bit++)
		if (!vhdx_is_zeros(mend->data + at, sector_size))
			page[bit / 8] |= (uint8_t)(1 << bit % 8);
}

/* The bits of @size bytes at @place of the file, of sectors the first of which has that bit. */
static int scan_data(const struct bitmap_mend *mend, uint8_t *page, uint64_t bit, uint64_t place,
		     uint64_t size)
{
	uint32_t sector_size = mend->image->logical_sector_size;
	uint64_t at = place;
	uint64_t end = place + size;
	int ret = 0;

	while (at < end && !ret) {
		uint64_t data_end = end;

		ret = vhdx_io_next_data(mend->image->view, at, end, &at, &data_end);
		if (ret == -ENXIO)
			return 0;
		at = place + round_down(at - place, sector_size);
		uint64_t part = min_u64(DATA_SIZE, round_up(data_end - at, sector_size));

		if (!ret)
			ret = vhdx_io_read(mend->image->view, mend->data, part, at);
		if (!ret)
			set_bits(mend, page, bit + (at - place) / sector_size, part);
		at += part;
	}
	return ret ? vhdx_fail_io(ret, mend->image->name, at, "a block cannot be read") : 0;
}

/* The part of block @i of the chunk whose bits page @number of the bitmap has. */
static int scan_block(const struct bitmap_mend *mend, uint8_t *page, uint64_t number, uint64_t i)
{
	const struct geometry *g = &mend->image->geometry;
	uint64_t entry = le64_get(mend->entries[i]);
	uint64_t block = mend->chunk * g->chunk_ratio + i;
	uint64_t page_start = number * PAGE_BITS * g->logical_sector_size; /* in the chunk */
	uint64_t block_start = i * g->block_size;
	uint64_t start = max_u64(page_start, block_start);
	uint64_t end = page_start + PAGE_BITS * g->logical_sector_size;

	if (block >= g->blocks || bat_entry_state(entry) != BLOCK_PARTIALLY_PRESENT)
		return 0;
	end = min_u64(end, block_start + bat_guest_length(g, block));
	if (start >= end)
		return 0;
	return scan_data(mend, page, (start - page_start) / g->logical_sector_size,
			 bat_entry_offset(entry) + (start - block_start), end - start);
}

/* Written only if it differs: the space may hold anything, or be a hole. */
static int settle_page(const struct bitmap_mend *mend, const uint8_t *page, uint64_t place)
{
	int ret = vhdx_io_read(mend->repair->io, mend->data, PAGE_SIZE, place);

	if (!ret && memcmp(mend->data, page, PAGE_SIZE) != 0)
		ret = vhdx_io_write(mend->repair->io, page, PAGE_SIZE, place);
	return ret ? vhdx_fail_io(ret, mend->image->name, place, "a sector bitmap cannot be made")
		   : 0;
}

static int make_page(const struct bitmap_mend *mend, uint64_t number, uint64_t place)
{
	const struct geometry *g = &mend->image->geometry;
	uint64_t page_bytes = PAGE_BITS * g->logical_sector_size;
	uint64_t first = number * page_bytes / g->block_size;
	uint64_t end =
		min_u64(div_round_up((number + 1) * page_bytes, g->block_size), g->chunk_ratio);
	uint8_t page[PAGE_SIZE] = {0};
	int ret = 0;

	for (uint64_t i = first; i < end && !ret; i++)
		ret = scan_block(mend, page, number, i);
	return ret ? ret : settle_page(mend, page, place);
}

/* ---- chunks ---- */

static void tell_blocks(const struct bitmap_mend *mend, uint64_t first, uint64_t count,
			uint64_t place)
{
	const struct geometry *g = &mend->image->geometry;
	uint64_t start = bat_guest_offset(g, first);
	uint64_t end =
		bat_guest_offset(g, first + count - 1) + bat_guest_length(g, first + count - 1);

	vhdx_repair_mended(
		mend->repair, PROBLEM_BITMAP_MISSING,
		bat_entry_place(mend->image, bat_index_of_bitmap(g, mend->chunk)), start,
		end - start,
		"BAT: new bitmap of chunk %" PRIu64 " made at %#" PRIx64 ": the %" PRIu64
		" blocks from %" PRIu64
		" on can be read again, but sectors that were written with zeros now show the parent's",
		mend->chunk, place, count, first);
}

/* Once for each run of blocks that the bitmap is for. */
static void tell_chunk(const struct bitmap_mend *mend, uint64_t place)
{
	const struct geometry *g = &mend->image->geometry;
	uint64_t first = mend->chunk * g->chunk_ratio;
	uint64_t count = min_u64(g->chunk_ratio, g->blocks - first);
	uint64_t run = 0;

	for (uint64_t i = 0; i <= count; i++) {
		if (i < count &&
		    bat_entry_state(le64_get(mend->entries[i])) == BLOCK_PARTIALLY_PRESENT) {
			run++;
			continue;
		}
		if (run)
			tell_blocks(mend, first + i - run, run, place);
		run = 0;
	}
}

static int load_chunk(struct bitmap_mend *mend)
{
	const struct geometry *g = &mend->image->geometry;
	uint64_t place = bat_entry_place(mend->image, mend->chunk * (g->chunk_ratio + 1));
	int ret = vhdx_io_read(mend->image->view, mend->entries,
			       g->chunk_ratio * sizeof(*mend->entries), place);

	return ret ? vhdx_fail_io(ret, mend->image->name, place, "the BAT cannot be read") : 0;
}

static int make_bitmap(struct bitmap_mend *mend)
{
	uint64_t index = bat_index_of_bitmap(&mend->image->geometry, mend->chunk);
	uint64_t at = bat_entry_place(mend->image, index);
	uint64_t place = 0;
	int ret = load_chunk(mend);

	if (!ret)
		ret = find_space(mend, &place);
	for (uint64_t i = 0; i < BITMAP_BLOCK_SIZE / PAGE_SIZE && !ret; i++)
		ret = make_page(mend, i, place + i * PAGE_SIZE);
	if (ret)
		return ret;
	struct le64 entry = le64_from(bat_entry_make(BITMAP_PRESENT, place));

	ret = vhdx_io_write(mend->repair->io, &entry, sizeof(entry), at);
	if (ret)
		return vhdx_fail_io(ret, mend->image->name, at, "the BAT cannot be written");
	tell_chunk(mend, place);
	return 0;
}

/* All of the chunk before has been seen. */
static int enter_chunk(struct bitmap_mend *mend, uint64_t chunk)
{
	int ret = 0;

	if (chunk == mend->chunk)
		return 0;
	if (mend->needed && !mend->has_bitmap)
		ret = make_bitmap(mend);
	mend->chunk = chunk;
	mend->needed = false;
	mend->has_bitmap = false;
	return ret;
}

static int look_at_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct bitmap_mend *mend = opaque;
	struct bat_ruling ruling = vhdx_bat_rule(mend->image, index, entry);
	int ret = enter_chunk(mend, bat_chunk_of_index(&mend->image->geometry, index));

	if (ruling.kind == BAT_BITMAP)
		mend->has_bitmap |= ruling.present;
	if (ruling.kind == BAT_BLOCK)
		mend->needed |= ruling.state == BLOCK_PARTIALLY_PRESENT;
	return ret;
}

int vhdx_mend_bitmaps(struct repair *repair, struct image *image)
{
	struct bitmap_mend mend = {
		.repair = repair,
		.image = image,
		.next = HEADER_SECTION_SIZE,
		.size = image_view_size(image),
	};

	/* Behind the end of the map it is not known what is free. */
	if (!vhdx_bat_may_be_mended(image) || !image_has_parent(image) ||
	    image_end(image) > MAX_MAPPED_FILE)
		return 0;
	auto_free struct le64 *entries = calloc(image->geometry.chunk_ratio, sizeof(*entries));
	auto_free uint8_t *data = malloc(DATA_SIZE);

	if (!entries || !data)
		return vhdx_fail_memory();
	mend.entries = entries;
	mend.data = data;
	int ret = vhdx_bat_walk(image, false, look_at_entry, &mend, repair->options.progress,
				repair->options.opaque);

	if (!ret)
		ret = enter_chunk(&mend, image->geometry.chunks);
	vhdx_space_map_free(&mend.space);
	return ret;
}
