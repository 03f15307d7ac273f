/* SPDX-License-Identifier: MIT */
/*
 * Threads that write, zero, trim, flush, map and read the same blocks. Each sector tells who wrote it and
 * when; a model of its history says whether that may be read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/history.h"
#include "support/newdisk.h"
#include "support/random.h"
#include "support/writestore.h"

#define THREADS	   8
#define BLOCKS	   12
#define BLOCK_SIZE ((uint64_t)1 << 20)
#define RUN	   8  /* sectors in a row that one thread writes */
#define RUNS	   32 /* of those at the beginning of each block */
#define OPERATIONS 4000

struct worker {
	pthread_t thread;
	unsigned number;
	struct rng rng;
	uint8_t *buf; /* a block */
};

static struct write_store store;
static struct history history;
static struct vhdx *disk;
static uint32_t sector_size;
static atomic_uint failures;

static void fail_once(const char *what)
{
	if (!atomic_fetch_add(&failures, 1))
		fprintf(stderr, "%s: %s\n", what, vhdx_last_error()->text);
}

static uint64_t sectors_per_block(void)
{
	return BLOCK_SIZE / sector_size;
}

/* The first sector of a run that belongs to the thread, or of anyone's. */
static uint64_t choose_run(struct worker *worker, bool own)
{
	uint64_t block = rng_below(&worker->rng, BLOCKS);
	uint64_t run = rng_below(&worker->rng, RUNS / THREADS) * THREADS +
		       (own ? worker->number : rng_below(&worker->rng, THREADS));

	return block * sectors_per_block() + run * RUN;
}

static void do_write(struct worker *worker)
{
	uint64_t first = choose_run(worker, true);
	uint64_t skip = rng_below(&worker->rng, RUN);
	uint64_t count = rng_between(&worker->rng, 1, RUN - skip);
	uint32_t flags = rng_chance(&worker->rng, 3) ? VHDX_FUA : 0;

	history_begin_write(&history, worker->number, first + skip, count, worker->buf);
	if (vhdx_pwrite(disk, worker->buf, count * sector_size, (first + skip) * sector_size,
			flags))
		fail_once("write");
	history_end_write(&history, first + skip, count);
}

static void do_read(struct worker *worker)
{
	uint64_t first = choose_run(worker, false);
	uint64_t count = RUN * rng_between(&worker->rng, 1, 3);
	uint64_t most = BLOCKS * sectors_per_block() - first;
	struct history_look look[3 * RUN];

	if (count > most)
		count = most;
	history_begin_read(&history, first, count, look);
	if (vhdx_pread(disk, worker->buf, count * sector_size, first * sector_size))
		fail_once("read");
	else if (!history_end_read(&history, first, count, look, worker->buf))
		fail_once("read what must not be there");
}

/* A whole block becomes zeros, in one of the ways there are. */
static void do_clear(struct worker *worker)
{
	uint64_t block = rng_below(&worker->rng, BLOCKS);
	uint64_t offset = block * BLOCK_SIZE;
	unsigned way = (unsigned)rng_below(&worker->rng, 4);
	int ret;

	history_begin_clear(&history, block);
	switch (way) {
	case 0:
		ret = vhdx_trim(disk, offset, BLOCK_SIZE, 0);
		break;
	case 1:
		ret = vhdx_zero(disk, offset, BLOCK_SIZE, VHDX_ZERO_MAY_UNMAP);
		break;
	case 2:
		ret = vhdx_zero(disk, offset, BLOCK_SIZE, 0);
		break;
	default:
		memset(worker->buf, 0, BLOCK_SIZE);
		ret = vhdx_pwrite(disk, worker->buf, BLOCK_SIZE, offset, 0);
		break;
	}
	if (ret)
		fail_once("clear");
	history_end_clear(&history, block, way != 0);
}

static void do_map(struct worker *worker)
{
	struct vhdx_extent extents[8];
	size_t count = 8;
	uint64_t offset = rng_below(&worker->rng, BLOCKS) * BLOCK_SIZE;

	if (vhdx_extents(disk, offset, BLOCKS * BLOCK_SIZE - offset, 0, extents, &count) ||
	    !count || extents[0].offset != offset)
		fail_once("map");
}

static void *work(void *opaque)
{
	struct worker *worker = opaque;

	for (uint64_t i = 0; i < sampled(OPERATIONS) && !atomic_load(&failures); i++) {
		uint64_t roll = rng_below(&worker->rng, 1000);

		if (roll < 450)
			do_write(worker);
		else if (roll < 900)
			do_read(worker);
		else if (roll < 930)
			do_clear(worker);
		else if (roll < 970)
			do_map(worker);
		else if (vhdx_flush(disk))
			fail_once("flush");
	}
	return NULL;
}

