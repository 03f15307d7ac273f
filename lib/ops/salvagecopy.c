/* SPDX-License-Identifier: MIT */
/* The last step of a salvage: every block of the disk in order, by the BAT, or in the order of the file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/zeros.h"
#include "meta/bitmap.h"
#include "meta/spacemap.h"
#include "ops/salvagedata.h"

static const char nothing[] = "";
static const char shared_place[] = "its place in the file is not its own";
static const char state_4[] = "its entry has the reserved state 4, with a place of its own";
static const char no_bitmap[] = "no bitmap is left: sectors that are not zeros were taken";
static const char garbage[] = "its entry means nothing";
static const char bad_place[] = "its entry names a place outside of the file";
static const char no_entry[] = "the BAT ends before its entry";
static const char no_order[] = "no BAT is left, and no block in the file";

struct copy {
	struct outlet outlet;
	struct image image; /* with its BAT as it is used */
	uint64_t next;	    /* block */
	uint64_t limit;	    /* entries of the BAT that the file holds */
	struct space_map once;
	struct space_map twice; /* what several blocks, or a structure and a block, have */
	uint8_t *bits;		/* of one block */
	/* Of the chunk whose bitmap was looked up last. */
	uint64_t chunk;
	uint64_t bitmap; /* its place; 0: none that can be used */
};

/* ---- Whose space is whose ---- */

static void mark_structures(struct copy *copy)
{
	const struct image *image = &copy->image;

	vhdx_space_map_mark(&copy->once, 0, HEADER_SECTION_SIZE, NULL);
	vhdx_space_map_mark(&copy->once, image->log.offset, image->log.length, NULL);
	vhdx_space_map_mark(&copy->once, image->metadata.file_offset, image->metadata.length, NULL);
	vhdx_space_map_mark(&copy->once, image->bat.file_offset,
			    image->geometry.entries * BAT_ENTRY_SIZE, NULL);
}

static bool may_hold(const struct copy *copy, uint64_t offset)
{
	return offset >= HEADER_SECTION_SIZE && offset < image_view_size(&copy->image);
}

static int mark_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct copy *copy = opaque;
	bool is_bitmap = bat_index_is_bitmap(&copy->image.geometry, index);
	uint64_t offset = bat_entry_offset(entry);
	uint64_t end = offset + (is_bitmap ? BITMAP_BLOCK_SIZE : copy->image.geometry.block_size);
	unsigned state = bat_entry_state(entry);

	if ((state < BLOCK_FULLY_PRESENT && state != BLOCK_RESERVED_4) || !may_hold(copy, offset) ||
	    (is_bitmap ? !image_has_parent(&copy->image)
		       : bat_block_of_index(&copy->image.geometry, index) >=
				 copy->image.geometry.blocks))
		return 0;
	for (uint64_t at = offset; at < end; at += MIB)
		if (vhdx_space_map_mark(&copy->once, at, MIB, NULL))
			vhdx_space_map_mark(&copy->twice, at, MIB, NULL);
	return 0;
}

static bool is_shared(const struct copy *copy, uint64_t offset)
{
	return vhdx_space_map_meets(&copy->twice, offset, copy->image.geometry.block_size);
}

/* ---- One block ---- */

static uint64_t length_of(const struct copy *copy, uint64_t block)
{
	const struct geometry *g = &copy->image.geometry;

	return min_u64(g->block_size, g->virtual_size - block * g->block_size);
}

static int copy_part(struct copy *copy, uint64_t length, uint64_t place, bool is_shared_place,
		     bool *lost)
{
	const struct salvage *s = copy->outlet.s;
	bool guessed = is_shared_place || s->order_is_guessed;

	return vhdx_outlet_copy(&copy->outlet, guessed ? VHDX_SALVAGE_GUESSED : VHDX_SALVAGE_FOUND,
				length, place,
				is_shared_place	      ? shared_place
				: s->order_is_guessed ? s->guess
						      : nothing,
				lost);
}

