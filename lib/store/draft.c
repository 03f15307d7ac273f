/* SPDX-License-Identifier: MIT */
/*
 * A draft: copy-on-write in pages over a base that stays as it is. Written pages lie in slots of the
 * scratch storage; ranges that were released, or cut off, read as zeros where no page was written since.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/error.h"
#include "store/draft.h"
#include "store/io.h"
#include "store/memory.h"
#include "store/pageindex.h"
#include "store/ranges.h"

#define MAX_PAGES ((uint32_t)(MAX_DRAFT_BYTES / DRAFT_PAGE_SIZE))

_Static_assert(MAX_PAGES <= MAX_PAGE_SLOT, "a slot for each page");
_Static_assert(MAX_DRAFT_SIZE / DRAFT_PAGE_SIZE <= MAX_PAGE_NUMBER + 1, "a number for each page");

struct draft {
	const struct vhdx_io *base;
	const struct vhdx_io *scratch;
	struct vhdx_io memory; /* the scratch storage when there is no other */
	struct vhdx_io io;
	uint64_t base_size; /* when the draft began */
	uint64_t size;	    /* what lies behind reads as zeros when it grows, in slots too */
	struct page_index pages;
	struct range_list released;
	uint32_t slots;	      /* that were ever used */
	uint32_t *free_slots; /* of those, the ones that no page uses */
	size_t nfree;
	size_t free_capacity;
};

/* What shows a byte of the draft. */
enum layer {
	LAYER_PAGE,
	LAYER_RELEASED,
	LAYER_BASE,
};

/* What shows @offset, and how many bytes from there on it shows. *ret_slot: of a page. */
static enum layer layer_at(const struct draft *draft, uint64_t offset, uint64_t *ret_length,
			   uint32_t *ret_slot)
{
	uint64_t page = UINT64_MAX;
	uint64_t end = UINT64_MAX;
	struct range range;
	enum layer layer = LAYER_BASE;

	if (vhdx_page_index_next(&draft->pages, offset / DRAFT_PAGE_SIZE, &page, ret_slot))
		end = page * DRAFT_PAGE_SIZE;
	if (page == offset / DRAFT_PAGE_SIZE) {
		*ret_length = DRAFT_PAGE_SIZE - offset % DRAFT_PAGE_SIZE;
		return LAYER_PAGE;
	}
	if (vhdx_ranges_next(&draft->released, offset, &range)) {
		layer = range.start == offset ? LAYER_RELEASED : LAYER_BASE;
		end = min_u64(end, layer == LAYER_RELEASED ? range.end : range.start);
	}
	*ret_length = end - offset;
	return layer;
}

static uint64_t place_of(uint32_t slot)
{
	return (uint64_t)slot * DRAFT_PAGE_SIZE;
}

static ssize_t draft_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	const struct draft *draft = opaque;
	uint64_t size;
	uint64_t done = 0;
	int ret = 0;

	if (vhdx_iov_size(iov, iovcnt, &size))
		return -EINVAL;
	if (offset >= draft->size)
		return 0;
	size = min_u64(size, draft->size - offset);
	while (done < size && !ret) {
		uint64_t part;
		uint32_t slot;
		uint64_t at = offset + done;
		enum layer layer = layer_at(draft, at, &part, &slot);

		part = min_u64(part, size - done);
		if (layer == LAYER_PAGE)
			ret = vhdx_io_readv(draft->scratch, iov, iovcnt, done, part,
					    place_of(slot) + at % DRAFT_PAGE_SIZE);
		else if (layer == LAYER_BASE)
			ret = vhdx_io_readv(draft->base, iov, iovcnt, done, part, at);
		else
			iov_zero(iov, iovcnt, done, part);
		done += part;
	}
	return ret ? ret : (ssize_t)done;
}