static void run_workers(uint64_t seed)
{
	static struct worker workers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i, .rng = rng_make(seed * THREADS + i)};
		workers[i].buf = malloc(BLOCK_SIZE);
		assert_non_null(workers[i].buf);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		free(workers[i].buf);
	}
	assert_int_equal(failures, 0);
}

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	(void)opaque;
	(void)child;
	(void)key;
	(void)path;
	return vhdx_file_io("parent.vhdx", 0, ret_io) ? -ENOENT : 0;
}

static void open_again(void)
{
	struct vhdx_io io = write_store_io(&store, 0);
	struct vhdx_open_options options = {
		.size = sizeof(options), .flags = VHDX_OPEN_WRITE, .open_parent = open_parent};

	assert_int_equal(vhdx_open_io(&io, &options, &disk), 0);
}

/* The whole disk, to be freed. */
static uint8_t *read_all(void)
{
	uint8_t *bytes = malloc(BLOCKS * BLOCK_SIZE);

	assert_non_null(bytes);
	assert_int_equal(vhdx_pread(disk, bytes, BLOCKS * BLOCK_SIZE, 0), 0);
	return bytes;
}

/* At rest, every sector has its last value, and the same one after a close. */
static void check_at_rest(void)
{
	uint64_t count = sectors_per_block();
	struct history_look *look = calloc(count, sizeof(*look));
	struct vhdx_check_result result = {.size = sizeof(result)};
	uint8_t *before = read_all();

	assert_non_null(look);
	for (uint64_t block = 0; block < BLOCKS; block++) {
		history_begin_read(&history, block * count, count, look);
		assert_true(history_end_read(&history, block * count, count, look,
					     before + block * BLOCK_SIZE));
	}
	assert_int_equal(vhdx_close(disk), 0);
	open_again();
	uint8_t *after = read_all();

	assert_memory_equal(before, after, BLOCKS * BLOCK_SIZE);
	assert_int_equal(vhdx_check(disk, NULL, &result), 0);
	assert_int_equal(result.damages, 0);
	free(before);
	free(after);
	free(look);
}

static void make_parent(uint32_t sector)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, BLOCKS * BLOCK_SIZE);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};
	uint8_t *bytes = malloc(BLOCK_SIZE);

	options.block_size = BLOCK_SIZE;
	options.logical_sector_size = sector;
	assert_int_equal(vhdx_create("parent.vhdx", &options), 0);
	assert_int_equal(vhdx_open("parent.vhdx", &open, &disk), 0);
	for (uint64_t block = 0; block < BLOCKS; block++) {
		history_fill_parent(&history, block * sectors_per_block(), sectors_per_block(),
				    bytes);
		assert_int_equal(vhdx_pwrite(disk, bytes, BLOCK_SIZE, block * BLOCK_SIZE, 0), 0);
	}
	assert_int_equal(vhdx_close(disk), 0);
	free(bytes);
}

static void run_disk(enum vhdx_type type, uint32_t sector)
{
	struct vhdx_create_options options = options_of(type, BLOCKS * BLOCK_SIZE);

	sector_size = sector;
	failures = 0;
	history_init(&history, BLOCKS, sectors_per_block(), sector, type == VHDX_DIFFERENCING);
	write_store_init(&store);
	options.block_size = BLOCK_SIZE;
	options.logical_sector_size = sector;
	if (type == VHDX_DIFFERENCING) {
		make_parent(sector);
		options.parent = "parent.vhdx";
	}
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_create_io(&io, &options), 0);
	open_again();
	for (uint64_t round = 1; round <= 3; round++) {
		run_workers(round);
		check_at_rest();
	}
	assert_int_equal(vhdx_close(disk), 0);
	write_store_free(&store);
	history_free(&history);
}

static void test_a_dynamic_disk_holds_what_its_threads_wrote(void **state)
{
	(void)state;
	run_disk(VHDX_DYNAMIC, 512);
	run_disk(VHDX_DYNAMIC, 4096);
}

static void test_a_fixed_disk_holds_what_its_threads_wrote(void **state)
{
	(void)state;
	run_disk(VHDX_FIXED, 512);
}

static void test_a_child_holds_what_its_threads_wrote(void **state)
{
	(void)state;
	run_disk(VHDX_DIFFERENCING, 512);
}

static void test_a_child_of_large_sectors_holds_what_its_threads_wrote(void **state)
{
	(void)state;
	run_disk(VHDX_DIFFERENCING, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_dynamic_disk_holds_what_its_threads_wrote),
		SCRATCH_TEST(test_a_fixed_disk_holds_what_its_threads_wrote),
		SCRATCH_TEST(test_a_child_holds_what_its_threads_wrote),
		SCRATCH_TEST(test_a_child_of_large_sectors_holds_what_its_threads_wrote),
	};

	return RUN_TESTS(tests);
}