static int look_up_bitmap(struct copy *copy, uint64_t chunk)
{
	const struct image *image = &copy->image;
	uint64_t index = bat_index_of_bitmap(&image->geometry, chunk);
	struct le64 disk;

	if (copy->chunk == chunk)
		return 0;
	int ret = vhdx_io_read(image->view, &disk, sizeof(disk),
			       image->bat.file_offset + index * BAT_ENTRY_SIZE);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "the BAT cannot be read");
	uint64_t entry = le64_get(disk);
	bool there = bat_entry_state(entry) == BITMAP_PRESENT && index < copy->limit &&
		     vhdx_bitmap_entry_is_usable(image, entry);

	copy->chunk = chunk;
	copy->bitmap = there ? bat_entry_offset(entry) : 0;
	return 0;
}

static bool bit_at(const uint8_t *bits, uint64_t index)
{
	return bits[index / 8] >> index % 8 & 1;
}

/* Sectors of a block by their bits, which say whether they are here. */
static int copy_sectors(struct copy *copy, uint64_t length, uint64_t place, bool shared, bool *lost)
{
	uint32_t sector = copy->image.geometry.logical_sector_size;
	uint64_t count = div_round_up(length, sector);
	int ret = 0;

	for (uint64_t i = 0; i < count && !ret;) {
		bool here = bit_at(copy->bits, i);
		uint64_t end = i + 1;

		while (end < count && bit_at(copy->bits, end) == here)
			end++;
		uint64_t part = min_u64(length, end * sector) - i * sector;

		ret = here ? copy_part(copy, part, place + i * sector, shared, lost)
			   : vhdx_outlet_zero(&copy->outlet, VHDX_SALVAGE_PARENT, part, nothing);
		i = end;
	}
	return ret;
}

/* A sector that holds something is here, as far as anyone can tell. */
static int guess_sectors(struct copy *copy, uint64_t length, uint64_t place, bool *lost)
{
	uint32_t sector = copy->image.geometry.logical_sector_size;
	uint8_t *buf = copy->outlet.buf;
	uint64_t held = min_u64(length, image_view_size(&copy->image) - place);
	int ret = 0;

	for (uint64_t at = 0; at < held && !ret;) {
		uint64_t part = min_u64(OUTLET_BUFFER, held - at);

		ret = vhdx_io_read(copy->image.view, buf, (size_t)part, place + at);
		if (ret)
			return vhdx_fail_io(ret, copy->image.name, place + at, "cannot be read");
		memset(copy->bits, 0, OUTLET_BUFFER / 512 / 8);
		for (uint64_t i = 0; i * sector < part; i++)
			if (!vhdx_is_zeros(buf + i * sector, min_u64(sector, part - i * sector)))
				copy->bits[i / 8] |= (uint8_t)(1u << i % 8);
		for (uint64_t i = 0, end; i < part && !ret; i = end) {
			bool here = bit_at(copy->bits, i / sector);

			end = i;
			do {
				end = min_u64(part, end + sector);
			} while (end < part && bit_at(copy->bits, end / sector) == here);
			ret = here ? vhdx_outlet_copy(&copy->outlet, VHDX_SALVAGE_GUESSED, end - i,
						      place + at + i, no_bitmap, lost)
				   : vhdx_outlet_zero(&copy->outlet, VHDX_SALVAGE_PARENT, end - i,
						      no_bitmap);
		}
		at += part;
	}
	return ret || held == length
		       ? ret
		       : vhdx_outlet_copy(&copy->outlet, VHDX_SALVAGE_GUESSED, length - held,
					  place + held, no_bitmap, lost);
}

static int copy_partial(struct copy *copy, uint64_t block, uint64_t place, bool *lost)
{
	const struct geometry *g = &copy->image.geometry;
	uint64_t length = length_of(copy, block);
	uint64_t sectors = g->block_size / g->logical_sector_size;
	uint64_t first = block % g->chunk_ratio * sectors;
	int ret = look_up_bitmap(copy, block / g->chunk_ratio);

	if (ret)
		return ret;
	if (!copy->bitmap)
		return guess_sectors(copy, length, place, lost);
	copy->outlet.s->ruin.strict = true;
	ret = vhdx_io_read(copy->image.view, copy->bits, (size_t)(sectors / 8),
			   copy->bitmap + first / 8);
	copy->outlet.s->ruin.strict = false;
	if (ret == -EIO)
		return guess_sectors(copy, length, place, lost);
	if (ret)
		return vhdx_fail_io(ret, copy->image.name, copy->bitmap, "cannot be read");
	return copy_sectors(copy, length, place, is_shared(copy, place), lost);
}

