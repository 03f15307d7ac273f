/* SPDX-License-Identifier: MIT */
/* Many threads flush at once: they share flushes of the file, and what each flushed is durable. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/newdisk.h"
#include "support/random.h"
#include "support/writestore.h"

#define THREADS	   16
#define ROUNDS	   24
#define BLOCK_SIZE ((uint64_t)1 << 20)

static struct write_store store;
static struct vhdx *disk;
static atomic_uint failures;

/* The device takes its time, so that others come meanwhile. */
static void flush_slowly(void *opaque, enum store_call call)
{
	(void)opaque;
	if (call == STORE_FLUSH)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void make_disk(void)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, 600 * BLOCK_SIZE);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};

	options.block_size = BLOCK_SIZE;
	write_store_init(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_create_io(&io, &options), 0);
	assert_int_equal(vhdx_open_io(&io, &open, &disk), 0);
	write_store_track(&store);
	failures = 0;
}

static void drop_disk(void)
{
	assert_int_equal(vhdx_close(disk), 0);
	write_store_free(&store);
}

/* What the disk would hold if the power failed now; the image is sound then. */
static void read_durable(void *buf, uint64_t length, uint64_t offset)
{
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct write_store copy;
	struct vhdx *other;

	write_store_init(&copy);
	write_store_durable(&store, &copy.bytes);
	struct vhdx_io io = write_store_io(&copy, 0);

	if (vhdx_open_io(&io, NULL, &other)) {
		atomic_fetch_add(&failures, 1);
		memset(buf, 0, length);
	} else {
		if (vhdx_pread(other, buf, length, offset) || vhdx_check(other, NULL, &result) ||
		    result.damages)
			atomic_fetch_add(&failures, 1);
		vhdx_close(other);
	}
	write_store_free(&copy);
}

/* Allocates, overwrites, flushes; then looks whether it is there. */
static void *flush_rounds(void *opaque)
{
	uint64_t thread = (uintptr_t)opaque;

	for (uint64_t round = 0; round < ROUNDS; round++) {
		/* Each block is written in two rounds. */
		uint64_t offset = (round / 2 * THREADS + thread) * BLOCK_SIZE;
		uint64_t words[64];
		uint64_t found[64];

		for (unsigned i = 0; i < 64; i++)
			words[i] = thread << 32 | round << 8 | 1;
		if (vhdx_pwrite(disk, words, sizeof(words), offset, 0) || vhdx_flush(disk))
			atomic_fetch_add(&failures, 1);
		read_durable(found, sizeof(found), offset);
		if (memcmp(words, found, sizeof(words)) != 0)
			atomic_fetch_add(&failures, 1);
	}
	return NULL;
}

static void run_threads(void *(*work)(void *))
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(failures, 0);
}

static void test_what_a_thread_flushed_is_durable_when_its_flush_returns(void **state)
{
	(void)state;
	make_disk();
	run_threads(flush_rounds);
	drop_disk();
}

static void *write_and_flush(void *opaque)
{
	uint64_t thread = (uintptr_t)opaque;
	uint8_t bytes[512] = {1};

	for (uint64_t round = 0; round < ROUNDS; round++)
		if (vhdx_pwrite(disk, bytes, sizeof(bytes), (round * THREADS + thread) * BLOCK_SIZE,
				0) ||
		    vhdx_flush(disk))
			atomic_fetch_add(&failures, 1);
	return NULL;
}

static void test_flushes_of_many_threads_are_shared(void **state)
{
	(void)state;
	make_disk();
	store.hook = flush_slowly;
	unsigned long before = store.count[STORE_FLUSH];

	run_threads(write_and_flush);
	unsigned long flushes = store.count[STORE_FLUSH] - before;

	assert_true(flushes > 0 && flushes < THREADS * ROUNDS / 2);
	store.hook = NULL;
	drop_disk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_thread_flushed_is_durable_when_its_flush_returns),
		cmocka_unit_test(test_flushes_of_many_threads_are_shared),
	};

	return RUN_TESTS(tests);
}