/* A page as the draft shows it; what lies behind the end is zeros. */
static int read_page(const struct draft *draft, uint64_t number, uint8_t *ret_page)
{
	uint64_t length;
	uint32_t slot;

	switch (layer_at(draft, number * DRAFT_PAGE_SIZE, &length, &slot)) {
	case LAYER_PAGE:
		return vhdx_io_read(draft->scratch, ret_page, DRAFT_PAGE_SIZE, place_of(slot));
	case LAYER_BASE:
		return vhdx_io_read(draft->base, ret_page, DRAFT_PAGE_SIZE,
				    number * DRAFT_PAGE_SIZE);
	default:
		memset(ret_page, 0, DRAFT_PAGE_SIZE);
		return 0;
	}
}

/* A slot that no page uses. Only vhdx_page_index_add makes it used. */
static int find_slot(const struct draft *draft, uint32_t *ret_slot)
{
	if (draft->nfree)
		*ret_slot = draft->free_slots[draft->nfree - 1];
	else if (draft->slots == MAX_PAGES)
		return -EFBIG;
	else
		*ret_slot = draft->slots;
	return 0;
}

static void use_slot(struct draft *draft)
{
	if (draft->nfree)
		draft->nfree--;
	else
		draft->slots++;
}

/* Without memory to remember it, a slot is never used again. */
static void free_slot(struct draft *draft, uint32_t slot)
{
	if (draft->nfree == draft->free_capacity) {
		size_t capacity = draft->free_capacity ? 2 * draft->free_capacity : 64;
		uint32_t *slots = realloc(draft->free_slots, capacity * sizeof(*slots));

		if (!slots)
			return;
		draft->free_slots = slots;
		draft->free_capacity = capacity;
	}
	draft->free_slots[draft->nfree++] = slot;
}

/* Memory that grew by a page at a time would be copied each time. */
static int make_room(struct draft *draft, uint32_t slot)
{
	uint64_t needed = place_of(slot) + DRAFT_PAGE_SIZE;
	uint64_t size;

	if (draft->scratch != &draft->memory)
		return 0;
	int ret = vhdx_io_get_size(draft->scratch, &size);

	return ret || needed <= size ? ret
				     : vhdx_io_set_size(draft->scratch, max_u64(needed, 2 * size));
}

static int keep_new_page(struct draft *draft, uint64_t number, const uint8_t *page)
{
	uint32_t slot;
	int ret = find_slot(draft, &slot);

	if (!ret)
		ret = make_room(draft, slot);
	if (!ret)
		ret = vhdx_io_write(draft->scratch, page, DRAFT_PAGE_SIZE, place_of(slot));
	if (!ret)
		ret = vhdx_page_index_add(&draft->pages, number, slot);
	if (!ret)
		use_slot(draft);
	return ret;
}

/* Replaces a page that shows @old. One that says nothing new takes no slot. */
static int replace_page(struct draft *draft, uint64_t number, const uint8_t *old,
			const uint8_t *page)
{
	uint64_t length;
	uint32_t slot;

	if (!memcmp(old, page, DRAFT_PAGE_SIZE))
		return 0;
	if (layer_at(draft, number * DRAFT_PAGE_SIZE, &length, &slot) == LAYER_PAGE)
		return vhdx_io_write(draft->scratch, page, DRAFT_PAGE_SIZE, place_of(slot));
	return keep_new_page(draft, number, page);
}

/* Copies @count bytes, from @skip bytes into the buffers on. */
static void gather(const struct iovec *iov, int iovcnt, uint64_t skip, uint8_t *to, uint64_t count)
{
	for (int i = 0; i < iovcnt && count; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		size_t part = (size_t)min_u64(iov[i].iov_len - skip, count);

		memcpy(to, (const char *)iov[i].iov_base + skip, part);
		to += part;
		count -= part;
		skip = 0;
	}
}

