/* SPDX-License-Identifier: MIT */
/* Logged changes of the region tables and of the metadata region (F 3, F 5), as ranges of bytes. */
#include <assert.h>
#include <string.h>

#include "base/arith.h"
#include "meta/patch.h"
#include "store/io.h"

static int load_page(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	const struct area *area = opaque;
	uint64_t offset = area->base + index * PAGE_SIZE;
	int ret = vhdx_io_read(area->image->view, page, PAGE_SIZE, offset);

	(void)zeros; /* these are small, and full */
	return ret ? vhdx_fail_io(ret, area->image->name, offset, "%s cannot be read", area->name)
		   : 0;
}

static int init_area(struct area *area, struct page_cache *cache, const struct image *image,
		     const char *name, uint64_t base, uint64_t length)
{
	*area = (struct area){.image = image, .base = base, .name = name};
	return vhdx_page_map_init(&area->pages, cache, div_round_up(length, PAGE_SIZE), load_page,
				  area);
}

int vhdx_patch_areas_init(struct patch_areas *areas, struct page_cache *cache,
			  const struct image *image)
{
	int ret = init_area(&areas->area[PATCH_TABLE_1], cache, image, "region table 1",
			    REGION_TABLE_1_OFFSET, REGION_TABLE_SIZE);

	if (!ret)
		ret = init_area(&areas->area[PATCH_TABLE_2], cache, image, "region table 2",
				REGION_TABLE_2_OFFSET, REGION_TABLE_SIZE);
	if (!ret)
		ret = init_area(&areas->area[PATCH_METADATA], cache, image, "metadata",
				image->metadata.file_offset, image->metadata.length);
	return ret;
}

void vhdx_patch_areas_destroy(struct patch_areas *areas)
{
	for (int i = 0; i < PATCH_AREAS; i++)
		vhdx_page_map_destroy(&areas->area[i].pages);
}

static uint64_t first_page(const struct patch *patch)
{
	return patch->offset / PAGE_SIZE;
}

static unsigned page_count(const struct patch *patch)
{
	uint64_t last = ((uint64_t)patch->offset + patch->length - 1) / PAGE_SIZE;

	return (unsigned)(last - first_page(patch) + 1);
}

/* An apply must not fail for want of space, so pages that may be holes get their space now. */
static int hold_pages(struct change *change, struct patch_areas *areas, const struct patch *patch)
{
	struct area *area = &areas->area[patch->area];
	uint64_t home = area->base + first_page(patch) * PAGE_SIZE;
	int ret = vhdx_image_reserve(area->image, home, (uint64_t)page_count(patch) * PAGE_SIZE,
				     area->name);

	for (unsigned i = 0; i < page_count(patch) && !ret; i++) {
		struct page *page;

		ret = vhdx_change_hold(change, &area->pages, first_page(patch) + i,
				       home + (uint64_t)i * PAGE_SIZE, false, &page);
	}
	return ret;
}

/* Within the change, which holds the pages from @pages on for the patch. */
static void store(struct change *change, struct page **pages, const struct patch *patch)
{
	const uint8_t *from = patch->bytes;
	uint32_t done = 0;

	for (unsigned i = 0; i < page_count(patch); i++) {
		uint32_t at = i ? 0 : patch->offset % PAGE_SIZE;
		uint32_t part = (uint32_t)min_u64(patch->length - done, PAGE_SIZE - at);

		memcpy(pages[i]->bytes + at, from + done, part);
		vhdx_change_dirty(change, pages[i]);
		done += part;
	}
}

static void store_all(struct change *change, const struct patch *patches, unsigned count)
{
	unsigned at = 0;

	vhdx_change_enter(change);
	for (unsigned i = 0; i < count; i++) {
		store(change, &change->pages[at], &patches[i]);
		at += page_count(&patches[i]);
	}
	vhdx_change_leave(change);
}

int vhdx_patch(struct journal *journal, struct patch_areas *areas, const struct patch *patches,
	       unsigned count)
{
	struct change change;
	unsigned pages = 0;

	for (unsigned i = 0; i < count; i++) {
		assert(patches[i].length);
		pages += page_count(&patches[i]);
	}
	assert(pages <= PATCH_PAGES);
	int ret = vhdx_journal_begin(journal, pages, &change);

	if (ret)
		return ret;
	for (unsigned i = 0; i < count && !ret; i++)
		ret = hold_pages(&change, areas, &patches[i]);
	if (!ret)
		store_all(&change, patches, count);
	vhdx_change_end(&change);
	return ret;
}
