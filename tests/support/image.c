/* SPDX-License-Identifier: MIT */
/* Random test images: what their blocks are, where everything lies in the file, and the blocks' contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/image.h"

#define MOST_BLOCKS 80

enum object_kind {
	OBJECT_LOG,
	OBJECT_BAT,
	OBJECT_METADATA,
	OBJECT_UNKNOWN,
	OBJECT_BLOCK,
	OBJECT_BITMAP,
};

/* Something that has space in the file. */
struct object {
	enum object_kind kind;
	size_t index;
	uint64_t length;
};

static uint64_t div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static void set_geometry(struct layer *layer)
{
	layer->blocks = div_up(layer->virtual_size, layer->block_size);
	layer->chunk_ratio = ((uint64_t)1 << 23) * layer->sector_size / layer->block_size;
	layer->chunks = div_up(layer->blocks, layer->chunk_ratio);
	layer->bat_entries = layer->has_parent
				     ? layer->chunks * (layer->chunk_ratio + 1)
				     : layer->blocks + (layer->blocks - 1) / layer->chunk_ratio;
}

static void choose_size(struct rng *rng, const struct chain_style *style, struct layer *layer,
			uint64_t like)
{
	uint64_t limit = style->huge ? 8 * T_TIB : style->small_blocks ? 12 * T_MIB : 64 * T_MIB;
	unsigned most = style->small_blocks ? 1 : style->huge ? 6 : 5;

	layer->block_size = (uint32_t)(T_MIB << rng_below(rng, most + 1));
	if (!style->small_blocks && !style->huge && rng_chance(rng, 5))
		layer->block_size = 256 * T_MIB;
	if (like && rng_chance(rng, 75))
		layer->virtual_size = like;
	else if (style->huge)
		layer->virtual_size = rng_between(rng, T_TIB, limit);
	else
		layer->virtual_size = rng_chance(rng, 10) ? rng_length(rng, limit)
							  : rng_between(rng, T_MIB, limit);
	if (rng_chance(rng, 30)) /* the block's or the MiB's multiple, as is usual */
		layer->virtual_size = div_up(layer->virtual_size, T_MIB) * T_MIB;
	layer->virtual_size = div_up(layer->virtual_size, layer->sector_size) * layer->sector_size;
	set_geometry(layer);
}

static unsigned choose_state(struct rng *rng, const struct chain_style *style,
			     const struct layer *layer)
{
	static const uint8_t plain[] = {1, 2, 2, 3, 6, 6, 6, 6};
	static const uint8_t child[] = {1, 2, 3, 6, 6, 7, 7, 7, 7};

	if (layer->is_fixed)
		return rng_chance(rng, 95) ? 6 : 2;
	if (!style->tidy && rng_chance(rng, 3))
		return rng_chance(rng, 50) ? 5 : 7;
	return layer->has_parent ? child[rng_below(rng, sizeof(child))]
				 : plain[rng_below(rng, sizeof(plain))];
}

