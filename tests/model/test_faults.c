/* SPDX-License-Identifier: MIT */
/* The Nth allocation and the Nth call of the storage fails, for every N, while a chain is opened and read. */
#include <errno.h>
#include <limits.h>

#include "support/alloc.h"
#include "support/exercise.h"
#include "support/fixture.h"

/* What one run came to. */
struct outcome {
	int error;   /* the first one, 0 when all went well */
	bool failed; /* the fault was met */
};

static struct chain chain;

/* A chain of several layers, one of which has a log to replay and one a bitmap. */
static bool is_rich(const struct chain *made)
{
	bool dirty = false;
	bool partial = false;

	for (unsigned i = 0; i < made->depth; i++) {
		dirty |= made->layers[i].is_dirty;
		partial |= made->layers[i].bitmap_count > 0;
	}
	return made->depth == 3 && dirty && partial;
}

static int make_chain(void **state)
{
	(void)state;
	current_seed = chain_make_until(3, is_rich, &chain);
	return 0;
}

static int drop_chain(void **state)
{
	(void)state;
	chain_free(&chain);
	return 0;
}

/* Whatever can be read without an error is right. */
static void check_contents(struct vhdx *disk, struct exercise *exercise)
{
	static uint8_t got[65536];
	static uint8_t expected[65536];
	uint64_t size = chain.layers[0].virtual_size;

	for (uint64_t at = 0; at < size; at += sizeof(got)) {
		uint64_t part = size - at < sizeof(got) ? size - at : sizeof(got);
		int ret = vhdx_pread(disk, got, part, at);

		exercise_note(exercise, ret);
		if (ret)
			continue;
		sparse_read(&chain.guest, expected, part, at);
		assert_memory_equal(got, expected, part);
	}
}

static int run(struct fixture *fixture, uint32_t flags)
{
	struct exercise exercise = {0};
	struct vhdx *disk;
	int ret = fixture_open(fixture, flags, &disk);

	exercise_note(&exercise, ret);
	if (!ret) {
		exercise_disk(disk, &exercise);
		if (!vhdx_get_fault(disk))
			check_contents(disk, &exercise);
		vhdx_close(disk);
	}
	CHECK(!exercise.fault, "%s: %s", exercise.fault, exercise.text);
	fixture_check_unchanged(fixture);
	return exercise.first_error;
}

static void fail_allocations(uint32_t flags)
{
	unsigned long step = (unsigned long)(50 / sampled(50)); /* under sanitizers, some of them */
	bool met = true;

	for (unsigned long nth = 1; met; nth += step) {
		struct fixture fixture;
		size_t pieces = alloc_pieces();

		current_seed = nth;
		fixture_init(&fixture, &chain, true);
		alloc_fail_nth(nth);
		int error = run(&fixture, flags);

		met = alloc_has_failed();
		alloc_fail_nth(0);
		CHECK(error == 0 || error == -ENOMEM, "allocation %lu: error %d", nth, error);
		CHECK(met || !error, "an error without a failure: %d", error);
		CHECK(alloc_pieces() == pieces, "allocation %lu: memory leaked", nth);
	}
	assert_true(current_seed > 20);
}

static void test_a_failed_allocation_is_told_and_nothing_leaks(void **state)
{
	(void)state;
	fail_allocations(0);
}

static void test_a_failed_allocation_is_told_and_nothing_leaks_when_examining(void **state)
{
	(void)state;
	fail_allocations(VHDX_OPEN_EXAMINE);
}

/* The failing call is of layer @layer; once, or from then on. */
static void fail_storage(unsigned layer, bool for_good, uint32_t flags)
{
	unsigned long step = (unsigned long)(20 / sampled(20));
	bool met = true;

	for (unsigned long nth = 1; met; nth += step) {
		struct fixture fixture;
		size_t pieces = alloc_pieces();

		current_seed = nth;
		fixture_init(&fixture, &chain, true);
		struct test_store *store = &fixture.stores[layer];

		store->fail_from = nth;
		store->fail_to = for_good ? ULONG_MAX : nth;
		store->error = -EREMOTEIO;
		int error = run(&fixture, flags);

		met = store->calls >= nth;
		/* What failed once may go well when it is tried again, as a map is that got some extents. */
		CHECK(!met || error == -EREMOTEIO || (!for_good && !error),
		      "call %lu of layer %u: error %d", nth, layer, error);
		CHECK(met || !error, "an error without a failure: %d", error);
		CHECK(alloc_pieces() == pieces, "call %lu: memory leaked", nth);
	}
	assert_true(current_seed > 10);
}

static void test_a_failed_call_of_the_storage_is_told(void **state)
{
	(void)state;
	for (unsigned layer = 0; layer < 3; layer++)
		fail_storage(layer, false, 0);
}

static void test_storage_that_fails_for_good_is_told(void **state)
{
	(void)state;
	for (unsigned layer = 0; layer < 3; layer++)
		fail_storage(layer, true, 0);
}

static void test_storage_that_fails_is_told_when_examining(void **state)
{
	(void)state;
	fail_storage(0, true, VHDX_OPEN_EXAMINE);
	fail_storage(2, true, VHDX_OPEN_EXAMINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failed_allocation_is_told_and_nothing_leaks),
		cmocka_unit_test(test_a_failed_allocation_is_told_and_nothing_leaks_when_examining),
		cmocka_unit_test(test_a_failed_call_of_the_storage_is_told),
		cmocka_unit_test(test_storage_that_fails_for_good_is_told),
		cmocka_unit_test(test_storage_that_fails_is_told_when_examining),
	};

	return cmocka_run_group_tests(tests, make_chain, drop_chain);
}
