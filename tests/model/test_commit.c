/* SPDX-License-Identifier: MIT */
/* Random chains merged into each of their ancestors: what every file reads as afterwards, and its items. */
#include <errno.h>
#include <string.h>

#include "support/writechain.h"

static void merge(struct write_chain *chain, unsigned leaf, unsigned into)
{
	struct vhdx_commit_options options = {.size = sizeof(options)};
	struct vhdx *disk;

	CHECK(!write_chain_open(chain, leaf, VHDX_OPEN_WRITE, into - leaf, &disk), "open: %s",
	      vhdx_last_error()->text);
	options.into = disk;
	for (unsigned i = leaf; i < into; i++)
		options.into = vhdx_get_parent(options.into);
	CHECK(!vhdx_commit(disk, &options), "commit %u into %u: %s", leaf, into,
	      vhdx_last_error()->text);
	CHECK(!vhdx_close(disk), "close: %s", vhdx_last_error()->text);
	write_chain_set_view(chain, into, &chain->views[leaf], chain->sizes[leaf]);
}

/* The ancestor now stands for the leaf: it has what a guest sees of that. */
static void check_identity(struct write_chain *chain, unsigned leaf, unsigned into)
{
	struct vhdx_info of_leaf = {.size = sizeof(of_leaf)};
	struct vhdx_info of_ancestor = {.size = sizeof(of_ancestor)};
	struct vhdx *disk;

	assert_int_equal(write_chain_open(chain, leaf, 0, 0, &disk), 0);
	vhdx_get_info(disk, &of_leaf);
	vhdx_close(disk);
	assert_int_equal(write_chain_open(chain, into, 0, 0, &disk), 0);
	vhdx_get_info(disk, &of_ancestor);
	assert_memory_equal(of_leaf.disk_id.bytes, of_ancestor.disk_id.bytes, 16);
	assert_int_equal(of_leaf.physical_sector_size, of_ancestor.physical_sector_size);
	vhdx_close(disk);
}

/* Of each other file everything stays: its children know it, and it knows its parent. */
static void check_guids(struct write_chain *chain, unsigned into)
{
	for (unsigned i = 0; i < chain->chain.depth; i++)
		CHECK(write_chain_kept_guid(chain, i) == (i != into),
		      "layer %u has %s DataWriteGuid", i, i == into ? "the old" : "a new");
}

static void merge_random(struct rng *rng, unsigned depth, const struct chain_style *style)
{
	unsigned leaf = rng_chance(rng, 80) ? 0 : (unsigned)rng_below(rng, depth - 1);
	unsigned into = (unsigned)rng_between(rng, leaf + 1, depth - 1);
	struct write_chain chain;

	write_chain_make(rng, depth, style, &chain);
	write_chain_note(&chain);
	merge(&chain, leaf, into);
	write_chain_check(&chain, leaf);
	write_chain_check(&chain, into);
	check_identity(&chain, leaf, into);
	check_guids(&chain, into);
	/* Once more changes nothing that anybody reads. */
	if (rng_chance(rng, 20)) {
		merge(&chain, leaf, into);
		write_chain_check(&chain, leaf);
		write_chain_check(&chain, into);
	}
	write_chain_free(&chain);
}

static const struct chain_style small = {.tidy = true, .small_blocks = true};
static const struct chain_style large = {.tidy = true};

static void test_a_child_is_merged_into_its_parent(void **state)
{
	(void)state;
	write_chain_over_seeds(150, 2, &small, merge_random);
}

static void test_two_links_are_merged(void **state)
{
	(void)state;
	write_chain_over_seeds(120, 3, &small, merge_random);
}

static void test_five_links_are_merged(void **state)
{
	(void)state;
	write_chain_over_seeds(60, 6, &small, merge_random);
}

static void test_blocks_of_any_size_are_merged(void **state)
{
	(void)state;
	write_chain_over_seeds(20, 3, &large, merge_random);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_child_is_merged_into_its_parent),
		cmocka_unit_test(test_two_links_are_merged),
		cmocka_unit_test(test_five_links_are_merged),
		cmocka_unit_test(test_blocks_of_any_size_are_merged),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
