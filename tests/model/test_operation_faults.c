/* SPDX-License-Identifier: MIT */
/* The Nth call of the storage fails, for many N, while disks of a chain are merged, put upon another, or compacted. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "support/writechain.h"

#define DEPTH	   3
#define WRITE_SIZE ((size_t)3 * 4096)
#define READ_SIZE  ((size_t)1 << 20)

/* Does something to the chain, of which the first disk is open with its parents writable. */
typedef int operation(struct write_chain *chain, struct vhdx *disk);

struct job {
	operation *run;
	unsigned write_parents;
	unsigned result; /* the file that reads as the leaf afterwards */
};

struct failure {
	unsigned file; /* whose storage fails */
	int error;
	bool for_good;
	unsigned long nth;
};

static int merge(struct write_chain *chain, struct vhdx *disk)
{
	struct vhdx_commit_options options = {.size = sizeof(options),
					      .into = vhdx_get_parent(vhdx_get_parent(disk))};

	(void)chain;
	return vhdx_commit(disk, &options);
}

static int rebase(struct write_chain *chain, struct vhdx *disk)
{
	struct vhdx_open_options how = {
		.size = sizeof(how), .open_parent = write_chain_open_parent, .opaque = chain};
	struct vhdx_rebase_options options = {.size = sizeof(options),
					      .parent = write_chain_name(chain, OTHER),
					      .parent_options = &how};

	return vhdx_rebase(disk, &options);
}

static int compact(struct write_chain *chain, struct vhdx *disk)
{
	struct vhdx_compact_result result = {.size = sizeof(result)};

	(void)chain;
	return vhdx_compact(disk, NULL, &result);
}

static const struct job jobs[] = {{merge, DEPTH - 1, DEPTH - 1}, {rebase, 0, 0}, {compact, 0, 0}};

static struct vhdx *open_leaf(struct write_chain *chain, const struct job *job)
{
	struct vhdx *disk;

	CHECK(!write_chain_open(chain, 0, VHDX_OPEN_WRITE, job->write_parents, &disk), "open: %s",
	      vhdx_last_error()->text);
	return disk;
}

static void check_part(struct write_chain *chain, struct vhdx *disk, uint64_t at, size_t size)
{
	uint8_t *found = malloc(size);
	uint8_t *expected = malloc(size);

	sparse_read(&chain->views[0], expected, size, at);
	if (!vhdx_pread(disk, found, size, at))
		CHECK(!memcmp(found, expected, size), "the leaf reads otherwise at %llu",
		      (unsigned long long)at);
	free(found);
	free(expected);
}

/* An open disk whose storage failed once may refuse to be read, but does not lie. */
static void check_reads(struct write_chain *chain, struct vhdx *disk)
{
	for (uint64_t at = 0; at < chain->sizes[0]; at += READ_SIZE) {
		uint64_t left = chain->sizes[0] - at;

		check_part(chain, disk, at, left < READ_SIZE ? (size_t)left : READ_SIZE);
	}
}

/* What it takes, it keeps. */
static void write_on(struct write_chain *chain, struct vhdx *disk, struct rng *rng)
{
	struct vhdx_info info = {.size = sizeof(info)};
	uint64_t size = chain->sizes[0];
	uint8_t bytes[WRITE_SIZE];

	assert_int_equal(vhdx_get_info(disk, &info), 0);
	CHECK(!info.relative_path || strlen(info.relative_path) < 1024, "no path");
	for (unsigned i = 0; i < 3 && size > WRITE_SIZE; i++) {
		uint64_t at = rng_below(rng, size - WRITE_SIZE);

		rng_fill(rng, bytes, sizeof(bytes));
		if (vhdx_pwrite(disk, bytes, sizeof(bytes), at, 0))
			continue;
		CHECK(!vhdx_flush(disk), "flush: %s", vhdx_last_error()->text);
		sparse_write(&chain->views[0], bytes, sizeof(bytes), at);
	}
	check_reads(chain, disk);
}