static int lose(struct copy *copy, uint64_t length, const char *why, bool *lost)
{
	*lost = true;
	return vhdx_outlet_zero(&copy->outlet, VHDX_SALVAGE_LOST, length, why);
}

/* An entry that has, or should have, a block. */
static int copy_present(struct copy *copy, uint64_t block, uint64_t entry, bool *lost)
{
	uint64_t length = length_of(copy, block);
	uint64_t place = bat_entry_offset(entry);
	bool reserved = bat_entry_state(entry) == BLOCK_RESERVED_4;

	if (vhdx_salvage_entry_is_garbage(copy->outlet.s, entry))
		return lose(copy, length, garbage, lost);
	if (!may_hold(copy, place))
		return lose(copy, length, reserved ? garbage : bad_place, lost);
	bool shared = is_shared(copy, place);

	if (reserved)
		return shared ? lose(copy, length, garbage, lost)
			      : vhdx_outlet_copy(&copy->outlet, VHDX_SALVAGE_GUESSED, length, place,
						 state_4, lost);
	if (bat_entry_state(entry) == BLOCK_PARTIALLY_PRESENT && image_has_parent(&copy->image))
		return copy_partial(copy, block, place, lost);
	return copy_part(copy, length, place, shared, lost);
}

static int copy_block(struct copy *copy, uint64_t block, uint64_t entry)
{
	unsigned state = bat_entry_state(entry);
	struct vhdx_salvage_result *result = &copy->outlet.s->result;
	bool lost = false;
	int ret;

	if (state < BLOCK_FULLY_PRESENT && state != BLOCK_RESERVED_4 &&
	    !vhdx_salvage_entry_is_garbage(copy->outlet.s, entry)) {
		bool is_parents = state == BLOCK_NOT_PRESENT && image_has_parent(&copy->image);

		ret = vhdx_outlet_zero(&copy->outlet,
				       is_parents ? VHDX_SALVAGE_PARENT : VHDX_SALVAGE_ZERO,
				       length_of(copy, block), nothing);
	} else {
		ret = copy_present(copy, block, entry, &lost);
		result->blocks++;
		result->lost_blocks += lost;
	}
	copy->next = block + 1;
	return ret ? ret : vhdx_outlet_progress(&copy->outlet);
}

/* ---- All blocks, by the BAT ---- */

/* Blocks up to @end have entries of zeros, or none that the file holds. */
static int fill_gap(struct copy *copy, uint64_t end)
{
	const struct geometry *g = &copy->image.geometry;
	bool has_parent = image_has_parent(&copy->image);
	uint64_t cut = copy->limit < g->entries ? bat_block_of_index(g, copy->limit) : g->blocks;
	uint64_t middle = max_u64(copy->next, min_u64(cut, end));
	uint64_t from = copy->next * g->block_size;
	uint64_t to = min_u64(end * g->block_size, g->virtual_size);
	uint64_t between = min_u64(middle * g->block_size, g->virtual_size);
	struct vhdx_salvage_result *result = &copy->outlet.s->result;
	int ret = vhdx_outlet_zero(&copy->outlet,
				   has_parent ? VHDX_SALVAGE_PARENT : VHDX_SALVAGE_ZERO,
				   between - from, nothing);

	if (!ret)
		ret = vhdx_outlet_zero(&copy->outlet, VHDX_SALVAGE_LOST, to - between, no_entry);
	result->blocks += end - middle;
	result->lost_blocks += end - middle;
	copy->next = end;
	return ret;
}

static int copy_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct copy *copy = opaque;
	const struct geometry *g = &copy->image.geometry;

	uint64_t block = bat_block_of_index(g, index);

	/* A child's last chunk may have entries for blocks that the disk does not have. */
	if (bat_index_is_bitmap(g, index) || index >= copy->limit || block >= g->blocks)
		return 0;
	int ret = block > copy->next ? fill_gap(copy, block) : 0;

	return ret ? ret : copy_block(copy, block, entry);
}

