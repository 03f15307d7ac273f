/* SPDX-License-Identifier: MIT */
/* Nobody waits for ever where others come all the time; and pages that are dropped lose nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/newdisk.h"
#include "support/random.h"
#include "support/writestore.h"

#define CROWD	   4
#define MEETINGS   40
#define BLOCK_SIZE ((uint64_t)1 << 20)

static struct write_store store;
static struct vhdx *disk;
static atomic_uint failures;
static atomic_bool over;

static void make_disk(uint64_t size)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, size);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};

	options.block_size = BLOCK_SIZE;
	write_store_init(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_create_io(&io, &options), 0);
	assert_int_equal(vhdx_open_io(&io, &open, &disk), 0);
	failures = 0;
	over = false;
}

static void drop_disk(void)
{
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(vhdx_open_io(&io, NULL, &disk), 0);
	assert_int_equal(vhdx_check(disk, NULL, &result), 0);
	assert_int_equal(result.damages, 0);
	assert_int_equal(vhdx_close(disk), 0);
	write_store_free(&store);
}

static void note(int ret)
{
	if (ret)
		atomic_fetch_add(&failures, 1);
}

static void sleep_a_while(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Whoever is at the storage holds a stripe: a crowd that sleeps there always has one that holds it. */
static void read_slowly(void *opaque, enum store_call call)
{
	(void)opaque;
	if (call == STORE_READ)
		sleep_a_while();
}

static void change_slowly(void *opaque, enum store_call call)
{
	(void)opaque;
	if (STORE_BIT(call) & STORE_CHANGES)
		sleep_a_while();
}

/* Holds the block's stripe shared, again and again. */
static void *read_on(void *opaque)
{
	static _Thread_local uint8_t buf[65536];

	(void)opaque;
	while (!atomic_load(&over))
		note(vhdx_pread(disk, buf, sizeof(buf), 0));
	return NULL;
}

/* Holds it exclusively: the block loses its space, and gets some again. */
static void change(unsigned turn)
{
	static const uint8_t bytes[512] = {1};

	(void)turn;
	note(vhdx_zero(disk, 0, BLOCK_SIZE, VHDX_ZERO_MAY_UNMAP));
	note(vhdx_pwrite(disk, bytes, sizeof(bytes), 0, 0));
}

static void *change_on(void *opaque)
{
	(void)opaque;
	while (!atomic_load(&over))
		change(0);
	return NULL;
}

/*
 * @meet must come to its end while a crowd does the other thing without a pause. Where it does not, the
 * test does not end either.
 */
static void meet_crowd(void (*hook)(void *opaque, enum store_call call), void *(*crowd)(void *),
		       void (*meet)(unsigned turn))
{
	pthread_t threads[CROWD];

	make_disk(64 * BLOCK_SIZE);
	change(0);
	store.hook = hook;
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd, NULL), 0);
	for (unsigned turn = 0; turn < sampled(MEETINGS); turn++)
		meet(turn);
	atomic_store(&over, true);
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(failures, 0);
	store.hook = NULL;
	drop_disk();
}

static void read_once(unsigned turn)
{
	uint8_t byte;

	(void)turn;
	note(vhdx_pread(disk, &byte, 1, 0));
}

static void test_readers_without_a_pause_let_a_writer_in(void **state)
{
	(void)state;
	meet_crowd(read_slowly, read_on, change);
}

static void test_writers_without_a_pause_let_a_reader_in(void **state)
{
	(void)state;
	meet_crowd(change_slowly, change_on, read_once);
}

/* ---- More pages than the cache holds, dirty ones among them ---- */

#define WRITERS	  8
#define WRITES	  1500
#define PAGE_SPAN (512 * BLOCK_SIZE) /* of the disk, by one page of the BAT */
#define DISK_SIZE ((uint64_t)64 << 40)

static uint64_t place_of(uint64_t writer, uint64_t number)
{
	uint64_t page = number * WRITERS + writer; /* each its own */

	return page % (DISK_SIZE / PAGE_SPAN) * PAGE_SPAN + number % 500 * BLOCK_SIZE;
}

static uint64_t word_of(uint64_t writer, uint64_t number)
{
	return (number << 8 | writer) * 0x9e3779b97f4a7c15 | 1;
}

static void check_place(uint64_t writer, uint64_t number)
{
	uint64_t words[64];

	note(vhdx_pread(disk, words, sizeof(words), place_of(writer, number)));
	if (words[0] != word_of(writer, number) || words[63] != words[0])
		atomic_fetch_add(&failures, 1);
}

/* While a commit waits for the device, the others drop pages. */
static void flush_slowly(void *opaque, enum store_call call)
{
	(void)opaque;
	for (int i = 0; call == STORE_FLUSH && i < 3; i++)
		sleep_a_while();
}

static void *write_places(void *opaque)
{
	uint64_t writer = (uintptr_t)opaque;
	struct rng rng = rng_make(writer);

	for (uint64_t number = 0; number < WRITES; number++) {
		uint64_t words[64];

		for (unsigned i = 0; i < 64; i++)
			words[i] = word_of(writer, number);
		note(vhdx_pwrite(disk, words, sizeof(words), place_of(writer, number), 0));
		for (unsigned i = 0; i < 8; i++)
			check_place(writer, rng_below(&rng, number + 1));
	}
	return NULL;
}

static void test_pages_that_are_dropped_beside_writers_lose_nothing(void **state)
{
	pthread_t threads[WRITERS];

	(void)state;
	make_disk(DISK_SIZE);
	store.hook = flush_slowly;
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_places, (void *)i), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(failures, 0);
	assert_int_equal(vhdx_close(disk), 0);
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_open_io(&io, NULL, &disk), 0);
	for (uint64_t writer = 0; writer < WRITERS; writer++)
		for (uint64_t number = 0; number < WRITES; number++)
			check_place(writer, number);
	assert_int_equal(failures, 0);
	drop_disk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_without_a_pause_let_a_writer_in),
		cmocka_unit_test(test_writers_without_a_pause_let_a_reader_in),
		cmocka_unit_test(test_pages_that_are_dropped_beside_writers_lose_nothing),
	};

	return RUN_TESTS(tests);
}