static void add_block(struct rng *rng, const struct chain_style *style, struct layer *layer,
		      uint64_t number)
{
	struct layer_block block = {.number = number, .state = choose_state(rng, style, layer)};

	block.owns_space = block.state >= 6 ||
			   ((block.state == 1 || block.state == 3) && rng_chance(rng, 50));
	if (!style->tidy && rng_chance(rng, 3) &&
	    !layer->is_fixed) { /* NOT_PRESENT with an offset: ignored */
		block.state = 0;
		block.owns_space = true;
	}
	layer->list[layer->count++] = block;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Few blocks of many: around the ends, the edges of chunks and of BAT pages, and anywhere. */
static void choose_scattered(struct rng *rng, const struct chain_style *style, struct layer *layer)
{
	uint64_t numbers[24];
	size_t count = 0;

	numbers[count++] = 0;
	numbers[count++] = layer->blocks - 1;
	while (count < 22) {
		uint64_t chunk = rng_below(rng, layer->chunks);
		uint64_t at = rng_chance(rng, 40)   ? rng_below(rng, layer->blocks)
			      : rng_chance(rng, 50) ? chunk * layer->chunk_ratio
						    : rng_below(rng, layer->blocks) / 512 * 512;

		if (rng_chance(rng, 40) && at)
			at--;
		numbers[count++] = at < layer->blocks ? at : 0;
	}
	qsort(numbers, count, sizeof(numbers[0]), compare_numbers);
	for (size_t i = 0; i < count; i++)
		if (!i || numbers[i] != numbers[i - 1])
			add_block(rng, style, layer, numbers[i]);
}

static void choose_blocks(struct rng *rng, const struct chain_style *style, struct layer *layer)
{
	unsigned percent = (unsigned)rng_below(rng, 3) * 40 + 15;

	layer->list = calloc(MOST_BLOCKS, sizeof(*layer->list));
	if (layer->blocks > MOST_BLOCKS) {
		choose_scattered(rng, style, layer);
		return;
	}
	for (uint64_t i = 0; i < layer->blocks; i++)
		if (layer->is_fixed || rng_chance(rng, percent))
			add_block(rng, style, layer, i);
}

/* A bitmap where a block needs it, and sometimes where none does. */
static void choose_bitmaps(struct rng *rng, struct layer *layer)
{
	layer->bitmaps = calloc(layer->count + 1, sizeof(*layer->bitmaps));
	for (size_t i = 0; i < layer->count && layer->has_parent; i++) {
		uint64_t chunk = layer->list[i].number / layer->chunk_ratio;
		bool known = layer->bitmap_count &&
			     layer->bitmaps[layer->bitmap_count - 1].chunk == chunk;

		if (!known && (layer->list[i].state == 7 || rng_chance(rng, 10)))
			layer->bitmaps[layer->bitmap_count++].chunk = chunk;
	}
}

static size_t list_objects(struct rng *rng, struct layer *layer, struct object *objects)
{
	size_t n = 0;

	layer->log.length = T_MIB * (rng_chance(rng, 85) ? 1 : rng_between(rng, 2, 3));
	layer->bat.length =
		div_up(layer->bat_entries * 8, T_MIB) * T_MIB + (rng_chance(rng, 10) ? T_MIB : 0);
	layer->metadata.length = T_MIB * rng_between(rng, 1, 2);
	layer->unknown.length = rng_chance(rng, 15) ? T_MIB : 0;
	objects[n++] = (struct object){OBJECT_LOG, 0, layer->log.length};
	objects[n++] = (struct object){OBJECT_BAT, 0, layer->bat.length};
	objects[n++] = (struct object){OBJECT_METADATA, 0, layer->metadata.length};
	if (layer->unknown.length)
		objects[n++] = (struct object){OBJECT_UNKNOWN, 0, layer->unknown.length};
	for (size_t i = 0; i < layer->count; i++)
		if (layer->list[i].owns_space)
			objects[n++] = (struct object){OBJECT_BLOCK, i, layer->block_size};
	for (size_t i = 0; i < layer->bitmap_count; i++)
		objects[n++] = (struct object){OBJECT_BITMAP, i, T_MIB};
	return n;
}

static void place(struct layer *layer, const struct object *object, uint64_t offset)
{
	switch (object->kind) {
	case OBJECT_LOG:
		layer->log.offset = offset;
		break;
	case OBJECT_BAT:
		layer->bat.offset = offset;
		break;
	case OBJECT_METADATA:
		layer->metadata.offset = offset;
		break;
	case OBJECT_UNKNOWN:
		layer->unknown.offset = offset;
		break;
	case OBJECT_BLOCK:
		layer->list[object->index].offset = offset;
		break;
	case OBJECT_BITMAP:
		layer->bitmaps[object->index].offset = offset;
		break;
	}
}

/* Everything in any order, with gaps; a fixed disk's blocks in their own. */
static void lay_out(struct rng *rng, const struct chain_style *style, struct layer *layer)
{
	struct object *objects = calloc(2 * layer->count + 8, sizeof(*objects));
	size_t n = list_objects(rng, layer, objects);
	uint64_t at = T_MIB;

	for (size_t i = n; i-- > 1 && !layer->is_fixed;) {
		size_t j = rng_below(rng, i + 1);
		struct object other = objects[i];

		objects[i] = objects[j];
		objects[j] = other;
	}
	for (size_t i = 0; i < n; i++) {
		if (!layer->is_fixed && rng_chance(rng, 15))
			at += T_MIB * rng_between(rng, 1, 3);
		if (style->huge && rng_chance(rng, 5))
			at += T_GIB * rng_between(rng, 1, 900);
		place(layer, &objects[i], at);
		at += objects[i].length;
	}
	layer->data_end = at;
	sparse_resize(&layer->file, at);
	free(objects);
}

/* Random bytes at random places, between [@offset, @offset + @length). */
static void scatter(struct rng *rng, struct layer *layer, struct area area, unsigned count)
{
	uint8_t bytes[16384];

	for (unsigned i = 0; i < count; i++) {
		uint64_t length =
			rng_length(rng, area.length < sizeof(bytes) ? area.length : sizeof(bytes));
		uint64_t at = rng_below(rng, area.length - length + 1);

		if (rng_chance(rng, 15))
			at = 0;
		if (rng_chance(rng, 15))
			at = area.length - length;
		rng_fill(rng, bytes, length);
		sparse_write(&layer->file, bytes, length, area.offset + at);
	}
}

static void write_bits(struct sparse *file, uint64_t bitmap, uint64_t bit, uint64_t count,
		       bool value)
{
	uint64_t end = bit + count;

	while (bit < end) {
		uint64_t byte = bit / 8;
		uint8_t mask = 0;
		uint8_t old;

		for (; bit / 8 == byte && bit < end; bit++)
			mask = (uint8_t)(mask | 1 << bit % 8);
		sparse_read(file, &old, 1, bitmap + byte);
		old = value ? old | mask : old & (uint8_t)~mask;
		sparse_write(file, &old, 1, bitmap + byte);
	}
}

/* Runs of random length over a block's bits, with something of both to tell apart at each edge. */
static void write_runs(struct rng *rng, struct layer *layer, const struct layer_block *block,
		       uint64_t bitmap)
{
	uint64_t sectors = layer->block_size / layer->sector_size;
	uint64_t first = block->number % layer->chunk_ratio * sectors;
	bool value = rng_chance(rng, 50);
	unsigned edges = 0;
	uint64_t run;

	for (uint64_t at = 0; at < sectors; at += run, value = !value) {
		run = rng_length(rng, rng_chance(rng, 30) ? sectors : sectors / 16 + 1);
		if (edges >= 64 || at + run > sectors)
			run = sectors - at;
		write_bits(&layer->file, bitmap, first + at, run, value);
		uint64_t edge = block->offset + at * layer->sector_size;

		if (edges++ < 12 && block->owns_space)
			scatter(rng, layer, (struct area){edge - (at ? 512 : 0), at ? 1024 : 512},
				1);
	}
}

/* A block that was there once, and is NOT_PRESENT now, may have left its bits behind. */
static void write_leftover_bits(const struct rng *rng, struct layer *layer, uint64_t chunk,
				uint64_t bitmap)
{
	struct rng own = *rng; /* the rest of the image stays as it was */
	uint64_t sectors = layer->block_size / layer->sector_size;
	uint64_t first = chunk * layer->chunk_ratio;
	uint64_t end = first + layer->chunk_ratio < layer->blocks ? first + layer->chunk_ratio
								  : layer->blocks;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t block = rng_between(&own, first, end - 1);

		if (!layer_find_block(layer, block))
			write_bits(&layer->file, bitmap,
				   block % layer->chunk_ratio * sectors +
					   rng_below(&own, sectors / 2),
				   sectors / 2, true);
	}
}

