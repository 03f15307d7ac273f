/* SPDX-License-Identifier: MIT */
/* The block allocation table (F 6): look-ups through its pages, and walks over all of it. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/zeros.h"
#include "meta/image.h"
#include "store/io.h"

#define PAGE_ENTRIES (PAGE_SIZE / BAT_ENTRY_SIZE)
#define WALK_SIZE    (64 * KIB)

/* Only zeros may be a hole, and on some file systems it takes long to ask. */
static int load_page(void *opaque, uint64_t index, void *page, uint64_t *ret_hole_end)
{
	const struct image *image = opaque;
	uint64_t region_end = image->bat.file_offset + image->bat.length;
	uint64_t offset = image->bat.file_offset + index * PAGE_SIZE;
	uint64_t start = region_end;
	uint64_t end;
	int ret = vhdx_io_read(image->view, page, PAGE_SIZE, offset);

	if (!ret && vhdx_is_zeros(page, PAGE_SIZE)) {
		ret = vhdx_io_next_data(image->view, offset, region_end, &start, &end);
		if (ret == -ENXIO)
			ret = 0;
		if (!ret && start >= offset + PAGE_SIZE)
			*ret_hole_end = (start - image->bat.file_offset) / PAGE_SIZE;
	}
	return ret ? vhdx_fail_io(ret, image->name, offset, "the BAT cannot be read") : 0;
}

int vhdx_bat_map_init(struct page_map *map, struct page_cache *cache, const struct image *image)
{
	return vhdx_page_map_init(map, cache, div_round_up(image->bat.length, PAGE_SIZE), load_page,
				  (void *)(uintptr_t)image);
}

/* One load, so that an entry is never seen half changed; the page holds it as the disk does. */
static uint64_t entry_of(const void *page, uint64_t index)
{
	uint64_t raw =
		__atomic_load_n((const uint64_t *)page + index % PAGE_ENTRIES, __ATOMIC_ACQUIRE);

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? raw : __builtin_bswap64(raw);
}

int vhdx_bat_get(struct page_map *map, uint64_t index, uint64_t *ret_entry)
{
	const void *page;
	int ret = vhdx_page_get(map, index / PAGE_ENTRIES, &page);

	if (!ret)
		*ret_entry = entry_of(page, index);
	return ret;
}

int vhdx_bat_zero_run(struct page_map *map, uint64_t index, uint64_t *ret_count)
{
	const void *page;
	int ret = vhdx_page_get(map, index / PAGE_ENTRIES, &page);

	if (ret)
		return ret;
	uint64_t pages = vhdx_page_zero_run(map, index / PAGE_ENTRIES, page);
	uint64_t at = index % PAGE_ENTRIES;
	uint64_t end = at;

	if (pages) {
		end = pages * PAGE_ENTRIES;
	} else {
		while (end < PAGE_ENTRIES && !entry_of(page, end))
			end++;
	}
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
	uint64_t page = index / PAGE_ENTRIES;
	uint64_t home = image->bat.file_offset + page * PAGE_SIZE;
	int ret = reserve_home(map, image, page, home);

	return ret ? ret : vhdx_change_hold(change, map, page, home, false, ret_page);
}

void vhdx_bat_set(struct change *change, struct page *page, uint64_t index, uint64_t entry)
{
	uint64_t raw = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? entry : __builtin_bswap64(entry);

	__atomic_store_n((uint64_t *)(void *)page->bytes + index % PAGE_ENTRIES, raw,
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
	for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
		uint64_t part = min_u64(PAGE_SIZE, size - at);

		if (vhdx_is_zeros(walk->buf + at, part))
			continue;
		for (uint64_t i = at; i < at + part && !ret; i += BAT_ENTRY_SIZE) {
			uint64_t entry = le64_get(*(const struct le64 *)(walk->buf + i));

			if (entry)
				ret = walk->visit(walk->opaque, first + i / BAT_ENTRY_SIZE, entry);
		}
		if (ret)
			return ret;
	}
	return 0;
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
