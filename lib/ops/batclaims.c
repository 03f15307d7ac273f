/* SPDX-License-Identifier: MIT */
/* Which entries of a damaged BAT keep the space that they name, where several name the same. */
#include <stdlib.h>

#include "ops/batclaims.h"

/* Where it shares its place with another structure, nobody knows whose bytes they are. */
static bool bat_stands_alone(const struct image *image)
{
	uint64_t offset = image->bat.file_offset;
	uint64_t length = image->geometry.entries * BAT_ENTRY_SIZE;
	unsigned met = 0;

	for (uint32_t i = 0; i < image->region_count; i++)
		met += ranges_meet(offset, length, image->regions[i].file_offset,
				   image->regions[i].length);
	return met <= 1 && offset >= HEADER_SECTION_SIZE &&
	       (image->current == NO_HEADER ||
		!ranges_meet(offset, length, image->log.offset, image->log.length));
}

/* F 4: what lies below a log that must be replayed must not be written. */
bool vhdx_bat_may_be_mended(const struct image *image)
{
	return !image->has_fault && image->known & VHDX_KNOWN_GEOMETRY &&
	       image->log_state == VHDX_LOG_CLEAN && bat_stands_alone(image);
}

/* F 6.3, F 6.4: the entry that was meant, as far as it can be told. */
static uint64_t intended_entry(const struct bat_ruling *was, bool needed)
{
	switch (was->state_fault) {
	case PROBLEM_BLOCK_STATE: /* what has space was most likely present */
		return was->offset ? bat_entry_make(BLOCK_FULLY_PRESENT, was->offset)
				   : bat_entry_make(BLOCK_NOT_PRESENT, 0);
	case PROBLEM_BLOCK_STATE_5:
		return bat_entry_make(BLOCK_UNMAPPED, was->offset);
	case PROBLEM_BLOCK_PARTIAL_ALONE:
		return bat_entry_make(BLOCK_FULLY_PRESENT, was->offset);
	case PROBLEM_BLOCK_LEFTOVER_OFFSET:
		return bat_entry_make(was->state, 0);
	case PROBLEM_BITMAP_STATE:
		return needed ? bat_entry_make(BITMAP_PRESENT, was->offset) : 0;
	case PROBLEM_BITMAP_ENTRY_ALONE:
	case PROBLEM_BITMAP_LEFTOVER_OFFSET:
		return 0;
	default:
		return bat_entry_make(was->state, was->offset);
	}
}

static enum claim_rank rank_of(const struct bat_intent *intent, bool needed)
{
	/* Of two that overlap, the one that is whole is the likelier to be right. */
	bool is_sound = !intent->is_faulty && !intent->now.place_fault;

	if (!intent->now.space)
		return CLAIM_NONE;
	if (!intent->now.present || (intent->now.kind == BAT_BITMAP && !needed))
		return CLAIM_SPARE;
	if (!is_sound)
		return CLAIM_DAMAGED;
	return intent->now.kind == BAT_BITMAP ? CLAIM_BITMAP : CLAIM_SOUND;
}

struct bat_intent vhdx_bat_intent(const struct image *image, uint64_t index, uint64_t entry,
				  bool needed)
{
	struct bat_intent intent = {.was = vhdx_bat_rule(image, index, entry)};

	intent.entry = intended_entry(&intent.was, needed);
	intent.is_faulty = intent.entry != entry;
	intent.now = intent.is_faulty ? vhdx_bat_rule(image, index, intent.entry) : intent.was;
	intent.rank = rank_of(&intent, needed);
	return intent;
}

struct intent_walk {
	const struct image *image;
	intent_visitor *visit;
	void *opaque;
	uint64_t next_chunk; /* the chunk behind the one that needed is about */
	bool needed;
};

/* A chunk's bitmap entry comes behind its blocks. */
static int visit_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct intent_walk *walk = opaque;
	uint64_t chunk = bat_chunk_of_index(&walk->image->geometry, index);

	if (chunk + 1 != walk->next_chunk)
		walk->needed = false;
	walk->next_chunk = chunk + 1;
	struct bat_intent intent = vhdx_bat_intent(walk->image, index, entry, walk->needed);

	if (intent.was.kind == BAT_PADDING)
		return 0;
	if (intent.was.kind == BAT_BLOCK)
		walk->needed |= intent.now.state == BLOCK_PARTIALLY_PRESENT;
	return walk->visit(walk->opaque, index, entry, walk->needed, &intent);
}

int vhdx_walk_intents(const struct repair *repair, const struct image *image, intent_visitor *visit,
		      void *opaque)
{
	struct intent_walk walk = {.image = image, .visit = visit, .opaque = opaque};

	return vhdx_bat_walk(image, false, visit_entry, &walk, repair->options.progress,
			     repair->options.opaque);
}

struct claiming {
	struct bat_claims *claims;
	uint64_t block_size;
	enum claim_rank rank; /* whose turn it is */
	bool counts;	      /* this is the first walk */
};

static int claim_space(void *opaque, uint64_t index, uint64_t entry, bool needed,
		       const struct bat_intent *intent)
{
	struct claiming *claiming = opaque;
	struct bat_claims *claims = claiming->claims;
	const struct bat_ruling *now = &intent->now;

	(void)entry;
	(void)needed;
	if (claiming->counts) {
		claims->counts[intent->rank]++;
		claims->any_fault |= intent->is_faulty || now->place_fault;
	}
	if (intent->rank != claiming->rank)
		return 0;
	if (!vhdx_space_map_take(&claims->space, now->offset, now->space)) {
		claims->lost[index / 64] |= (uint64_t)1 << index % 64;
		claims->any_lost = true;
	} else if (now->kind == BAT_BLOCK && now->present) {
		claims->needed_end =
			max_u64(claims->needed_end, now->offset + claiming->block_size);
	}
	return 0;
}

static int claim_all(const struct repair *repair, const struct image *image,
		     struct bat_claims *claims)
{
	/* Only a child has bitmaps: for others the first walk gives the sound blocks their space. */
	enum claim_rank first = image_has_parent(image) ? CLAIM_BITMAP : CLAIM_SOUND;
	int ret = 0;

	for (enum claim_rank rank = first; rank < CLAIM_RANKS && !ret; rank++) {
		struct claiming claiming = {claims, image->geometry.block_size, rank,
					    rank == first};

		if (rank == first || claims->counts[rank])
			ret = vhdx_walk_intents(repair, image, claim_space, &claiming);
	}
	return ret;
}

int vhdx_bat_claims_make(const struct repair *repair, const struct image *image,
			 struct bat_claims *ret_claims)
{
	struct bat_claims claims = {0};
	int ret = vhdx_space_map_init(&claims.space, image_end(image));

	if (!ret) {
		vhdx_take_fixed_space(image, &claims.space);
		/* calloc of this much takes no memory until something is lost. */
		claims.lost = calloc(image->geometry.entries / 64 + 1, sizeof(*claims.lost));
		ret = claims.lost ? claim_all(repair, image, &claims) : vhdx_fail_memory();
	}
	if (ret)
		vhdx_bat_claims_free(&claims);
	else
		*ret_claims = claims;
	return ret;
}

void vhdx_bat_claims_free(struct bat_claims *claims)
{
	free(claims->lost);
	vhdx_space_map_free(&claims->space);
	*claims = (struct bat_claims){0};
}
