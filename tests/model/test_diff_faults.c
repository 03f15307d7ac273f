/* SPDX-License-Identifier: MIT */
/* The Nth allocation or call of a storage fails, for every N, while vhdx_diff makes a child. */
#include <errno.h>
#include <limits.h>

#include "support/alloc.h"
#include "support/fixture.h"
#include "support/newdisk.h"
#include "support/writestore.h"

static struct chain chain;     /* of the base */
static struct sparse contents; /* all that a child must read as */

/* A child with blocks that are its own in part, and a parent. */
static bool is_rich(const struct chain *made)
{
	return made->depth == 2 && made->layers[0].bitmap_count > 0 &&
	       made->layers[0].virtual_size > 6 * T_MIB;
}

static int make_base(void **state)
{
	struct rng rng;
	uint8_t buf[64 * T_KIB];

	(void)state;
	current_seed = chain_make_until(2, is_rich, &chain);
	uint64_t size = chain.layers[0].virtual_size;

	rng = rng_make(current_seed);
	sparse_copy(&contents, 0, &chain.guest, 0, size);
	sparse_resize(&contents, size);
	sparse_zero(&contents, T_MIB, 2 * T_MIB);
	for (uint64_t at = 0; at < size - sizeof(buf); at += T_MIB / 2) {
		rng_fill(&rng, buf, sizeof(buf));
		sparse_write(&contents, buf, sizeof(buf), at);
	}
	return 0;
}

static int drop_base(void **state)
{
	(void)state;
	chain_free(&chain);
	sparse_free(&contents);
	return 0;
}

/* Everything that takes part in one run. */
struct run {
	struct fixture fixture;
	struct vhdx *base;
	struct test_store store; /* the contents' */
	struct vhdx_io io;
	struct vhdx_source source;
	struct write_store child;
	struct vhdx_diff_options options;
	char path[64];
};

static void begin(struct run *run)
{
	memset(run, 0, sizeof(*run));
	fixture_init(&run->fixture, &chain, true);
	CHECK(!fixture_open(&run->fixture, 0, &run->base), "%s", vhdx_last_error()->text);
	run->store.bytes = &contents;
	run->io = test_store_io(&run->store, true);
	run->source = (struct vhdx_source){.size = sizeof(run->source), .io = &run->io};
	write_store_init(&run->child);
	snprintf(run->path, sizeof(run->path), ".\\%s", chain.layers[0].name);
	run->options = (struct vhdx_diff_options){.size = sizeof(run->options),
						  .block_size = (uint32_t)T_MIB,
						  .relative_path = run->path};
}

static int diff_io(struct run *run)
{
	struct vhdx_io io = write_store_io(&run->child, 0);

	return vhdx_diff_io(run->base, &run->source, &io, &run->options);
}

/* The base is as good as before, whatever happened to the child. */
static void check_base(struct run *run)
{
	uint8_t got[4096], expected[4096];

	for (uint64_t at = 0; at + sizeof(got) <= chain.layers[0].virtual_size; at += T_MIB) {
		CHECK(!vhdx_pread(run->base, got, sizeof(got), at), "the base cannot be read");
		sparse_read(&chain.guest, expected, sizeof(got), at);
		assert_memory_equal(got, expected, sizeof(got));
	}
}

static void end(struct run *run)
{
	check_base(run);
	fixture_check_unchanged(&run->fixture);
	vhdx_close(run->base);
	write_store_free(&run->child);
}

static void check_contents(struct vhdx *child)
{
	static uint8_t got[T_MIB], expected[T_MIB];
	uint64_t size = chain.layers[0].virtual_size;

	for (uint64_t at = 0, part; at < size; at += part) {
		part = size - at < T_MIB ? size - at : T_MIB;
		CHECK(!vhdx_pread(child, got, part, at), "%s", vhdx_last_error()->text);
		sparse_read(&contents, expected, part, at);
		CHECK(!memcmp(got, expected, part), "other bytes behind %llu",
		      (unsigned long long)at);
	}
}

/* A child that is said to be there is right. */
static void check_child(struct run *run)
{
	struct vhdx_open_options open = {
		.size = sizeof(open), .open_parent = fixture_open_parent, .opaque = &run->fixture};
	struct vhdx_io io = write_store_io(&run->child, 0);
	struct vhdx *child;

	CHECK(!vhdx_open_io(&io, &open, &child), "%s", vhdx_last_error()->text);
	check_contents(child);
	vhdx_close(child);
}

static void test_a_failed_allocation_is_told_and_nothing_leaks(void **state)
{
	unsigned long step = (unsigned long)(10 / sampled(10));
	bool met = true;
	unsigned failed = 0;

	(void)state;
	for (unsigned long nth = 1; met; nth += step) {
		size_t pieces = alloc_pieces();
		struct run run;

		current_seed = nth;
		begin(&run);
		alloc_fail_nth(nth);
		int ret = diff_io(&run);

		met = alloc_has_failed();
		alloc_fail_nth(0);
		CHECK(!ret || (met && ret == -ENOMEM), "allocation %lu: %d, %s", nth, ret,
		      vhdx_last_error()->text);
		failed += ret != 0;
		if (!ret)
			check_child(&run);
		end(&run);
		CHECK(alloc_pieces() == pieces, "allocation %lu: memory leaked", nth);
	}
	assert_true(failed > 10 / (step + 1));
}