/* Bits mean something for PARTIALLY_PRESENT blocks; the others have stale ones (F 7). */
static void write_bitmaps(struct rng *rng, struct layer *layer)
{
	for (size_t i = 0; i < layer->bitmap_count; i++)
		sparse_zero(&layer->file, layer->bitmaps[i].offset, T_MIB);
	for (size_t b = 0; b < layer->count; b++)
		for (size_t i = 0; i < layer->bitmap_count; i++)
			if (layer->bitmaps[i].chunk == layer->list[b].number / layer->chunk_ratio &&
			    (layer->list[b].state == 7 || rng_chance(rng, 40)))
				write_runs(rng, layer, &layer->list[b], layer->bitmaps[i].offset);
	for (size_t i = 0; i < layer->bitmap_count; i++)
		write_leftover_bits(rng, layer, layer->bitmaps[i].chunk, layer->bitmaps[i].offset);
}

static void write_entry(struct layer *layer, uint64_t index, uint64_t value)
{
	uint8_t bytes[8];

	put_number(bytes, value, 8);
	sparse_write(&layer->file, bytes, 8, layer->bat.offset + 8 * index);
}

static void write_bat(struct rng *rng, const struct chain_style *style, struct layer *layer)
{
	uint64_t padding = layer->bat_entries * 8;

	sparse_zero(&layer->file, layer->bat.offset, style->tidy ? layer->bat.length : padding);
	for (size_t i = 0; i < layer->count; i++) {
		const struct layer_block *block = &layer->list[i];
		uint64_t reserved =
			!style->tidy && rng_chance(rng, 3) ? rng_below(rng, 0x20000) << 3 : 0;
		uint64_t leftover =
			!style->tidy && block->state == 2 && rng_chance(rng, 10) ? 7 * T_MIB : 0;

		write_entry(layer, layer_bat_index(layer, block->number),
			    block->state | reserved |
				    (block->owns_space ? block->offset : leftover));
	}
	for (size_t i = 0; i < layer->bitmap_count; i++)
		write_entry(layer, layer_bitmap_index(layer, layer->bitmaps[i].chunk),
			    layer->bitmaps[i].offset | 6);
	/* Disks without a parent have no bitmaps: whatever stands there is ignored. */
	if (!style->tidy && !layer->has_parent && layer->blocks > layer->chunk_ratio &&
	    rng_chance(rng, 20))
		write_entry(layer, layer_bitmap_index(layer, 0), 3 * T_MIB | 6);
}

