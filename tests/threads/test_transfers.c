/* SPDX-License-Identifier: MIT */
/* A block keeps its space while a transfer to or from it is at the storage. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "support/newdisk.h"
#include "support/writestore.h"
#include "vdisk/disk.h"

#define BLOCK_SIZE ((uint64_t)1 << 20)
#define LENGTH	   4096u

static struct write_store store;
static struct vhdx *disk;
static enum store_call held_call;
static _Thread_local bool is_held; /* of the thread whose transfer stays at the storage ... */
static atomic_bool is_there;
static atomic_bool may_go; /* ... until this */
static atomic_bool is_trimmed;

static void hold(void *opaque, enum store_call call)
{
	(void)opaque;
	if (!is_held || call != held_call)
		return;
	atomic_store(&is_there, true);
	while (!atomic_load(&may_go))
		sched_yield();
}

static void make_disk(enum store_call call)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, 8 * BLOCK_SIZE);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};
	static const uint8_t bytes[LENGTH] = {1, 2, 3};

	options.block_size = BLOCK_SIZE;
	write_store_init(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_create_io(&io, &options), 0);
	assert_int_equal(vhdx_open_io(&io, &open, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, 0, 0), 0);
	assert_int_equal(vhdx_flush(disk), 0);
	held_call = call;
	is_there = may_go = is_trimmed = false;
	store.hook = hold;
}

static void drop_disk(void)
{
	store.hook = NULL;
	assert_int_equal(vhdx_close(disk), 0);
	write_store_free(&store);
}

static void *read_held(void *opaque)
{
	uint8_t *buf = opaque;

	is_held = true;
	return (void *)(intptr_t)vhdx_pread(disk, buf, LENGTH, 0);
}

static void *write_held(void *opaque)
{
	uint8_t *buf = opaque;

	is_held = true;
	return (void *)(intptr_t)vhdx_pwrite(disk, buf, LENGTH, 0, 0);
}

static void *trim(void *opaque)
{
	(void)opaque;
	intptr_t ret = vhdx_trim(disk, 0, BLOCK_SIZE, 0);

	atomic_store(&is_trimmed, true);
	return (void *)ret;
}

/* The trim wants the block, and would by now have gone on if it did not wait; or it is over. */
static void wait_for_trim(void)
{
	struct stripe *stripe = stripe_of(&disk->shared->stripes, 0);

	for (unsigned yields = 0; yields < 1000 && !atomic_load(&is_trimmed); sched_yield())
		if (atomic_load(&stripe->readers) & STRIPE_QUEUE)
			yields++;
}

static void join(pthread_t thread)
{
	void *ret;

	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_int_equal((intptr_t)ret, 0);
}

/* @buf is the transfer's. */
static void trim_beside(void *(*transfer)(void *), uint8_t buf[LENGTH])
{
	unsigned long punches = store.count[STORE_PUNCH];
	pthread_t first, second;

	assert_int_equal(pthread_create(&first, NULL, transfer, buf), 0);
	while (!atomic_load(&is_there))
		sched_yield();
	assert_int_equal(pthread_create(&second, NULL, trim, NULL), 0);
	wait_for_trim();
	bool waited = !atomic_load(&is_trimmed) && store.count[STORE_PUNCH] == punches;

	atomic_store(&may_go, true);
	join(first);
	join(second);
	assert_true(waited);
	assert_true(store.count[STORE_PUNCH] > punches);
}

static void test_a_trim_waits_for_a_read_that_is_at_the_storage(void **state)
{
	uint8_t buf[LENGTH] = {0};

	(void)state;
	make_disk(STORE_READ);
	trim_beside(read_held, buf);
	assert_memory_equal(buf, ((uint8_t[]){1, 2, 3}), 3);
	drop_disk();
}

static void test_a_trim_waits_for_an_overwrite_that_is_at_the_storage(void **state)
{
	static const uint8_t zeros[LENGTH];
	uint8_t buf[LENGTH];

	(void)state;
	memset(buf, 9, sizeof(buf));
	make_disk(STORE_WRITE);
	trim_beside(write_held, buf);
	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), 0);
	assert_memory_equal(buf, zeros, LENGTH);
	drop_disk();
}

/* It was counted, for the thread's slot was taken: by himself, so that it is sure to be. */
static void test_a_trim_waits_for_a_block_that_is_shared_twice(void **state)
{
	struct shared_stripe shares[2];
	pthread_t thread;

	(void)state;
	make_disk(STORE_CALLS);
	for (int i = 0; i < 2; i++)
		shares[i] = stripe_share(stripe_of(&disk->shared->stripes, 0));
	assert_int_equal(pthread_create(&thread, NULL, trim, NULL), 0);
	for (int i = 0; i < 2; i++) {
		wait_for_trim();
		assert_false(is_trimmed);
		stripe_unshare(shares[i]);
	}
	join(thread);
	drop_disk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_trim_waits_for_a_read_that_is_at_the_storage),
		cmocka_unit_test(test_a_trim_waits_for_an_overwrite_that_is_at_the_storage),
		cmocka_unit_test(test_a_trim_waits_for_a_block_that_is_shared_twice),
	};

	return RUN_TESTS(tests);
}
