/* SPDX-License-Identifier: MIT */
/* What a guest must find in a test image, by the rules of F 6 and F 7. */
#include "support/image.h"

/* The first listed block from @number on. */
static size_t lower_bound(const struct layer *layer, uint64_t number)
{
	size_t low = 0;
	size_t high = layer->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (layer->list[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct layer_block *layer_find_block(const struct layer *layer, uint64_t number)
{
	size_t at = lower_bound(layer, number);

	return at < layer->count && layer->list[at].number == number ? &layer->list[at] : NULL;
}

uint64_t layer_bat_index(const struct layer *layer, uint64_t block)
{
	return block + block / layer->chunk_ratio;
}

uint64_t layer_bitmap_index(const struct layer *layer, uint64_t chunk)
{
	return chunk * (layer->chunk_ratio + 1) + layer->chunk_ratio;
}

bool layer_bit(const struct layer *layer, uint64_t sector)
{
	uint64_t chunk = sector >> 23;
	uint64_t bit = sector & (((uint64_t)1 << 23) - 1);

	for (size_t i = 0; i < layer->bitmap_count; i++)
		if (layer->bitmaps[i].chunk == chunk) {
			uint8_t byte;

			sparse_read(&layer->final, &byte, 1, layer->bitmaps[i].offset + bit / 8);
			return byte >> bit % 8 & 1;
		}
	return false;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Up to the next block that is listed, or the end of the disk. */
static uint64_t rest_of_gap(const struct layer *layer, uint64_t offset)
{
	size_t at = lower_bound(layer, offset / layer->block_size + 1);
	uint64_t end = at < layer->count ? layer->list[at].number * layer->block_size
					 : layer->virtual_size;

	return end - offset;
}

/* A piece of one layer, at most to the end of the block unless that is NOT_PRESENT. */
static struct piece_of_disk layer_piece(const struct layer *layer, uint64_t offset)
{
	uint64_t number = offset / layer->block_size;
	uint64_t in_block = offset % layer->block_size;
	uint64_t rest = min(layer->block_size - in_block, layer->virtual_size - offset);
	const struct layer_block *block = layer_find_block(layer, number);
	unsigned state = block ? block->state : 0;

	if (state == 0)
		return (struct piece_of_disk){.type = PIECE_PARENT,
					      .length = block ? rest : rest_of_gap(layer, offset)};
	if (state < 6)
		return (struct piece_of_disk){.type = PIECE_ZERO, .length = rest};
	if (state == 7 && layer->has_parent) {
		rest = min(rest, layer->sector_size - offset % layer->sector_size);
		if (!layer_bit(layer, offset / layer->sector_size))
			return (struct piece_of_disk){.type = PIECE_PARENT, .length = rest};
	}
	uint64_t place = block->offset + in_block;

	if (place >= layer->final.size)
		return (struct piece_of_disk){.type = PIECE_ZERO, .length = rest};
	return (struct piece_of_disk){
		.type = PIECE_DATA,
		.file_offset = place,
		.length = min(rest, layer->final.size - place),
	};
}

struct piece_of_disk chain_piece(const struct chain *chain, uint64_t offset, bool this_layer,
				 bool alone)
{
	struct piece_of_disk piece = {.type = PIECE_PARENT, .length = UINT64_MAX};
	unsigned last = alone ? 0 : chain->depth - 1;
	uint64_t length = UINT64_MAX;

	for (unsigned depth = 0;; depth++) {
		const struct layer *layer = &chain->layers[depth];

		if (offset >= layer->virtual_size) {
			piece.type = PIECE_ABSENT;
		} else {
			piece = layer_piece(layer, offset);
			length = min(length, piece.length);
			if (piece.type == PIECE_PARENT && !(this_layer && layer->has_parent) &&
			    depth == last)
				piece.type = PIECE_ABSENT;
		}
		if (piece.type != PIECE_PARENT || this_layer) {
			piece.depth = depth;
			piece.length = length;
			return piece;
		}
	}
}

static void compose_partial(const struct layer *layer, const struct layer_block *block,
			    struct sparse *guest)
{
	uint64_t start = block->number * layer->block_size;
	uint64_t end = min(start + layer->block_size, layer->virtual_size);

	while (start < end) {
		uint64_t run = start;

		while (run < end && layer_bit(layer, run / layer->sector_size))
			run += layer->sector_size;
		if (run > start)
			sparse_copy(guest, start, &layer->final,
				    block->offset + start % layer->block_size, run - start);
		else
			run = start + layer->sector_size;
		start = run;
	}
}

void layer_compose(const struct layer *layer, struct sparse *guest)
{
	if (!layer->has_parent)
		sparse_resize(guest, 0);
	sparse_resize(guest, layer->virtual_size);
	for (size_t i = 0; i < layer->count; i++) {
		const struct layer_block *block = &layer->list[i];
		uint64_t start = block->number * layer->block_size;
		uint64_t length = min(layer->block_size, layer->virtual_size - start);

		if (block->state == 7 && layer->has_parent)
			compose_partial(layer, block, guest);
		else if (block->state >= 6)
			sparse_copy(guest, start, &layer->final, block->offset, length);
		else if (block->state)
			sparse_zero(guest, start, length);
	}
	sparse_resize(guest, layer->virtual_size);
}