/* What fails once may go well when the journal tries it again. */
static void fail_writes(bool for_good)
{
	unsigned long step = (unsigned long)(5 / sampled(5));
	bool met = true;
	unsigned failed = 0;

	for (unsigned long nth = 1; met; nth += step) {
		size_t pieces = alloc_pieces();
		struct run run;

		current_seed = nth;
		begin(&run);
		run.child.fail_calls = STORE_BIT(STORE_WRITE);
		run.child.fail_from = nth;
		run.child.fail_to = for_good ? ULONG_MAX : nth;
		run.child.error = -EREMOTEIO;
		int ret = diff_io(&run);

		met = run.child.failed;
		failed += ret != 0;
		run.child.fail_from = run.child.fail_to = 0;
		CHECK(met && for_good ? ret == -EREMOTEIO : !ret || (met && ret == -EREMOTEIO),
		      "call %lu: %d, %s", nth, ret, vhdx_last_error()->text);
		if (!ret)
			check_child(&run);
		end(&run);
		CHECK(alloc_pieces() == pieces, "call %lu: memory leaked", nth);
	}
	assert_true(failed > 3);
}

static void test_a_failed_write_to_the_child_is_told(void **state)
{
	(void)state;
	fail_writes(false);
	fail_writes(true);
}

static void test_a_failed_flush_is_told(void **state)
{
	struct run run;

	(void)state;
	begin(&run);
	run.child.fail_calls = STORE_BIT(STORE_FLUSH);
	run.child.fail_from = 1;
	run.child.fail_to = ULONG_MAX;
	run.child.error = -EIO;
	assert_int_equal(diff_io(&run), -EIO);
	end(&run);
	begin(&run);
	run.options.flags = VHDX_CREATE_NO_SYNC;
	assert_int_equal(diff_io(&run), 0);
	assert_int_equal(write_store_count(&run.child, STORE_BIT(STORE_FLUSH)), 0);
	end(&run);
}

static void test_the_storage_is_flushed_once_when_all_is_there(void **state)
{
	struct run run;

	(void)state;
	begin(&run);
	assert_int_equal(diff_io(&run), 0);
	assert_int_equal(write_store_count(&run.child, STORE_BIT(STORE_FLUSH)), 1);
	end(&run);
}

/* Of the base and of the contents, all calls while the child is made. */
static void test_what_cannot_be_read_is_told(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		bool met = true;

		for (unsigned long nth = 1; met; nth++) {
			struct run run;

			begin(&run);
			struct test_store *store = which < 2 ? &run.fixture.stores[which]
							     : &run.store;

			current_seed = nth;
			store->fail_from = store->calls + nth;
			store->fail_to = ULONG_MAX;
			store->error = -EREMOTEIO;
			int ret = diff_io(&run);

			met = store->calls >= store->fail_from;
			store->fail_from = store->fail_to = 0;
			CHECK(ret == (met ? -EREMOTEIO : 0), "call %lu of %u: %d", nth, which, ret);
			end(&run);
		}
		assert_true(current_seed > 3);
	}
}

static void test_a_full_storage_is_told(void **state)
{
	bool met = true;

	(void)state;
	for (uint64_t limit = T_MIB / 2; met; limit += T_MIB / 2) {
		struct run run;

		current_seed = limit;
		begin(&run);
		run.child.limit = limit;
		int ret = diff_io(&run);

		met = ret;
		CHECK(!ret || ret == -ENOSPC, "%d, %s", ret, vhdx_last_error()->text);
		run.child.limit = 0;
		if (!ret)
			check_child(&run);
		end(&run);
	}
	assert_true(current_seed > 4 * T_MIB);
}

/* ---- A new file ---- */

static int stop_at(void *opaque, uint64_t done, uint64_t total)
{
	uint64_t *at = opaque;

	assert_true(done <= total);
	return done >= *at;
}

static void test_a_cancelled_diff_leaves_nothing(void **state)
{
	uint64_t size = chain.layers[0].virtual_size;

	(void)state;
	for (uint64_t at = 0; at <= size; at += T_MIB) {
		struct run run;

		begin(&run);
		run.options.progress = stop_at;
		run.options.opaque = &at;
		assert_int_equal(vhdx_diff(run.base, &run.source, "child", &run.options),
				 -ECANCELED);
		assert_int_equal(scratch_count(), 0);
		end(&run);
	}
}

static void test_a_failed_diff_leaves_nothing_and_what_was_there(void **state)
{
	struct run run;

	(void)state;
	begin(&run);
	scratch_write("child", "old", 3, 0);
	assert_int_equal(vhdx_diff(run.base, &run.source, "child", &run.options), -EEXIST);
	run.options.flags = VHDX_CREATE_FORCE;
	run.store.fail_from = 2;
	run.store.fail_to = ULONG_MAX;
	run.store.error = -EIO;
	assert_int_equal(vhdx_diff(run.base, &run.source, "child", &run.options), -EIO);
	assert_int_equal(scratch_count(), 1);
	assert_int_equal(scratch_size("child"), 3);
	run.store.fail_from = run.store.fail_to = 0;
	assert_int_equal(vhdx_diff(run.base, &run.source, "child", &run.options), 0);
	assert_int_equal(scratch_count(), 1);
	assert_int_equal(vhdx_probe("child"), 1);
	end(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failed_allocation_is_told_and_nothing_leaks),
		cmocka_unit_test(test_a_failed_write_to_the_child_is_told),
		cmocka_unit_test(test_a_failed_flush_is_told),
		cmocka_unit_test(test_the_storage_is_flushed_once_when_all_is_there),
		cmocka_unit_test(test_what_cannot_be_read_is_told),
		cmocka_unit_test(test_a_full_storage_is_told),
		SCRATCH_TEST(test_a_cancelled_diff_leaves_nothing),
		SCRATCH_TEST(test_a_failed_diff_leaves_nothing_and_what_was_there),
	};

	return cmocka_run_group_tests(tests, make_base, drop_base);
}