static ssize_t draft_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct draft *draft = opaque;
	uint64_t size;
	uint64_t end;

	if (vhdx_iov_size(iov, iovcnt, &size))
		return -EINVAL;
	if (!add_fits(offset, size, &end) || end > MAX_DRAFT_SIZE)
		return -EFBIG;
	if (end > draft->size && !draft->io.set_size)
		return -ENOSPC;
	for (uint64_t done = 0; done < size;) {
		uint8_t old[DRAFT_PAGE_SIZE];
		uint8_t page[DRAFT_PAGE_SIZE];
		uint64_t at = offset + done;
		uint64_t within = at % DRAFT_PAGE_SIZE;
		uint64_t part = min_u64(DRAFT_PAGE_SIZE - within, size - done);
		int ret = read_page(draft, at / DRAFT_PAGE_SIZE, old);

		if (ret)
			return ret;
		memcpy(page, old, sizeof(page));
		gather(iov, iovcnt, done, page + within, part);
		ret = replace_page(draft, at / DRAFT_PAGE_SIZE, old, page);
		if (ret)
			return ret;
		done += part;
		draft->size = max_u64(draft->size, at + part);
	}
	return (ssize_t)size;
}

static int draft_get_size(void *opaque, uint64_t *ret_size)
{
	const struct draft *draft = opaque;

	*ret_size = draft->size;
	return 0;
}

/* Within one page. */
static int zero_in_page(struct draft *draft, uint64_t offset, uint64_t length)
{
	uint8_t old[DRAFT_PAGE_SIZE];
	uint8_t page[DRAFT_PAGE_SIZE];
	uint64_t number = offset / DRAFT_PAGE_SIZE;
	int ret = length ? read_page(draft, number, old) : 0;

	if (ret || !length)
		return ret;
	memcpy(page, old, sizeof(page));
	memset(page + offset % DRAFT_PAGE_SIZE, 0, length);
	return replace_page(draft, number, old, page);
}

/* Whole pages. */
static int release(struct draft *draft, uint64_t offset, uint64_t end)
{
	int ret = vhdx_ranges_add(&draft->released, offset, end);
	uint32_t slot;

	if (ret)
		return ret;
	while (vhdx_page_index_take(&draft->pages, offset / DRAFT_PAGE_SIZE, end / DRAFT_PAGE_SIZE,
				    &slot))
		free_slot(draft, slot);
	return 0;
}

/* What is cut off does not come back. */
static int draft_set_size(void *opaque, uint64_t size)
{
	struct draft *draft = opaque;
	int ret = 0;

	if (size > MAX_DRAFT_SIZE)
		return -EFBIG;
	if (size < draft->size) {
		uint64_t kept = round_up(size, DRAFT_PAGE_SIZE);

		ret = zero_in_page(draft, size, kept - size);
		if (!ret)
			ret = release(draft, kept,
				      max_u64(kept, round_up(draft->size, DRAFT_PAGE_SIZE)));
	}
	if (!ret)
		draft->size = size;
	return ret;
}

static int draft_punch(void *opaque, uint64_t offset, uint64_t length)
{
	struct draft *draft = opaque;
	uint64_t end;

	if (!add_fits(offset, length, &end))
		return -EFBIG;
	/* What lies behind the end is zeros already, so the last page counts as whole. */
	if (end >= draft->size)
		end = round_up(draft->size, DRAFT_PAGE_SIZE);
	if (offset >= end)
		return 0;
	uint64_t first = min_u64(round_up(offset, DRAFT_PAGE_SIZE), end);
	uint64_t last = max_u64(round_down(end, DRAFT_PAGE_SIZE), first);
	int ret = zero_in_page(draft, offset, first - offset);

	if (!ret)
		ret = zero_in_page(draft, last, end - last);
	return ret ? ret : release(draft, first, last);
}

static int draft_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct draft *draft = opaque;

	while (offset < draft->size) {
		uint64_t length;
		uint32_t slot;
		enum layer layer = layer_at(draft, offset, &length, &slot);
		uint64_t end = offset + min_u64(length, draft->size - offset);
		int ret = -ENXIO;

		if (layer == LAYER_BASE)
			ret = vhdx_io_next_data(draft->base, offset, min_u64(end, draft->base_size),
						ret_start, ret_end);
		if (layer == LAYER_PAGE) {
			*ret_start = offset;
			*ret_end = end;
			return 0;
		}
		if (ret != -ENXIO)
			return ret;
		offset = end;
	}
	return -ENXIO;
}

/* Neighbouring pages that differ, on their way to a visitor. */
struct walk {
	const struct draft *draft;
	draft_visitor *visit;
	void *opaque;
	struct draft_range run;
};

