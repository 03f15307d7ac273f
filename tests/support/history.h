/* SPDX-License-Identifier: MIT */
/*
 * When threads wrote each sector of a disk, and so what a read beside them may find. A sector has one
 * writer; blocks are cleared by anyone.
 */
#ifndef TESTS_SUPPORT_HISTORY_H
#define TESTS_SUPPORT_HISTORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct history_sector;
struct history_block;

struct history {
	pthread_mutex_t lock;
	uint64_t clock; /* counts beginnings and ends */
	uint64_t sectors_per_block;
	uint32_t sector_size;
	bool has_parent; /* what nobody wrote or cleared is the parent's, not zeros */
	struct history_sector *sectors;
	struct history_block *blocks;
	uint64_t block_count;
};

/* What was known of a sector when a read of it began. */
struct history_look {
	uint64_t written;    /* the last completed write's number */
	uint64_t must_clear; /* the beginning of the last clear that was over, and left nothing */
};

void history_init(struct history *history, uint64_t blocks, uint64_t sectors_per_block,
		  uint32_t sector_size, bool has_parent);
void history_free(struct history *history);

/* Fills @ret_buf with what the writer is to write to @count sectors. */
void history_begin_write(struct history *history, unsigned writer, uint64_t first, uint64_t count,
			 void *ret_buf);
void history_end_write(struct history *history, uint64_t first, uint64_t count);

/* @strictly: every sector of the block became zeros; else each did or stayed. */
void history_begin_clear(struct history *history, uint64_t block);
void history_end_clear(struct history *history, uint64_t block, bool strictly);

void history_begin_read(struct history *history, uint64_t first, uint64_t count,
			struct history_look *ret_look);

/* Whether each sector is what it may be. */
bool history_end_read(struct history *history, uint64_t first, uint64_t count,
		      const struct history_look *look, const void *buf);

/* What the parent holds. */
void history_fill_parent(const struct history *history, uint64_t first, uint64_t count,
			 void *ret_buf);

#endif