static void write_contents(struct rng *rng, const struct chain_style *style, struct layer *layer)
{
	uint64_t span = layer->data_end - T_MIB;

	scatter(rng, layer, (struct area){T_MIB, span}, style->tidy ? 8 : 40);
	for (size_t i = 0; i < layer->count; i++)
		if (layer->list[i].owns_space)
			scatter(rng, layer, (struct area){layer->list[i].offset, layer->block_size},
				(unsigned)rng_between(rng, 1, 6));
	write_bitmaps(rng, layer);
	write_bat(rng, style, layer);
}

/* Where the file's last structure is a present block, the file may end inside it (F 6.2). */
static void cut_short(struct rng *rng, struct layer *layer)
{
	for (size_t i = 0; i < layer->count; i++) {
		const struct layer_block *block = &layer->list[i];

		if (block->owns_space && block->offset + layer->block_size == layer->data_end)
			sparse_resize(&layer->file,
				      block->offset + rng_between(rng, 1, layer->block_size));
	}
}

static void make_layer(struct rng *rng, const struct chain_style *style, struct layer *layer,
		       const struct layer *parent)
{
	layer->has_parent = parent;
	layer->sector_size = parent ? parent->sector_size : rng_chance(rng, 75) ? 512 : 4096;
	layer->physical_sector_size = rng_chance(rng, 80) ? 4096 : 512;
	choose_size(rng, style, layer, parent ? parent->virtual_size : 0);
	layer->is_fixed = !parent && !style->huge && rng_chance(rng, 15) &&
			  layer->blocks <= MOST_BLOCKS;
	choose_blocks(rng, style, layer);
	choose_bitmaps(rng, layer);
	lay_out(rng, style, layer);
	write_contents(rng, style, layer);
	if (!style->tidy && rng_chance(rng, 10))
		cut_short(rng, layer);
	else if (rng_chance(rng, 20))
		sparse_resize(&layer->file, layer->data_end + T_MIB * rng_between(rng, 1, 4));
	layer_write_metadata(rng, style, layer, parent);
	sparse_copy(&layer->final, 0, &layer->file, 0, layer->file.size);
	sparse_resize(&layer->final, layer->file.size);
	if (rng_chance(rng, 45))
		layer_make_dirty(rng, layer);
	layer_write_headers(rng, style, layer);
}

void chain_make(struct rng *rng, const struct chain_style *style, struct chain *ret_chain)
{
	struct chain *chain = ret_chain;

	memset(chain, 0, sizeof(*chain));
	chain->depth = (unsigned)rng_between(rng, 1, style->max_depth);
	for (unsigned i = chain->depth; i-- > 0;) {
		struct layer *layer = &chain->layers[i];

		snprintf(layer->name, sizeof(layer->name), "layer%u.vhdx", i);
		make_layer(rng, style, layer, i + 1 < chain->depth ? layer + 1 : NULL);
		layer_compose(layer, &chain->guest);
	}
	struct layer alone = chain->layers[0];

	if (alone.has_parent)
		layer_compose(&alone, &chain->guest_alone);
	else
		sparse_copy(&chain->guest_alone, 0, &chain->guest, 0, chain->guest.size);
	sparse_resize(&chain->guest_alone, alone.virtual_size);
}

void chain_free(struct chain *chain)
{
	for (unsigned i = 0; i < chain->depth; i++) {
		sparse_free(&chain->layers[i].file);
		sparse_free(&chain->layers[i].final);
		free(chain->layers[i].list);
		free(chain->layers[i].bitmaps);
	}
	sparse_free(&chain->guest);
	sparse_free(&chain->guest_alone);
	memset(chain, 0, sizeof(*chain));
}

uint64_t chain_make_until(unsigned max_depth, bool (*suits)(const struct chain *chain),
			  struct chain *chain)
{
	const struct chain_style style = {
		.max_depth = max_depth, .tidy = true, .small_blocks = true};

	for (uint64_t seed = 1;; seed++) {
		struct rng rng = rng_make(seed);

		chain_free(chain);
		chain_make(&rng, &style, chain);
		if (suits(chain))
			return seed;
	}
}
