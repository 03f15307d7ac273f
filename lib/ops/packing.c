/* SPDX-License-Identifier: MIT */
/*
 * How short a file becomes when what lies at its end moves into the free space before it. Structures are
 * taken from the end, one after the other, as long as what is free before them holds them all.
 */
#include "ops/packing.h"

/* What has to move when the file shall end at @floor or little behind it, and what is free before that. */
struct search {
	const struct packing *packing;
	uint64_t block_size;
	struct packed packed;
	uint64_t floor;	    /* the end of the structures that stay ... */
	uint64_t ceiling;   /* ... and where the first begins that does not */
	uint64_t free;	    /* bytes before the floor */
	uint64_t slots;	    /* payload blocks that they hold */
	uint64_t bat_place; /* the free run before the floor that the BAT moves to ... */
	uint64_t bat_run;   /* ... and its length; 0: it does not move, or there is none */
};

int vhdx_packing_begin(struct packing *packing, const struct image *image, struct space_map *taken)
{
	*packing = (struct packing){.image = image, .taken = *taken};
	*taken = (struct space_map){0};
	return vhdx_space_map_init(&packing->blocks, packing->taken.mebibytes * MIB);
}

void vhdx_packing_end(struct packing *packing)
{
	vhdx_space_map_free(&packing->taken);
	vhdx_space_map_free(&packing->blocks);
}

void vhdx_packing_add_block(struct packing *packing, uint64_t file_offset)
{
	vhdx_space_map_mark(&packing->blocks, file_offset, MIB, NULL);
}

void vhdx_packing_remove(struct packing *packing, uint64_t file_offset, uint64_t length)
{
	vhdx_space_map_clear(&packing->taken, file_offset, length);
}

/* The first free run at or after @offset; *ret_length is 0 when there is none before @end. */
static uint64_t find_free(const struct search *search, uint64_t offset, uint64_t end,
			  uint64_t *ret_length)
{
	const struct space_map *taken = &search->packing->taken;
	uint64_t start = vhdx_space_map_find(taken, offset, false);

	*ret_length = start < end ? min_u64(end, vhdx_space_map_find(taken, start, true)) - start
				  : 0;
	return start;
}

static void count_free(struct search *search)
{
	uint64_t length;
	uint64_t at = find_free(search, 0, search->floor, &length);

	while (length) {
		search->free += length;
		search->slots += length / search->block_size;
		at = find_free(search, at + length, search->floor, &length);
	}
}

static bool is_fixed(const struct image *image, uint64_t offset)
{
	if (offset < HEADER_SECTION_SIZE ||
	    ranges_meet(offset, MIB, image->log.offset, image->log.length))
		return true;
	for (uint32_t i = 0; i < image->region_count; i++)
		if (ranges_meet(offset, MIB, image->regions[i].file_offset,
				image->regions[i].length))
			return true;
	return false;
}

static bool is_bat(const struct image *image, uint64_t offset)
{
	return ranges_meet(offset, MIB, image->bat.file_offset, image->bat.length);
}

/* Where the payload block begins whose last MiB is at @last; UINT64_MAX when none has its end there. */
static uint64_t find_block(const struct search *search, uint64_t last)
{
	uint64_t first = last + MIB - min_u64(last + MIB, search->block_size);
	uint64_t start = vhdx_space_map_find(&search->packing->blocks, first, true);

	return start == first ? start : UINT64_MAX;
}

/* Where the structures before @offset end. */
static uint64_t find_end(const struct search *search, uint64_t offset)
{
	const struct space_map *taken = &search->packing->taken;
	uint64_t word = offset / MIB / 64;
	uint64_t bits = taken->words[word] & (((uint64_t)1 << offset / MIB % 64) - 1);

	while (!bits && word)
		bits = taken->words[--word];
	return bits ? (word * 64 + 64 - (uint64_t)__builtin_clzll(bits)) * MIB : 0;
}

/* Payload blocks for which a free run has no room any more when the BAT moves there. */
static uint64_t slots_for_bat(const struct search *search)
{
	uint64_t rest = search->bat_run - packing_bat_length(search->packing->image);

	return search->bat_run / search->block_size - rest / search->block_size;
}

/* The lowest free run that holds the BAT becomes its place, and what it leaves of that stays free. */
static void place_bat(struct search *search)
{
	uint64_t needed = packing_bat_length(search->packing->image);
	uint64_t length;
	uint64_t at = find_free(search, 0, search->floor, &length);

	search->packed.bat = true;
	while (length && length < needed)
		at = find_free(search, at + length, search->floor, &length);
	if (!length)
		return;
	search->bat_place = at;
	search->bat_run = length;
	search->free -= needed;
	search->slots -= slots_for_bat(search);
}

/* That run lies behind the floor now, and no lower one is long enough. */
static void displace_bat(struct search *search)
{
	search->free += packing_bat_length(search->packing->image);
	search->slots += slots_for_bat(search);
	search->bat_run = 0;
}

/* The structures that stay end before @ceiling now, where one begins that does not. */
static void lower(struct search *search, uint64_t ceiling)
{
	uint64_t floor = find_end(search, ceiling);

	if (search->bat_run && search->bat_place >= floor)
		displace_bat(search);
	search->free -= ceiling - floor;
	search->slots -= (ceiling - floor) / search->block_size;
	search->floor = floor;
	search->ceiling = ceiling;
}

/* The last structure that stayed so far has to move. False when it cannot. */
static bool take_last(struct search *search)
{
	const struct image *image = search->packing->image;
	uint64_t last = search->floor - MIB;
	uint64_t block = find_block(search, last);

	if (is_bat(image, last)) {
		lower(search, image->bat.file_offset);
		place_bat(search);
	} else if (is_fixed(image, last)) {
		return false;
	} else if (block != UINT64_MAX) {
		lower(search, block);
		search->packed.blocks++;
	} else {
		lower(search, last);
		search->packed.bitmaps++;
	}
	return true;
}

/*
 * Where the file ends when all that has to move lies in free space, and behind the floor what finds none.
 * Bitmap blocks go to whatever the payload blocks leave: they fit everywhere.
 */
static uint64_t end_of_moved(const struct search *search)
{
	const struct packed *packed = &search->packed;
	uint64_t blocks = min_u64(packed->blocks, search->slots);
	uint64_t left = (search->free - blocks * search->block_size) / BITMAP_BLOCK_SIZE;
	uint64_t end = search->floor + (packed->blocks - blocks) * search->block_size;

	if (packed->bat && !search->bat_run)
		end += packing_bat_length(search->packing->image);
	return end + (packed->bitmaps - min_u64(packed->bitmaps, left)) * BITMAP_BLOCK_SIZE;
}

/* What moves behind the floor must not reach what it comes from: that stays as it is until the move is durable. */
struct packed vhdx_packing_plan(const struct packing *packing)
{
	struct search search = {
		.packing = packing,
		.block_size = packing->image->geometry.block_size,
		.floor = vhdx_space_map_end(&packing->taken),
	};
	struct packed best = {.end = search.floor};

	count_free(&search);
	while (best.end == search.floor && take_last(&search)) {
		uint64_t end = end_of_moved(&search);

		if (end > search.ceiling)
			break;
		best = search.packed;
		best.end = end;
	}
	return best;
}
