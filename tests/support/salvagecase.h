/* SPDX-License-Identifier: MIT */
/* A random image that a test ruins, and what vhdx_salvage makes of it. */
#ifndef TESTS_SUPPORT_SALVAGECASE_H
#define TESTS_SUPPORT_SALVAGECASE_H

#include "support/fixture.h"
#include "support/writestore.h"

/* What a test gets: a ruined image, and what came of it. */
struct ruined {
	struct rng rng;
	struct chain chain;
	struct layer *layer;
	struct test_store store;
	struct write_store output;
	struct vhdx_salvage_options options;
	struct vhdx_salvage_result result;
	uint64_t map_end; /* of the ranges that were told */
	uint64_t bytes[VHDX_SALVAGE_LOST + 1];
	uint8_t *kinds; /* of each sector of 512 bytes */
};

/* The layer is the leaf of a chain of that style and seed. */
void ruined_make(struct ruined *r, const struct chain_style *style, uint64_t seed);
void ruined_free(struct ruined *r);

/* Over @count seeds, each an image of its own. */
void over_ruined(uint64_t count, const struct chain_style *style, void (*test)(struct ruined *r));

/* Salvages, and looks at what must always hold. Returns as vhdx_salvage_io. */
int ruined_salvage(struct ruined *r);

/* The same, where it must succeed, and find the size. */
void ruined_must_salvage(struct ruined *r);

/* The output holds the disk's bytes, but for those that are said to be lost, which are zeros. */
void ruined_check_contents(struct ruined *r);

/* The same, and nothing is lost. */
void ruined_check_whole(struct ruined *r);

/* Zeros, or anything. */
void ruined_wipe(struct ruined *r, uint64_t offset, uint64_t length);

/* Where the BAT has no entry, but the file holds data, that BAT counts as gone. */
bool ruined_has_entries(const struct ruined *r);

/* By nothing else a BAT can be told from data. */
bool ruined_has_blocks(const struct ruined *r);

/* Sectors of such blocks are the child's or the parent's: who knows? */
bool ruined_has_lost_bitmap(const struct ruined *r);

/* A disk that begins as most do: with a master boot record of one partition. Its first block is present. */
void ruined_put_partition_table(struct ruined *r);

#endif
