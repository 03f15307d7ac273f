/* SPDX-License-Identifier: MIT */
/* Random chains put upon other parents: every file reads as before, and children keep their parent. */
#include <errno.h>
#include <string.h>

#include "support/writechain.h"
#include "vdisk/disk.h"

static int rebase(struct write_chain *chain, unsigned child, unsigned parent, uint32_t flags)
{
	struct vhdx_open_options how = {
		.size = sizeof(how), .open_parent = write_chain_open_parent, .opaque = chain};
	struct vhdx_rebase_options options = {.size = sizeof(options),
					      .flags = flags,
					      .parent = write_chain_name(chain, parent),
					      .parent_options = &how};
	struct vhdx *disk;
	int ret = write_chain_open(chain, child, VHDX_OPEN_WRITE, 0, &disk);

	CHECK(!ret, "open: %s", vhdx_last_error()->text);
	ret = vhdx_rebase(disk, &options);
	CHECK(!vhdx_close(disk), "close: %s", vhdx_last_error()->text);
	return ret;
}

/* Which file the child's locator leads to. */
static void check_parent(struct write_chain *chain, unsigned child, unsigned parent)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	CHECK(!write_chain_open(chain, child, 0, 0, &disk), "open: %s", vhdx_last_error()->text);
	vhdx_get_info(vhdx_get_parent(disk), &info);
	assert_non_null(strstr(info.path, write_chain_name(chain, parent)));
	assert_int_equal(vhdx_close(disk), 0);
}

static unsigned choose_parent(struct rng *rng, const struct write_chain *chain, unsigned child)
{
	return rng_chance(rng, 50) ? OTHER
				   : (unsigned)rng_between(rng, child + 1, chain->chain.depth - 1);
}

static void rebase_random(struct rng *rng, unsigned depth, const struct chain_style *style)
{
	unsigned child = rng_chance(rng, 60) ? 0 : (unsigned)rng_below(rng, depth - 1);
	struct write_chain chain;

	write_chain_make(rng, depth, style, &chain);
	write_chain_note(&chain);
	unsigned parent = choose_parent(rng, &chain, child);

	CHECK(!rebase(&chain, child, parent, 0), "rebase: %s", vhdx_last_error()->text);
	check_parent(&chain, child, parent);
	for (unsigned i = 0; i < depth; i++) {
		write_chain_check(&chain, i);
		CHECK(write_chain_kept_guid(&chain, i), "layer %u has a new DataWriteGuid", i);
	}
	CHECK(write_chain_kept_guid(&chain, OTHER), "the new parent was changed");
	write_chain_free(&chain);
}

static const struct chain_style small = {.tidy = true, .small_blocks = true};
static const struct chain_style large = {.tidy = true};

static void test_a_child_reads_the_same_on_another_parent(void **state)
{
	(void)state;
	write_chain_over_seeds(150, 2, &small, rebase_random);
}

static void test_chains_read_the_same_on_another_parent(void **state)
{
	(void)state;
	write_chain_over_seeds(120, 3, &small, rebase_random);
	write_chain_over_seeds(40, 6, &small, rebase_random);
}

static void test_blocks_of_any_size_read_the_same_on_another_parent(void **state)
{
	(void)state;
	write_chain_over_seeds(20, 3, &large, rebase_random);
}

/* There and back copies once: the second time only the pointer changes, and contents with it. */
static void test_an_unsafe_rebase_changes_the_pointer_alone(void **state)
{
	struct rng rng = rng_make(7);
	struct write_chain chain;

	(void)state;
	write_chain_make(&rng, 3, &small, &chain);
	uint64_t size = chain.stores[0].bytes.size;

	assert_int_equal(rebase(&chain, 0, OTHER, VHDX_REBASE_UNSAFE), 0);
	check_parent(&chain, 0, OTHER);
	assert_int_equal(rebase(&chain, 0, 1, VHDX_REBASE_UNSAFE), 0);
	check_parent(&chain, 0, 1);
	assert_true(chain.stores[0].bytes.size <= size);
	write_chain_check(&chain, 0);
	write_chain_free(&chain);
}

/* Parents that come and go are not counted for ever: the metadata of a chain may take 24 MiB. */
static void test_a_disk_gets_another_parent_any_number_of_times(void **state)
{
	struct vhdx_rebase_options options = {.size = sizeof(options), .flags = VHDX_REBASE_UNSAFE};
	struct rng rng = rng_make(11);
	struct write_chain chain;
	struct vhdx *disk;

	(void)state;
	write_chain_make(&rng, 3, &small, &chain);
	struct vhdx_open_options how = {
		.size = sizeof(how), .open_parent = write_chain_open_parent, .opaque = &chain};

	options.parent_options = &how;
	CHECK(!write_chain_open(&chain, 0, VHDX_OPEN_WRITE, 0, &disk), "open: %s",
	      vhdx_last_error()->text);
	uint64_t memory = 0;

	for (unsigned i = 0; i < 5; i++) {
		options.parent = write_chain_name(&chain, i & 1 ? OTHER : 1);
		CHECK(!vhdx_rebase(disk, &options), "rebase: %s", vhdx_last_error()->text);
		if (i == 2) /* what the locator had of paths before is gone */
			memory = disk->shared->image_memory;
	}
	assert_int_equal(disk->shared->image_memory, memory);
	assert_int_equal(vhdx_close(disk), 0);
	write_chain_free(&chain);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_child_reads_the_same_on_another_parent),
		cmocka_unit_test(test_chains_read_the_same_on_another_parent),
		cmocka_unit_test(test_blocks_of_any_size_read_the_same_on_another_parent),
		cmocka_unit_test(test_an_unsafe_rebase_changes_the_pointer_alone),
		cmocka_unit_test(test_a_disk_gets_another_parent_any_number_of_times),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
