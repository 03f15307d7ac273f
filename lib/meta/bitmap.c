/* SPDX-License-Identifier: MIT */
/* Sector bitmap blocks (F 7), through pages. A bit is 1 when the sector is here; the least significant comes first. */
#include <errno.h>
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/zeros.h"
#include "meta/bitmap.h"
#include "store/io.h"

#define CHUNK_PAGES (BITMAP_BLOCK_SIZE / PAGE_SIZE)
#define PAGE_BITS   (PAGE_SIZE * (uint64_t)8)

bool vhdx_bitmap_entry_is_usable(const struct image *image, uint64_t entry)
{
	uint64_t offset = bat_entry_offset(entry);

	return offset >= HEADER_SECTION_SIZE &&
	       range_within(offset, BITMAP_BLOCK_SIZE, image_view_size(image));
}

static int find_bitmap(const struct bitmaps *bitmaps, uint64_t chunk, uint64_t *ret_offset)
{
	const struct image *image = bitmaps->image;
	uint64_t index = bat_index_of_bitmap(&image->geometry, chunk);
	uint64_t at = image->bat.file_offset + index * BAT_ENTRY_SIZE;
	uint64_t entry;
	int ret = vhdx_bat_get(bitmaps->bat, index, &entry);

	if (ret)
		return ret;
	if (bat_entry_state(entry) != BITMAP_PRESENT)
		return vhdx_fail(-EUCLEAN, PROBLEM_BITMAP_MISSING, image->name, at,
				 "BAT: the bitmap entry of chunk %" PRIu64
				 " has state %u, and a block needs it (expected 6, present)",
				 chunk, bat_entry_state(entry));
	if (!vhdx_bitmap_entry_is_usable(image, entry))
		return vhdx_fail(-EUCLEAN, PROBLEM_BITMAP_PLACE, image->name, at,
				 "BAT: the bitmap of chunk %" PRIu64 " is at %#" PRIx64
				 " (expected within the file's %#" PRIx64
				 " bytes, behind the first MiB)",
				 chunk, bat_entry_offset(entry), image_view_size(image));
	*ret_offset = bat_entry_offset(entry);
	return 0;
}

static int load_page(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	struct bitmaps *bitmaps = opaque;
	uint64_t chunk = index / CHUNK_PAGES;
	uint64_t offset = 0;
	int ret = find_bitmap(bitmaps, chunk, &offset);

	(void)zeros; /* one bitmap's hole says nothing about the next one */
	if (ret)
		return ret;
	ret = vhdx_io_read(bitmaps->image->view, page, PAGE_SIZE,
			   offset + index % CHUNK_PAGES * PAGE_SIZE);
	return ret ? vhdx_fail_io(ret, bitmaps->image->name, offset,
				  "the bitmap of chunk %" PRIu64 " cannot be read", chunk)
		   : 0;
}

int vhdx_bitmaps_init(struct bitmaps *bitmaps, struct page_cache *cache, struct page_map *bat,
		      const struct image *image)
{
	bitmaps->bat = bat;
	bitmaps->image = image;
	return vhdx_page_map_init(&bitmaps->pages, cache, image->geometry.chunks * CHUNK_PAGES,
				  load_page, bitmaps);
}

void vhdx_bitmaps_destroy(struct bitmaps *bitmaps)
{
	vhdx_page_map_destroy(&bitmaps->pages);
}

static bool bit_at(const uint8_t *bytes, uint64_t bit)
{
	return bytes[bit >> 3] >> (bit & 7) & 1;
}

uint64_t vhdx_bit_run(const void *page, uint64_t first, uint64_t limit, bool *ret_value)
{
	const uint8_t *bytes = page;
	bool value = bit_at(bytes, first);
	uint64_t at = first;
	uint64_t end = first + limit;

	while (at < end) {
		if (is_aligned(at, 64) && end - at >= 64) {
			uint64_t word = le64_get(*(const struct le64 *)(bytes + at / 8));

			if (word == (value ? UINT64_MAX : 0)) {
				at += 64;
				continue;
			}
		}
		if (bit_at(bytes, at) != value)
			break;
		at++;
	}
	*ret_value = value;
	return at - first;
}