static int copy_by_bat(struct copy *copy)
{
	const struct image *image = &copy->image;
	uint64_t size = image_view_size(image);
	uint64_t held = size > image->bat.file_offset ? size - image->bat.file_offset : 0;

	copy->limit = min_u64(held, image->bat.length) / BAT_ENTRY_SIZE;
	int ret = vhdx_bat_walk(image, false, mark_entry, copy, NULL, NULL);

	if (!ret)
		ret = vhdx_bat_walk(image, false, copy_entry, copy, NULL, NULL);
	if (!ret && copy->next < image->geometry.blocks)
		ret = fill_gap(copy, image->geometry.blocks);
	return ret;
}

/* ---- All blocks, in the order of the file ---- */

/*
 * How much of the file from @from on goes at once: a MiB, or as much of a hole as has no structure in it, for a
 * log may claim that the file has any length.
 */
static int next_part(struct copy *copy, uint64_t from, uint64_t most, uint64_t *ret_part)
{
	struct outlet *outlet = &copy->outlet;
	uint64_t start;
	uint64_t end;
	int ret = vhdx_known_data(&outlet->known, outlet->view, from, &start, &end);

	if (ret)
		return vhdx_fail_io(ret, outlet->s->name, from, "cannot be read");
	uint64_t part = round_down(min_u64(most, start - from), MIB);

	while (part > MIB && vhdx_salvage_is_structure(outlet->s, from, part, NULL))
		part = round_down(part / 2, MIB);
	*ret_part = part ? part : min_u64(MIB, most);
	return 0;
}

/* From @from to @end of the file, but for structures, as far as the disk goes. */
static int copy_in_order(struct copy *copy, uint64_t from, uint64_t end)
{
	struct salvage *s = copy->outlet.s;
	uint64_t disk_size = copy->image.geometry.virtual_size;
	bool lost = false;
	int ret = 0;

	while (from < end && outlet_offset(&copy->outlet) < disk_size && !ret) {
		uint64_t left = disk_size - outlet_offset(&copy->outlet);
		uint64_t part = 0;

		ret = next_part(copy, from, min_u64(end - from, left), &part);
		if (ret || vhdx_salvage_is_structure(s, from, part, &from))
			continue;
		ret = vhdx_outlet_copy(&copy->outlet, VHDX_SALVAGE_GUESSED, part, from, s->guess,
				       &lost);
		from += part;
	}
	return ret;
}

static int copy_without_bat(struct copy *copy)
{
	struct salvage *s = copy->outlet.s;
	const struct geometry *g = &copy->image.geometry;
	int ret = copy_in_order(copy, s->first_block, image_view_size(&copy->image));

	if (!ret && image_type(&copy->image) != VHDX_FIXED)
		ret = copy_in_order(copy, HEADER_SECTION_SIZE, s->first_block);
	uint64_t copied = outlet_offset(&copy->outlet);

	s->result.blocks = g->blocks;
	s->result.lost_blocks = g->blocks - copied / g->block_size;
	if (copied == g->virtual_size)
		s->result.lost_blocks = 0;
	return ret ? ret
		   : vhdx_outlet_zero(&copy->outlet, VHDX_SALVAGE_LOST, g->virtual_size - copied,
				      no_order);
}

static int run(struct copy *copy)
{
	int ret = vhdx_space_map_init(&copy->once, image_view_size(&copy->image));

	if (!ret)
		ret = vhdx_space_map_init(&copy->twice, image_view_size(&copy->image));
	if (ret)
		return ret;
	mark_structures(copy);
	ret = copy->outlet.s->has_bat ? copy_by_bat(copy) : copy_without_bat(copy);
	vhdx_salvage_map_end(&copy->outlet.map);
	return ret ? ret : vhdx_outlet_progress(&copy->outlet);
}

int vhdx_salvage_copy(struct salvage *s, struct sink *sink)
{
	auto_free uint8_t *buf = malloc(OUTLET_BUFFER);
	auto_free uint8_t *bits = malloc(MAX_BLOCK_SIZE / 512 / 8);
	struct copy copy = {
		.outlet = {.s = s,
			   .sink = sink,
			   .view = salvage_view(s),
			   .map = {.s = s},
			   .buf = buf},
		.image = s->image,
		.bits = bits,
		.chunk = UINT64_MAX,
	};

	if (!buf || !bits)
		return vhdx_fail_memory();
	copy.image.view = salvage_view(s);
	int ret = run(&copy);

	vhdx_space_map_free(&copy.once);
	vhdx_space_map_free(&copy.twice);
	return ret;
}
