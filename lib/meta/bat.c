/* SPDX-License-Identifier: MIT */
/* The block allocation table (F 6): look-ups through its pages, and walks over all of it. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/zeros.h"
#include "meta/image.h"
#include "store/io.h"

#define GROUP	  8u /* entries that are looked at together: a line of a cache */
#define WALK_SIZE (64 * KIB)
#define MAX_AHEAD 1024u /* pages that are looked at for zeros at once */

static uint64_t bat_end(const struct image *image)
{
	return image->bat.file_offset + image->bat.length;
}

/* How many pages of zeros follow @offset, at most @limit. Should a read fail, so will that of who wants the page. */
static uint64_t count_zero_pages(const struct image *image, uint64_t offset, uint64_t limit)
{
	uint64_t end = offset + min_u64(limit * PAGE_SIZE, bat_end(image) - offset);
	auto_free uint8_t *buf = malloc(WALK_SIZE);
	uint64_t done = 0;

	while (buf && offset + done < end) {
		size_t size = (size_t)min_u64(WALK_SIZE, end - offset - done);

		if (vhdx_io_read(image->view, buf, size, offset + done))
			break;
		for (size_t at = 0; at < size; at += PAGE_SIZE) {
			if (!vhdx_is_zeros(buf + at, PAGE_SIZE))
				return done / PAGE_SIZE;
			done += PAGE_SIZE;
		}
	}
	return done / PAGE_SIZE;
}

/* How far zeros go on from the page @index, which is zeros. */
static int find_zeros_end(const struct image *image, uint64_t index, struct page_zeros *zeros)
{
	uint64_t base = image->bat.file_offset;
	uint64_t offset = base + index * PAGE_SIZE;
	uint64_t start = offset;
	uint64_t end;

	if (zeros->data_end <= index) {
		int ret = vhdx_io_next_data(image->view, offset, bat_end(image), &start, &end);

		if (ret && ret != -ENXIO)
			return ret;
		if (ret)
			start = bat_end(image);
		else if (start < offset + PAGE_SIZE)
			zeros->data_end = (min_u64(end, bat_end(image)) - base) / PAGE_SIZE;
	}
	if (start >= offset + PAGE_SIZE)
		zeros->end = (start - base) / PAGE_SIZE;
	else
		zeros->end = index + 1 +
			     count_zero_pages(image, offset + PAGE_SIZE,
					      min_u64(zeros->ahead, MAX_AHEAD));
	return 0;
}

/* Only zeros may be a hole, and on some file systems it takes long to ask. */
static int load_page(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	const struct image *image = opaque;
	uint64_t offset = image->bat.file_offset + index * PAGE_SIZE;
	int ret = vhdx_io_read(image->view, page, PAGE_SIZE, offset);

	if (!ret && vhdx_is_zeros(page, PAGE_SIZE))
		ret = find_zeros_end(image, index, zeros);
	return ret ? vhdx_fail_io(ret, image->name, offset, "the BAT cannot be read") : 0;
}

int vhdx_bat_map_init(struct page_map *map, struct page_cache *cache, const struct image *image)
{
	return vhdx_page_map_init(map, cache, div_round_up(image->bat.length, PAGE_SIZE), load_page,
				  (void *)(uintptr_t)image);
}

static bool is_zero_group(const void *page, uint64_t index)
{
	const uint64_t *entries = (const uint64_t *)page + index;
	uint64_t bits = 0;

	for (unsigned i = 0; i < GROUP; i++)
		bits |= __atomic_load_n(entries + i, __ATOMIC_RELAXED);
	return !bits;
}

/* The first entry of the page from @index on that is not zero; @end: none before that. */
static uint64_t next_entry(const void *page, uint64_t index, uint64_t end)
{
	while (index < end) {
		if (is_aligned(index, GROUP) && end - index >= GROUP && is_zero_group(page, index))
			index += GROUP;
		else if (!bat_page_entry(page, index))
			index++;
		else
			break;
	}
	return index;
}

int vhdx_bat_get(struct page_map *map, uint64_t index, uint64_t *ret_entry)
{
	const void *page;
	int ret = vhdx_page_get(map, index / BAT_PAGE_ENTRIES, &page);

	if (!ret)
		*ret_entry = bat_page_entry(page, index);
	return ret;
}

int vhdx_bat_zero_run(struct page_map *map, uint64_t index, uint64_t *ret_count)
{
	const void *page;
	int ret = vhdx_page_get(map, index / BAT_PAGE_ENTRIES, &page);

	if (ret)
		return ret;
	uint64_t pages = vhdx_page_zero_run(map, index / BAT_PAGE_ENTRIES, page);
	uint64_t at = index % BAT_PAGE_ENTRIES;
	uint64_t end = pages ? pages * BAT_PAGE_ENTRIES : next_entry(page, at, BAT_PAGE_ENTRIES);

	*ret_count = end - at;
	return 0;
}