int vhdx_bitmap_run(struct bitmaps *bitmaps, uint64_t sector, uint64_t limit, bool *ret_here,
		    uint64_t *ret_count)
{
	const void *page;
	int ret = vhdx_page_get(&bitmaps->pages, sector / PAGE_BITS, &page);

	if (ret)
		return ret;
	uint64_t bit = sector % PAGE_BITS;

	*ret_count = vhdx_bit_run(page, bit, min_u64(limit, PAGE_BITS - bit), ret_here);
	return 0;
}

unsigned vhdx_bitmap_pages(uint64_t sector, uint64_t count)
{
	return (unsigned)((sector + count - 1) / PAGE_BITS - sector / PAGE_BITS + 1);
}

static bool is_zeros(struct page_cache *cache, const struct page *page)
{
	LOCK_SCOPED(&cache->lock); /* other blocks of the page may be changing */
	return vhdx_is_zeros(page->bytes, PAGE_SIZE);
}

/* A page of zeros may be a hole in the file, and an apply must not fail for want of space. */
static int reserve_home(const struct bitmaps *bitmaps, const struct page *page)
{
	if (!is_zeros(bitmaps->pages.cache, page))
		return 0;
	return vhdx_image_reserve(bitmaps->image, page->home, PAGE_SIZE, "a page of a bitmap");
}

int vhdx_bitmap_hold(struct bitmaps *bitmaps, struct change *change, uint64_t sector,
		     uint64_t count, uint64_t new_place, struct held_bits *ret_bits)
{
	struct held_bits bits = {
		.sector = sector, .count = count, .npages = vhdx_bitmap_pages(sector, count)};
	uint64_t place = new_place;
	int ret = place ? 0 : find_bitmap(bitmaps, sector / CHUNK_SECTORS, &place);

	for (unsigned i = 0; i < bits.npages && !ret; i++) {
		uint64_t index = sector / PAGE_BITS + i;

		ret = vhdx_change_hold(change, &bitmaps->pages, index,
				       place + index % CHUNK_PAGES * PAGE_SIZE, new_place != 0,
				       &bits.pages[i]);
		if (!ret && !new_place)
			ret = reserve_home(bitmaps, bits.pages[i]);
	}
	if (!ret)
		*ret_bits = bits;
	return ret;
}

/* The part of the sectors from @sector up to @end that page @i of those held has: bits of that page. */
static uint64_t bits_of_page(const struct held_bits *bits, unsigned i, uint64_t sector,
			     uint64_t end, uint64_t *ret_first)
{
	uint64_t base = (bits->sector / PAGE_BITS + i) * PAGE_BITS;
	uint64_t first = max_u64(sector, base);
	uint64_t last = min_u64(end, base + PAGE_BITS);

	*ret_first = first - base;
	return first < last ? last - first : 0;
}

static void fill_bits(uint8_t *bytes, uint64_t first, uint64_t count, bool value)
{
	for (uint64_t bit = first; bit < first + count; bit++) {
		if (!(bit & 7) && first + count - bit >= 8) {
			bytes[bit >> 3] = value ? 0xff : 0;
			bit += 7;
		} else if (value) {
			bytes[bit >> 3] |= (uint8_t)(1 << (bit & 7));
		} else {
			bytes[bit >> 3] &= (uint8_t) ~(1 << (bit & 7));
		}
	}
}

void vhdx_bitmap_set(struct change *change, const struct held_bits *bits, uint64_t sector,
		     uint64_t count, bool value)
{
	for (unsigned i = 0; i < bits->npages; i++) {
		uint64_t first;
		uint64_t part = bits_of_page(bits, i, sector, sector + count, &first);

		if (!part)
			continue;
		fill_bits(bits->pages[i]->bytes, first, part, value);
		vhdx_change_dirty(change, bits->pages[i]);
	}
}

bool vhdx_bitmap_is_full(const struct held_bits *bits)
{
	for (unsigned i = 0; i < bits->npages; i++) {
		bool value = true;
		uint64_t first;
		uint64_t part =
			bits_of_page(bits, i, bits->sector, bits->sector + bits->count, &first);

		if (part &&
		    (vhdx_bit_run(bits->pages[i]->bytes, first, part, &value) < part || !value))
			return false;
	}
	return true;
}