/* Whole blocks become zeros that are there, so that others have somewhere to move. */
static void write_zeros(struct write_chain *chain, struct rng *rng)
{
	struct vhdx *disk = open_leaf(chain, &jobs[2]);
	uint64_t size = chain->sizes[0];
	uint8_t *zeros = calloc(1, READ_SIZE);

	for (unsigned i = 0; i < 3 && size > READ_SIZE; i++) {
		uint64_t at = rng_below(rng, size / READ_SIZE) * READ_SIZE;

		CHECK(!vhdx_pwrite(disk, zeros, READ_SIZE, at, 0), "zeros: %s",
		      vhdx_last_error()->text);
		sparse_write(&chain->views[0], zeros, READ_SIZE, at);
	}
	free(zeros);
	CHECK(!vhdx_close(disk), "close: %s", vhdx_last_error()->text);
}

/* Returns whether the call was met. */
static bool fail_call(const struct job *job, const struct failure *failure)
{
	static const struct chain_style style = {.tidy = true, .small_blocks = true};
	struct rng rng = rng_make(current_seed % 3);
	struct write_chain chain;

	write_chain_make(&rng, DEPTH, &style, &chain);
	struct write_store *store = &chain.stores[failure->file];

	if (job->run == compact)
		write_zeros(&chain, &rng);
	struct vhdx *disk = open_leaf(&chain, job);

	store->fail_seen = 0;
	store->fail_calls = STORE_ANY & ~STORE_BIT(STORE_GET_SIZE);
	store->fail_from = failure->nth;
	store->fail_to = failure->for_good ? ULONG_MAX : failure->nth;
	store->error = failure->error;
	int ret = job->run(&chain, disk);
	bool met = store->failed;

	CHECK(!ret || ret == failure->error, "error %d: %s", ret, vhdx_last_error()->text);
	store->fail_calls = 0;
	write_on(&chain, disk, &rng);
	vhdx_close(disk);
	write_chain_check(&chain, 0);

	disk = open_leaf(&chain, job);
	CHECK(!job->run(&chain, disk), "again: %s", vhdx_last_error()->text);
	CHECK(!vhdx_close(disk), "close: %s", vhdx_last_error()->text);
	write_chain_check(&chain, 0);
	if (job->result) {
		write_chain_set_view(&chain, job->result, &chain.views[0], chain.sizes[0]);
		write_chain_check(&chain, job->result);
	}
	write_chain_free(&chain);
	return met;
}

static void fail_calls(const struct job *job, int error, bool for_good)
{
	unsigned long step = (unsigned long)(5 / sampled(5));

	for (unsigned file = 0; file < DEPTH; file++) {
		struct failure failure = {file, error, for_good, 1};
		bool met = true;

		for (; met; failure.nth += step) {
			current_seed = failure.nth;
			met = fail_call(job, &failure);
		}
	}
}

static void test_a_merge_whose_storage_fails_loses_nothing(void **state)
{
	(void)state;
	fail_calls(&jobs[0], -EIO, false);
	fail_calls(&jobs[0], -EIO, true);
}

static void test_a_merge_without_space_loses_nothing(void **state)
{
	(void)state;
	fail_calls(&jobs[0], -ENOSPC, false);
	fail_calls(&jobs[0], -ENOSPC, true);
}

static void test_a_rebase_whose_storage_fails_loses_nothing(void **state)
{
	(void)state;
	fail_calls(&jobs[1], -EIO, false);
	fail_calls(&jobs[1], -EIO, true);
}

static void test_a_rebase_without_space_loses_nothing(void **state)
{
	(void)state;
	fail_calls(&jobs[1], -ENOSPC, false);
	fail_calls(&jobs[1], -ENOSPC, true);
}

static void test_a_compaction_whose_storage_fails_loses_nothing(void **state)
{
	(void)state;
	fail_calls(&jobs[2], -EIO, false);
	fail_calls(&jobs[2], -EIO, true);
}

static void test_a_compaction_without_space_loses_nothing(void **state)
{
	(void)state;
	fail_calls(&jobs[2], -ENOSPC, false);
	fail_calls(&jobs[2], -ENOSPC, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_merge_whose_storage_fails_loses_nothing),
		cmocka_unit_test(test_a_merge_without_space_loses_nothing),
		cmocka_unit_test(test_a_rebase_whose_storage_fails_loses_nothing),
		cmocka_unit_test(test_a_rebase_without_space_loses_nothing),
		cmocka_unit_test(test_a_compaction_whose_storage_fails_loses_nothing),
		cmocka_unit_test(test_a_compaction_without_space_loses_nothing),
	};

	return RUN_TESTS(tests);
}
