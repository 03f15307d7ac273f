/* SPDX-License-Identifier: MIT */
/* Guesses at a ruined image that has no BAT: its blocks lie in order, from one that begins as a disk does. */
#include <errno.h>

#include "ops/boot.h"
#include "ops/guess.h"
#include "ops/hunt.h"
#include "store/holes.h"

struct anchor {
	const struct salvage *s;
	bool has_data;
	uint64_t first_data; /* the first MiB that holds any and is no structure */
	uint64_t last_data;
	uint64_t place; /* of the best partition table */
	struct boot boot;
};

static int look_for_anchor(void *opaque, uint64_t offset)
{
	struct anchor *anchor = opaque;
	const struct image *image = &anchor->s->image;
	struct boot boot;

	if (vhdx_salvage_is_structure(anchor->s, offset, MIB, NULL))
		return 0;
	int ret = vhdx_boot_read(image->view, offset, &boot);

	if (ret)
		return vhdx_fail_io(ret, image->name, offset, "cannot be searched");
	if (!anchor->has_data)
		anchor->first_data = offset;
	anchor->has_data = true;
	anchor->last_data = offset;
	if (boot.kind > anchor->boot.kind) {
		anchor->place = offset;
		anchor->boot = boot;
	}
	return 0;
}

/* The blocks of a fixed disk end the file, unless that was cut. */
static bool ends_with_fixed_blocks(const struct salvage *s, uint64_t *ret_start)
{
	const struct image *image = &s->image;
	uint64_t end = image_end(image);
	uint64_t length = round_up(image->virtual_size, image->parameters.block_size);

	if (image_type(image) != VHDX_FIXED || !fact_is_known(&s->result.virtual_size_fact) ||
	    end < length + HEADER_SECTION_SIZE)
		return false;
	*ret_start = end - length;
	return !vhdx_salvage_is_structure(s, *ret_start, length, NULL);
}

/*
 * Blocks need not begin with data. They begin behind the structures that come first, and where whole ones
 * reach to the end of the file.
 */
static uint64_t first_block(const struct salvage *s, uint64_t first_data)
{
	const struct image *image = &s->image;
	uint64_t block_size = image->parameters.block_size;
	uint64_t behind = HEADER_SECTION_SIZE;

	while (behind < first_data && vhdx_salvage_is_structure(s, behind, MIB, &behind))
		;
	uint64_t before = first_data - min_u64(first_data - behind, block_size - MIB);
	uint64_t end = image_end(image);

	for (uint64_t start = first_data; start >= before; start -= MIB)
		if ((end - start) % block_size == 0)
			return start;
	return first_data;
}

static void choose_start(struct salvage *s, const struct anchor *anchor)
{
	uint64_t start = anchor->has_data ? first_block(s, anchor->first_data)
					  : HEADER_SECTION_SIZE;

	s->guess = "no BAT is left: blocks were taken in the order of the file";
	if (anchor->boot.kind) {
		start = anchor->place;
		s->guess = "no BAT is left: blocks were taken in the order of the file, from the "
			   "one that begins with a partition table";
	} else if (ends_with_fixed_blocks(s, &start)) {
		s->guess = "no BAT is left: the blocks of a fixed disk lie in order";
	}
	s->first_block = start;
	s->order_is_guessed = true;
}

static void set_defaults(struct salvage *s)
{
	static const struct vhdx_salvage_fact assumed = {
		VHDX_SALVAGE_BY_GUESS, "assumed, for nothing tells it and little depends on it"};
	struct image *image = &s->image;

	if (!fact_is_known(&s->result.block_size_fact)) {
		image->parameters.block_size = MIN_BLOCK_SIZE;
		s->result.block_size_fact = assumed;
	}
	if (!fact_is_known(&s->result.logical_sector_size_fact)) {
		image->logical_sector_size = 512;
		s->result.logical_sector_size_fact = assumed;
	}
	if (!fact_is_known(&s->result.type_fact))
		s->result.type_fact = assumed;
}

static void set_size(struct salvage *s, const struct anchor *anchor)
{
	uint32_t sector_size = anchor->boot.sector_size ? anchor->boot.sector_size
							: s->image.logical_sector_size;
	uint64_t told = anchor->boot.sectors * sector_size;
	uint64_t held = anchor->has_data
				? min_u64(image_end(&s->image) - s->first_block, MAX_DISK_SIZE)
				: 0;
	bool is_told = anchor->boot.kind == BOOT_GPT || told > held;

	if (fact_is_known(&s->result.virtual_size_fact))
		return;
	s->image.virtual_size = is_told ? told : held;
	fact_set(&s->result.virtual_size_fact, VHDX_SALVAGE_BY_GUESS,
		 !is_told			 ? "guessed from the file's size"
		 : anchor->boot.kind == BOOT_GPT ? "read from the GUID partition table"
						 : "guessed from where the last partition ends");
}

int vhdx_guess_order(struct salvage *s)
{
	struct anchor anchor = {.s = s};
	int ret = vhdx_hunt_places(s->image.view, s->name, HEADER_SECTION_SIZE,
				   image_view_size(&s->image), look_for_anchor, &anchor);

	if (ret)
		return ret;
	if (!fact_is_known(&s->result.logical_sector_size_fact) && anchor.boot.sector_size) {
		s->image.logical_sector_size = anchor.boot.sector_size;
		fact_set(&s->result.logical_sector_size_fact, VHDX_SALVAGE_BY_GUESS,
			 "read from the GUID partition table");
	}
	set_defaults(s);
	choose_start(s, &anchor);
	set_size(s, &anchor);
	return 0;
}