static int end_run(struct walk *walk)
{
	struct draft_range run = walk->run;

	walk->run.length = 0;
	return run.length ? walk->visit(walk->opaque, &run) : 0;
}

static int walk_page(struct walk *walk, uint64_t offset, uint64_t length, uint32_t slot)
{
	uint8_t old[DRAFT_PAGE_SIZE];
	uint8_t page[DRAFT_PAGE_SIZE];
	struct draft_range *run = &walk->run;
	int ret = vhdx_io_read(walk->draft->base, old, length, offset);

	if (!ret)
		ret = vhdx_io_read(walk->draft->scratch, page, length, place_of(slot));
	if (ret || !memcmp(old, page, length))
		return ret;
	if (run->length == DRAFT_RUN_SIZE || run->offset + run->length != offset)
		ret = end_run(walk);
	if (!run->length)
		run->offset = offset;
	run->length += length;
	return ret;
}

/* Of a released range, what the base holds data in. */
static int walk_released(struct walk *walk, uint64_t offset, uint64_t end)
{
	int ret = end_run(walk);

	end = min_u64(end, walk->draft->base_size);
	while (!ret && offset < end) {
		struct draft_range range = {.released = true};
		uint64_t stop;

		ret = vhdx_io_next_data(walk->draft->base, offset, end, &range.offset, &stop);
		if (ret)
			return ret == -ENXIO ? 0 : ret;
		/* Storage may know its data to the sector, but visitors are promised pages. */
		range.offset = max_u64(round_down(range.offset, DRAFT_PAGE_SIZE), offset);
		offset = min_u64(round_up(stop, DRAFT_PAGE_SIZE), end);
		range.length = offset - range.offset;
		ret = walk->visit(walk->opaque, &range);
	}
	return ret;
}

int vhdx_draft_walk(const struct draft *draft, draft_visitor *visit, void *opaque)
{
	struct walk walk = {.draft = draft, .visit = visit, .opaque = opaque};
	uint64_t offset = 0;
	int ret = 0;

	while (!ret && offset < draft->size) {
		uint64_t length;
		uint32_t slot;
		enum layer layer = layer_at(draft, offset, &length, &slot);

		length = min_u64(length, draft->size - offset);
		if (layer == LAYER_PAGE)
			ret = walk_page(&walk, offset, length, slot);
		else if (layer == LAYER_RELEASED)
			ret = walk_released(&walk, offset, offset + length);
		offset += length;
	}
	return ret ? ret : end_run(&walk);
}

int vhdx_draft_open(const struct vhdx_io *base, const struct vhdx_io *scratch,
		    struct draft **ret_draft)
{
	struct draft *draft = calloc(1, sizeof(*draft));
	int ret = draft ? vhdx_io_get_size(base, &draft->base_size) : vhdx_fail_memory();

	if (!ret && draft->base_size > MAX_DRAFT_SIZE)
		ret = -EFBIG;
	if (!ret && !scratch)
		ret = vhdx_memory_io(NULL, 0, &draft->memory);
	if (ret) {
		free(draft);
		return ret;
	}
	draft->base = base;
	draft->scratch = scratch ? scratch : &draft->memory;
	draft->size = draft->base_size;
	draft->io = (struct vhdx_io){
		.size = sizeof(draft->io),
		.opaque = draft,
		.preadv = draft_preadv,
		.pwritev = draft_pwritev,
		.get_size = draft_get_size,
		.set_size = base->set_size ? draft_set_size : NULL,
		.punch = base->punch ? draft_punch : NULL,
		.next_data = base->next_data ? draft_next_data : NULL,
	};
	*ret_draft = draft;
	return 0;
}

void vhdx_draft_close(struct draft *draft)
{
	if (!draft)
		return;
	vhdx_page_index_free(&draft->pages);
	vhdx_ranges_free(&draft->released);
	free(draft->free_slots);
	vhdx_io_close(&draft->memory);
	free(draft);
}

const struct vhdx_io *vhdx_draft_io(const struct draft *draft)
{
	return &draft->io;
}