int vhdx_bat_same_run(struct page_map *map, uint64_t index, uint64_t *ret_count)
{
	const void *page;
	int ret = vhdx_page_get(map, index / BAT_PAGE_ENTRIES, &page);

	if (ret)
		return ret;
	uint64_t at = index % BAT_PAGE_ENTRIES;
	uint64_t entry = bat_page_entry(page, at);
	uint64_t end = at + 1;

	if (!entry)
		return vhdx_bat_zero_run(map, index, ret_count);
	while (end < BAT_PAGE_ENTRIES && bat_page_entry(page, end) == entry)
		end++;
	*ret_count = end - at;
	return 0;
}

/* An apply must not fail for want of space, so a page that the file does not hold gets its space now. */
static int reserve_home(struct page_map *map, const struct image *image, uint64_t page,
			uint64_t home)
{
	const void *bytes;
	int ret = vhdx_page_get(map, page, &bytes);

	if (ret || !vhdx_page_zero_run(map, page, bytes))
		return ret;
	return vhdx_image_reserve(image, home, PAGE_SIZE, "a page of the BAT");
}

int vhdx_bat_hold(struct page_map *map, const struct image *image, struct change *change,
		  uint64_t index, struct page **ret_page)
{
	uint64_t page = index / BAT_PAGE_ENTRIES;
	uint64_t home = image->bat.file_offset + page * PAGE_SIZE;
	int ret = reserve_home(map, image, page, home);

	return ret ? ret : vhdx_change_hold(change, map, page, home, false, ret_page);
}

void vhdx_bat_set(struct change *change, struct page *page, uint64_t index, uint64_t entry)
{
	uint64_t raw = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? entry : __builtin_bswap64(entry);

	__atomic_store_n((uint64_t *)(void *)page->bytes + index % BAT_PAGE_ENTRIES, raw,
			 __ATOMIC_RELEASE);
	vhdx_change_dirty(change, page);
}

struct walk {
	const struct image *image;
	uint64_t base; /* file offset */
	uint64_t end;
	bat_visitor *visit;
	void *opaque;
	uint8_t *buf;
	/* Up to here all is data: some storage looks for the end of data page by page. */
	uint64_t data_end;
};

static int visit_piece(const struct walk *walk, uint64_t offset, uint64_t size)
{
	int ret = vhdx_io_read(walk->image->view, walk->buf, size, offset);
	uint64_t first = (offset - walk->base) / BAT_ENTRY_SIZE;

	if (ret)
		return vhdx_fail_errno(ret, walk->image->name, "the BAT cannot be read");
	for (uint64_t at = 0; at < size && !ret; at += PAGE_SIZE) {
		const uint8_t *page = walk->buf + at;
		uint64_t end = min_u64(PAGE_SIZE, size - at) / BAT_ENTRY_SIZE;
		uint64_t i = vhdx_is_zeros(page, end * BAT_ENTRY_SIZE) ? end
								       : next_entry(page, 0, end);

		for (; i < end && !ret; i = next_entry(page, i + 1, end))
			ret = walk->visit(walk->opaque, first + at / BAT_ENTRY_SIZE + i,
					  bat_page_entry(page, i));
	}
	return ret;
}

/* Visits what the file holds at or after *offset, at most WALK_SIZE of it, and moves *offset on. */
static int walk_on(struct walk *walk, uint64_t *offset)
{
	uint64_t start = *offset;
	int ret = start < walk->data_end ? 0
					 : vhdx_io_next_data(walk->image->view, *offset, walk->end,
							     &start, &walk->data_end);

	if (ret == -ENXIO) {
		*offset = walk->end;
		return 0;
	}
	if (ret)
		return vhdx_fail_errno(ret, walk->image->name, "the BAT cannot be read");
	start = walk->base + round_down(start - walk->base, BAT_ENTRY_SIZE);
	uint64_t size = min_u64(WALK_SIZE, walk->end - start);

	*offset = start + size;
	return visit_piece(walk, start, size);
}

int vhdx_bat_walk(const struct image *image, bool padding, bat_visitor *visit, void *opaque,
		  vhdx_progress_fn *progress, void *progress_opaque)
{
	uint64_t base = image->bat.file_offset;
	uint64_t entries = padding ? image->bat.length / BAT_ENTRY_SIZE : image->geometry.entries;
	uint64_t total = entries * BAT_ENTRY_SIZE;
	auto_free uint8_t *buf = malloc(WALK_SIZE);
	struct walk walk = {image, base, base + total, visit, opaque, buf, base};
	uint64_t offset = base;
	int ret = buf ? 0 : vhdx_fail_memory();

	while (offset < walk.end && !ret) {
		ret = walk_on(&walk, &offset);
		if (!ret && progress && progress(progress_opaque, offset - base, total))
			ret = vhdx_fail(-ECANCELED, NO_PROBLEM, image->name, VHDX_NO_OFFSET,
					"stopped as asked");
	}
	return ret;
}
