/* SPDX-License-Identifier: MIT */
/* Which entries of a damaged BAT keep the space that they name, where several name the same. */
#ifndef VHDX_OPS_BATCLAIMS_H
#define VHDX_OPS_BATCLAIMS_H

#include "meta/batrules.h"
#include "ops/mend.h"

/* False while what is above the BAT is not as it should be. */
bool vhdx_bat_may_be_mended(const struct image *image);

/* In the order in which space is given: who comes later may go without. */
enum claim_rank {
	CLAIM_BITMAP,  /* a sound entry of a bitmap that a block needs */
	CLAIM_SOUND,   /* a sound entry of a present block */
	CLAIM_DAMAGED, /* an entry of either that has another fault */
	CLAIM_SPARE, /* what costs nothing: a block's former content, a bitmap that no block needs */
	CLAIM_NONE,
	CLAIM_RANKS = CLAIM_NONE,
};

/* An entry, and what it becomes if the space that it then names is its own. */
struct bat_intent {
	struct bat_ruling was;
	uint64_t entry;
	struct bat_ruling now;
	bool is_faulty; /* apart from its place */
	enum claim_rank rank;
};

/* @needed: of a bitmap's entry: a block of its chunk is PARTIALLY_PRESENT. */
struct bat_intent vhdx_bat_intent(const struct image *image, uint64_t index, uint64_t entry,
				  bool needed);

/* Told of each entry of a block or bitmap that is not zero. Another value than 0 ends the walk. */
typedef int intent_visitor(void *opaque, uint64_t index, uint64_t entry, bool needed,
			   const struct bat_intent *intent);

/* Walks over all of the BAT. */
int vhdx_walk_intents(const struct repair *repair, const struct image *image, intent_visitor *visit,
		      void *opaque);

struct bat_claims {
	struct space_map space;
	uint64_t *lost; /* a bit an entry: the space that it names is another's */
	bool any_lost;
	bool any_fault; /* of an entry, or of a place */
	uint64_t counts[CLAIM_RANKS + 1];
	uint64_t needed_end; /* of the space of present blocks: may lie behind the file's end */
};

/* A bit a MiB of the file, and one an entry, where they are used. -ENOMEM, or as the storage fails. */
int vhdx_bat_claims_make(const struct repair *repair, const struct image *image,
			 struct bat_claims *ret_claims);

void vhdx_bat_claims_free(struct bat_claims *claims);

static inline bool claim_is_lost(const struct bat_claims *claims, uint64_t index)
{
	return claims->lost[index / 64] >> index % 64 & 1;
}

#endif
