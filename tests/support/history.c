/* SPDX-License-Identifier: MIT */
/* When threads wrote each sector of a disk, and so what a read beside them may find. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/history.h"

/* Times are those of the history's clock; 0: never. */
struct history_sector {
	uint64_t begun;	    /* number of the last write that began: the time of its beginning */
	uint64_t completed; /* of the last one that is over ... */
	uint64_t end;	    /* ... and when that was */
	unsigned writer;
};

struct history_block {
	unsigned clearing;   /* clears under way */
	uint64_t cleared;    /* end of the last one that is over */
	uint64_t must_clear; /* beginning of the last strict one that is over */
};

#define PARENT 255u

void history_init(struct history *history, uint64_t blocks, uint64_t sectors_per_block,
		  uint32_t sector_size, bool has_parent)
{
	*history = (struct history){
		.sectors_per_block = sectors_per_block,
		.sector_size = sector_size,
		.has_parent = has_parent,
		.sectors = calloc(blocks * sectors_per_block, sizeof(struct history_sector)),
		.blocks = calloc(blocks, sizeof(struct history_block)),
		.block_count = blocks,
	};
	if (!history->sectors || !history->blocks)
		abort();
	pthread_mutex_init(&history->lock, NULL);
}

void history_free(struct history *history)
{
	free(history->sectors);
	free(history->blocks);
	pthread_mutex_destroy(&history->lock);
}

/* The contents of a sector: its own number, who wrote it, which write it was, and words made of those. */
static void fill(const struct history *history, uint64_t sector, unsigned writer, uint64_t number,
		 uint8_t *buf)
{
	uint64_t words[3] = {sector, writer, number};
	uint64_t word = (sector + 1) * 0x9e3779b97f4a7c15 ^ number << 20 ^ writer;

	memcpy(buf, words, sizeof(words));
	for (uint32_t at = sizeof(words); at < history->sector_size; at += 8, word += sector | 1)
		memcpy(buf + at, &word, 8);
}

static bool is_whole(const struct history *history, uint64_t sector, unsigned writer,
		     uint64_t number, const uint8_t *buf)
{
	uint8_t expected[4096];

	fill(history, sector, writer, number, expected);
	return !memcmp(buf, expected, history->sector_size);
}

static bool is_zero(const uint8_t *buf, uint32_t size)
{
	return !buf[0] && !memcmp(buf, buf + 1, size - 1);
}

void history_fill_parent(const struct history *history, uint64_t first, uint64_t count,
			 void *ret_buf)
{
	for (uint64_t i = 0; i < count; i++)
		fill(history, first + i, PARENT, 0, (uint8_t *)ret_buf + i * history->sector_size);
}

void history_begin_write(struct history *history, unsigned writer, uint64_t first, uint64_t count,
			 void *ret_buf)
{
	pthread_mutex_lock(&history->lock);
	uint64_t now = ++history->clock;

	for (uint64_t i = 0; i < count; i++) {
		history->sectors[first + i].begun = now;
		history->sectors[first + i].writer = writer;
	}
	pthread_mutex_unlock(&history->lock);
	for (uint64_t i = 0; i < count; i++)
		fill(history, first + i, writer, now,
		     (uint8_t *)ret_buf + i * history->sector_size);
}

void history_end_write(struct history *history, uint64_t first, uint64_t count)
{
	pthread_mutex_lock(&history->lock);
	uint64_t now = ++history->clock;

	for (uint64_t i = 0; i < count; i++) {
		struct history_sector *sector = &history->sectors[first + i];

		sector->completed = sector->begun;
		sector->end = now;
	}
	pthread_mutex_unlock(&history->lock);
}

/* Clears of one block may overlap: each thread keeps the beginning of its own. */
static _Thread_local uint64_t clear_began;

void history_begin_clear(struct history *history, uint64_t block)
{
	pthread_mutex_lock(&history->lock);
	clear_began = ++history->clock;
	history->blocks[block].clearing++;
	pthread_mutex_unlock(&history->lock);
}

void history_end_clear(struct history *history, uint64_t block, bool strictly)
{
	struct history_block *of = &history->blocks[block];

	pthread_mutex_lock(&history->lock);
	of->clearing--;
	of->cleared = ++history->clock;
	if (strictly && of->must_clear < clear_began)
		of->must_clear = clear_began;
	pthread_mutex_unlock(&history->lock);
}

void history_begin_read(struct history *history, uint64_t first, uint64_t count,
			struct history_look *ret_look)
{
	pthread_mutex_lock(&history->lock);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t block = (first + i) / history->sectors_per_block;

		ret_look[i] = (struct history_look){
			.written = history->sectors[first + i].completed,
			.must_clear = history->blocks[block].must_clear,
		};
	}
	pthread_mutex_unlock(&history->lock);
}

/* Zeros: nobody ever wrote, or a clear was not over when the last completed write began. */
static bool may_be_zero(const struct history *history, uint64_t at, const struct history_look *look)
{
	const struct history_block *block = &history->blocks[at / history->sectors_per_block];

	if (block->clearing || block->cleared > look->written)
		return true;
	return !look->written && !history->has_parent;
}

/* Nothing older than the last completed write, and nothing that was over before a strict clear began. */
static bool may_be_write(const struct history *history, uint64_t at,
			 const struct history_look *look, uint64_t number)
{
	const struct history_sector *sector = &history->sectors[at];

	if (number < look->written || number > sector->begun)
		return false;
	return number != sector->completed || number != look->written ||
	       sector->end > look->must_clear;
}

static bool may_be(const struct history *history, uint64_t at, const struct history_look *look,
		   const uint8_t *buf)
{
	uint64_t words[3];

	if (is_zero(buf, history->sector_size))
		return may_be_zero(history, at, look);
	memcpy(words, buf, sizeof(words));
	if (!is_whole(history, at, (unsigned)words[1], words[2], buf))
		return false;
	if (words[1] == PARENT)
		return history->has_parent && !look->written && !look->must_clear;
	return words[1] == history->sectors[at].writer && may_be_write(history, at, look, words[2]);
}

bool history_end_read(struct history *history, uint64_t first, uint64_t count,
		      const struct history_look *look, const void *buf)
{
	bool good = true;

	pthread_mutex_lock(&history->lock);
	for (uint64_t i = 0; i < count && good; i++) {
		const uint8_t *bytes = (const uint8_t *)buf + i * history->sector_size;

		good = may_be(history, first + i, &look[i], bytes);
		if (!good) {
			const struct history_sector *sector = &history->sectors[first + i];
			uint64_t words[3];

			memcpy(words, bytes, sizeof(words));
			fprintf(stderr,
				"sector %" PRIu64 " holds sector %#" PRIx64 " of writer %" PRIu64
				", write %" PRIu64 "; completed before: %" PRIu64 ", now %" PRIu64
				", begun %" PRIu64 "\n",
				first + i, words[0], words[1], words[2], look[i].written,
				sector->completed, sector->begun);
		}
	}
	pthread_mutex_unlock(&history->lock);
	return good;
}
