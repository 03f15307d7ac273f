/* SPDX-License-Identifier: MIT */
/* What a child's PARTIALLY_PRESENT block without usable space of its own has lost. */
#include "meta/bitmap.h"
#include "ops/lostblock.h"
#include "store/io.h"

#define PAGE_BITS (PAGE_SIZE * (uint64_t)8)

static int read_view(const struct image *image, void *buf, size_t size, uint64_t offset)
{
	int ret = vhdx_io_read(image->view, buf, size, offset);

	return ret ? vhdx_fail_io(ret, image->name, offset, "a sector bitmap cannot be read") : 0;
}

/* Where the bitmap of @chunk is; 0 when it has none that may be trusted. */
static int find_bitmap(const struct bitmap_reader *reader, uint64_t chunk, uint64_t *ret_offset)
{
	uint64_t index = bat_index_of_bitmap(&reader->image->geometry, chunk);
	struct le64 raw;
	int ret =
		read_view(reader->image, &raw, sizeof(raw), bat_entry_place(reader->image, index));

	if (ret)
		return ret;
	struct bat_intent intent = vhdx_bat_intent(reader->image, index, le64_get(raw), true);

	*ret_offset = intent.now.space && !claim_is_lost(reader->claims, index) ? intent.now.offset
										: 0;
	return 0;
}

static int load_page(struct bitmap_reader *reader, uint64_t offset)
{
	int ret = reader->offset == offset
			  ? 0
			  : read_view(reader->image, reader->bytes, PAGE_SIZE, offset);

	if (!ret)
		reader->offset = offset;
	return ret;
}

/* A run of sectors from the @at-th of the block on. */
static void add_run(struct own_sectors *sectors, uint64_t block_offset, uint32_t sector_size,
		    uint64_t at, uint64_t run)
{
	uint64_t start = block_offset + at * sector_size;

	if (!sectors->count)
		sectors->offset = start;
	sectors->count += run;
	sectors->length = start + run * sector_size - sectors->offset;
}

int vhdx_find_own_sectors(struct bitmap_reader *reader, uint64_t block,
			  struct own_sectors *ret_sectors)
{
	const struct geometry *g = &reader->image->geometry;
	uint64_t start = bat_guest_offset(g, block);
	uint64_t first = start / g->logical_sector_size;
	struct own_sectors sectors = {.total = bat_guest_length(g, block) / g->logical_sector_size};
	uint64_t bitmap = 0;
	uint64_t run;
	int ret = find_bitmap(reader, first / CHUNK_SECTORS, &bitmap);

	sectors.is_known = bitmap != 0;
	for (uint64_t at = 0; at < sectors.total && bitmap && !ret; at += run) {
		uint64_t bit = (first + at) % CHUNK_SECTORS;
		uint64_t limit = min_u64(sectors.total - at, PAGE_BITS - bit % PAGE_BITS);
		bool here = false;

		ret = load_page(reader, bitmap + bit / PAGE_BITS * PAGE_SIZE);
		run = ret ? limit : vhdx_bit_run(reader->bytes, bit % PAGE_BITS, limit, &here);
		if (here)
			add_run(&sectors, start, g->logical_sector_size, at, run);
	}
	if (!ret)
		*ret_sectors = sectors;
	return ret;
}
