/* SPDX-License-Identifier: MIT */
/* Many threads read a chain whose BATs and bitmaps are larger than the page cache; each word tells its place. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/random.h"
#include "support/synthetic.h"
#include "support/unit.h"
#include "vdisk/disk.h"

#define THREADS	  8
#define READS	  3000
#define MOST_READ (48 * T_KIB)
/* Of one request, in at most 2 blocks, each with its leaf: of both BATs, of the bitmap's entry, of the bitmap. */
#define MOST_PAGES (2 * 4 * 2)

static struct synthetic synthetic;
static struct vhdx *disk;
static atomic_uint failed;
static atomic_uint wrong;
static atomic_size_t most_pages;

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	(void)opaque;
	(void)child;
	(void)key;
	(void)path;
	*ret_io = synthetic_io(&synthetic, 1);
	return 0;
}

static int open_chain(void **state)
{
	struct vhdx_open_options options = {.size = sizeof(options), .open_parent = open_parent};

	(void)state;
	synthetic_make(&synthetic);
	struct vhdx_io io = synthetic_io(&synthetic, 0);

	return vhdx_open_io(&io, &options, &disk);
}

static int close_chain(void **state)
{
	(void)state;
	synthetic_free(&synthetic);
	return vhdx_close(disk);
}

static void note_pages(void)
{
	size_t pages = disk->shared->cache.pages;
	size_t most = most_pages;

	while (pages > most && !atomic_compare_exchange_weak(&most_pages, &most, pages))
		;
}

static void read_once(struct rng *rng, uint64_t *buf)
{
	uint64_t length = rng_length(rng, MOST_READ) / 8 * 8 + 8;
	uint64_t offset = rng_below(rng, (disk->info.virtual_size - length) / 8) * 8;

	if (vhdx_pread(disk, buf, length, offset)) {
		atomic_fetch_add(&failed, 1);
		return;
	}
	for (uint64_t i = 0; i < length / 8; i++)
		if (buf[i] != synthetic_word(offset + 8 * i)) {
			atomic_fetch_add(&wrong, 1);
			return;
		}
}

static void map_once(struct rng *rng)
{
	struct vhdx_extent extents[8];
	size_t count = 8;
	uint64_t offset = rng_below(rng, disk->info.virtual_size - T_MIB) / 512 * 512;

	if (vhdx_extents(disk, offset, T_MIB, 0, extents, &count)) {
		atomic_fetch_add(&failed, 1);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (extents[i].type != VHDX_EXTENT_DATA ||
		    extents[i].depth != !synthetic_is_childs(extents[i].offset / 512))
			atomic_fetch_add(&wrong, 1);
}

static void *run_thread(void *opaque)
{
	struct rng rng = rng_make((uintptr_t)opaque);
	uint64_t *buf = malloc(MOST_READ + 8);

	for (uint64_t i = 0; i < sampled(READS); i++) {
		if (rng_chance(&rng, 10))
			map_once(&rng);
		else
			read_once(&rng, buf);
		note_pages();
	}
	free(buf);
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_reads_are_right_while_the_cache_overflows(void **state)
{
	(void)state;
	/* Make it overflow soon, however few reads there are. */
	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t word;
		uint64_t offset = i * 600 * T_MIB;

		assert_int_equal(vhdx_pread(disk, &word, 8, offset % disk->info.virtual_size), 0);
	}
	run_threads();
	assert_int_equal(failed, 0);
	assert_int_equal(wrong, 0);
	assert_true(most_pages > CACHE_LIMIT / 2); /* it did fill */
}

static void test_the_cache_stays_near_its_limit(void **state)
{
	(void)state;
	/* Above the limit is what each thread loaded since it last looked. */
	assert_true(most_pages <= CACHE_LIMIT + THREADS * MOST_PAGES);
	assert_true(disk->shared->cache.pages <= CACHE_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_are_right_while_the_cache_overflows),
		cmocka_unit_test(test_the_cache_stays_near_its_limit),
	};

	return cmocka_run_group_tests(tests, open_chain, close_chain);
}
