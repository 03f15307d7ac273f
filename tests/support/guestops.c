/* SPDX-License-Identifier: MIT */
/* A guest that does anything at random with a trial's disk, and compares all that it reads. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "support/guestops.h"

#define OPERATIONS 1000 /* of a seed */

#define MOST_IO	 (5 * T_MIB)
#define MOST_IOV 40

static uint8_t buffer[MOST_IO];

/* Not random, but no two 8 bytes of a test are alike, and none are zeros. */
static void fill(struct rng *rng, uint8_t *buf, uint64_t length)
{
	uint64_t word = rng_next(rng) | 1;

	for (; length >= 8; length -= 8, buf += 8, word += 2)
		memcpy(buf, &word, 8);
	memset(buf, (int)(word | 1), length);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Most transfers are small, some are of whole blocks or of several. */
static uint64_t choose_length(struct rng *rng, const struct trial *trial)
{
	uint64_t roll = rng_below(rng, 1000);

	if (roll < 350)
		return rng_length(rng, 1024);
	if (roll < 750)
		return trial->info.logical_sector_size * rng_between(rng, 1, 16);
	if (roll < 960)
		return rng_length(rng, 64 * T_KIB);
	if (roll < 995)
		return rng_length(rng, 400 * T_KIB);
	return trial->info.block_size + rng_below(rng, 3) * rng_length(rng, 64 * T_KIB);
}

static uint64_t choose_offset(struct rng *rng, const struct trial *trial, uint64_t length)
{
	uint64_t size = trial->info.block_size;
	uint64_t count = sizeof(trial->hot) / sizeof(trial->hot[0]);
	uint64_t block = rng_chance(rng, 97) ? trial->hot[rng_below(rng, count)]
					     : rng_below(rng, trial->info.blocks);
	uint64_t at = block * size;

	if (rng_chance(rng, 15) && at >= length) /* the end of the block before it */
		at -= rng_chance(rng, 50) ? length : length / 2;
	else if (rng_chance(rng, 80)) /* often the same places, so that they meet again */
		at += rng_chance(rng, 70) ? rng_below(rng, 64) * 4096 % size : rng_below(rng, size);
	if (rng_chance(rng, 60))
		at -= at % trial->info.logical_sector_size;
	return at;
}

static void choose_range(struct rng *rng, const struct trial *trial, uint64_t most,
			 uint64_t *ret_offset, uint64_t *ret_length)
{
	uint64_t length = min(choose_length(rng, trial), most);
	uint64_t offset = min(choose_offset(rng, trial, length), trial->info.virtual_size - 1);

	*ret_offset = offset;
	*ret_length = min(length, trial->info.virtual_size - offset);
}

/* Ranges to be zeroed or trimmed: as others, or whole blocks, or much of the disk. */
static void choose_clearing(struct rng *rng, const struct trial *trial, uint64_t *ret_offset,
			    uint64_t *ret_length)
{
	uint64_t size = trial->info.block_size;
	uint64_t end = trial->info.virtual_size;

	choose_range(rng, trial, UINT64_MAX, ret_offset, ret_length);
	if (rng_chance(rng, 30)) {
		*ret_offset = *ret_offset / size * size;
		*ret_length = min(size * rng_between(rng, 1, 2), end - *ret_offset);
	} else if (rng_chance(rng, 2)) {
		*ret_length = rng_length(rng, end - *ret_offset);
	}
}

static void after_change(struct trial *trial, uint32_t flags, bool must, bool may)
{
	if (flags & VHDX_FUA)
		flat_flush(&trial->flat);
	trial_note_change(trial, must, may);
}

/* Cuts the buffer into pieces of any size, empty ones too. */
static int cut(struct rng *rng, uint64_t length, struct iovec iov[MOST_IOV])
{
	int n = 0;
	uint64_t done = 0;

	while (done < length) {
		uint64_t part = rng_chance(rng, 10) ? 0 : rng_length(rng, length - done);

		if (n == MOST_IOV - 1)
			part = length - done;
		iov[n++] = (struct iovec){buffer + done, part};
		done += part;
	}
	return n;
}

static void do_write(struct rng *rng, struct trial *trial)
{
	uint32_t flags = rng_chance(rng, 4) ? VHDX_FUA : 0;
	uint64_t offset;
	uint64_t length;
	int ret;

	choose_range(rng, trial, MOST_IO, &offset, &length);
	if (rng_chance(rng, 3))
		memset(buffer, 0, length);
	else
		fill(rng, buffer, length);
	if (rng_chance(rng, 25)) {
		struct iovec iov[MOST_IOV];
		int n = cut(rng, length, iov);

		ret = vhdx_pwritev(trial->disk, iov, n, offset, flags);
	} else {
		ret = vhdx_pwrite(trial->disk, buffer, length, offset, flags);
	}
	CHECK(!ret, "write of %#" PRIx64 " bytes at %#" PRIx64 ": %d, %s", length, offset, ret,
	      vhdx_last_error()->text);
	flat_write(&trial->flat, buffer, length, offset);
	after_change(trial, flags, true, true);
}

static void do_read(struct rng *rng, struct trial *trial)
{
	uint64_t offset;
	uint64_t length;

	choose_range(rng, trial, MOST_IO, &offset, &length);
	flat_check(&trial->flat, trial->disk, offset, length);
}

static void do_zero(struct rng *rng, struct trial *trial)
{
	uint32_t flags = (rng_chance(rng, 4) ? VHDX_FUA : 0) |
			 (rng_chance(rng, 60) ? VHDX_ZERO_MAY_UNMAP : 0) |
			 (rng_chance(rng, 20) ? VHDX_ZERO_FAST : 0);
	uint64_t offset;
	uint64_t length;

	choose_clearing(rng, trial, &offset, &length);
	bool had_data = flat_has_data(&trial->flat, offset, length);
	bool had_space = trial_has_space(trial, offset, length);
	unsigned long changes = write_store_changes(&trial->store);

	trial->most_free += trial_whole_blocks(trial, offset, length);
	int ret = vhdx_zero(trial->disk, offset, length, flags);

	CHECK(had_space || flags & VHDX_FUA || write_store_changes(&trial->store) == changes,
	      "zero of what no file holds changed something");
	if (ret == -EOPNOTSUPP && flags & VHDX_ZERO_FAST) {
		flat_take_trimmed(&trial->flat, trial->disk, offset, length);
		trial_note_change(trial, false, had_space);
		return;
	}
	CHECK(!ret, "zero of %#" PRIx64 " bytes at %#" PRIx64 ": %d, %s", length, offset, ret,
	      vhdx_last_error()->text);
	flat_zero(&trial->flat, offset, length);
	after_change(trial, flags, had_data, had_space);
}

static void do_trim(struct rng *rng, struct trial *trial)
{
	uint32_t flags = rng_chance(rng, 4) ? VHDX_FUA : 0;
	uint64_t offset;
	uint64_t length;

	choose_clearing(rng, trial, &offset, &length);
	bool had_space = trial_has_space(trial, offset, length);
	unsigned long changes = write_store_changes(&trial->store);

	trial->most_free += trial_whole_blocks(trial, offset, length);
	int ret = vhdx_trim(trial->disk, offset, length, flags);

	CHECK(had_space || flags & VHDX_FUA || write_store_changes(&trial->store) == changes,
	      "trim of what no file holds changed something");
	CHECK(!ret, "trim of %#" PRIx64 " bytes at %#" PRIx64 ": %d, %s", length, offset, ret,
	      vhdx_last_error()->text);
	flat_take_trimmed(&trial->flat, trial->disk, offset, length);
	after_change(trial, flags, false, had_space);
}

static void do_flush(struct trial *trial)
{
	int ret = vhdx_flush(trial->disk);

	CHECK(!ret, "flush: %d, %s", ret, vhdx_last_error()->text);
	flat_flush(&trial->flat);
}

static void do_map(struct rng *rng, struct trial *trial)
{
	uint64_t offset;
	uint64_t length;

	choose_range(rng, trial, UINT64_MAX, &offset, &length);
	if (rng_chance(rng, 10))
		length = rng_length(rng, trial->info.virtual_size - offset);
	trial_check_map(trial, offset, length, rng_chance(rng, 50) ? VHDX_EXTENTS_FILE_HOLES : 0);
}

static void do_open(struct rng *rng, struct trial *trial)
{
	trial_open(trial, rng_chance(rng, 25) ? VHDX_OPEN_NO_HOLES : 0);
}

static void do_close(struct trial *trial)
{
	trial_compare(trial);
	trial_close(trial);
	flat_flush(&trial->flat);
}

static void do_kill(struct rng *rng, struct trial *trial)
{
	trial_kill(trial);
	if (rng_chance(rng, 50)) /* as it is, its log not replayed */
		trial_check_image(trial);
	do_open(rng, trial);
	flat_take_killed(&trial->flat, trial->disk);
	trial_compare(trial);
}

static void step(struct rng *rng, struct trial *trial)
{
	uint64_t roll = rng_below(rng, 1000);

	if (roll < 420)
		do_write(rng, trial);
	else if (roll < 680)
		do_read(rng, trial);
	else if (roll < 770)
		do_zero(rng, trial);
	else if (roll < 850)
		do_trim(rng, trial);
	else if (roll < 900)
		do_flush(trial);
	else if (roll < 988)
		do_map(rng, trial);
	else if (roll < 994)
		do_kill(rng, trial);
	else {
		do_close(trial);
		do_open(rng, trial);
	}
}

/* Without changes, nothing may be written; trials begin with such a session now and then. */
static void read_only_session(struct rng *rng, struct trial *trial)
{
	do_open(rng, trial);
	for (int i = 0; i < 5; i++)
		do_read(rng, trial);
	do_map(rng, trial);
	do_flush(trial);
	trial_close(trial);
}

/* Begins with the disk closed, and leaves it so. */
static void run(struct rng *rng, struct trial *trial, uint64_t count)
{
	if (rng_chance(rng, 30))
		read_only_session(rng, trial);
	do_open(rng, trial);
	trial_compare(trial);
	for (uint64_t i = 0; i < count; i++) {
		current_step = i;
		step(rng, trial);
	}
	do_close(trial);
}

void guest_over_seeds(uint64_t count, enum trial_kind kind, const struct chain_style *style)
{
	uint64_t last;

	for (seeds_to_run(count, &current_seed, &last); current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct trial trial;

		trial_make(&rng, kind, style, &trial);
		run(&rng, &trial, OPERATIONS);
		trial_free(&trial);
	}
}
