/* SPDX-License-Identifier: MIT */
/*
 * The Nth allocation, or call of one of the files' storage, fails, or the Nth progress asks to stop, for every N,
 * while a chain is merged or gets another parent. The chain reads as before, and the next try finishes.
 */
#include <errno.h>
#include <string.h>

#include "support/alloc.h"
#include "support/writechain.h"

struct operation {
	const char *name;
	unsigned depth;
	unsigned other; /* what the leaf is merged into, or put upon */
	bool is_rebase;
};

static const struct operation operations[] = {
	{"commit", 2, 1, false},
	{"commit of two links", 3, 2, false},
	{"rebase", 2, OTHER, true},
};

static const struct chain_style style = {.tidy = true, .small_blocks = true};

static unsigned long progress_left; /* calls until one asks to stop; 0: none does */

static int count_down(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	(void)done;
	(void)total;
	return progress_left && !--progress_left;
}

static bool is_small(const struct write_chain *chain)
{
	for (unsigned i = 0; i < chain->chain.depth; i++)
		if (chain->sizes[i] > 5 * T_MIB || !chain->chain.layers[i].count)
			return false;
	return chain->sizes[0] > chain->sizes[1] && chain->sizes[OTHER] < 5 * T_MIB;
}

/* The same each time for an operation. */
static void make(const struct operation *operation, struct write_chain *ret_chain)
{
	static uint64_t seeds[3];
	uint64_t *seed = &seeds[operation - operations];

	for (*seed += !*seed;; ++*seed) {
		struct rng rng = rng_make(*seed);

		write_chain_make(&rng, operation->depth, &style, ret_chain);
		if (is_small(ret_chain))
			return;
		write_chain_free(ret_chain);
	}
}

static int merge(const struct operation *operation, struct vhdx *disk)
{
	struct vhdx_commit_options options = {
		.size = sizeof(options), .into = disk, .progress = count_down};

	for (unsigned i = 0; i < operation->other; i++)
		options.into = vhdx_get_parent(options.into);
	return vhdx_commit(disk, &options);
}

static int rebase(const struct operation *operation, struct write_chain *chain, struct vhdx *disk)
{
	struct vhdx_open_options how = {
		.size = sizeof(how), .open_parent = write_chain_open_parent, .opaque = chain};
	struct vhdx_rebase_options options = {.size = sizeof(options),
					      .parent = write_chain_name(chain, operation->other),
					      .parent_options = &how,
					      .progress = count_down};

	return vhdx_rebase(disk, &options);
}

/* From the open to the close; returns the first failure. */
static int run(const struct operation *operation, struct write_chain *chain)
{
	struct vhdx *disk;
	int ret = write_chain_open(chain, 0, VHDX_OPEN_WRITE,
				   operation->is_rebase ? 0 : operation->other, &disk);

	if (ret)
		return ret;
	ret = operation->is_rebase ? rebase(operation, chain, disk) : merge(operation, disk);
	int result = vhdx_close(disk);

	return ret ? ret : result;
}

/* What failed left the chain as it was; tried again, it is done. */
static void check_and_finish(const struct operation *operation, struct write_chain *chain)
{
	write_chain_check(chain, 0);
	CHECK(!run(operation, chain), "%s, tried again: %s", operation->name,
	      vhdx_last_error()->text);
	write_chain_check(chain, 0);
	if (operation->is_rebase)
		return;
	write_chain_set_view(chain, operation->other, &chain->views[0], chain->sizes[0]);
	write_chain_check(chain, operation->other);
}

/* Returns how many runs failed. */
static unsigned fail_storage(const struct operation *operation, unsigned file, int error,
			     unsigned calls)
{
	unsigned long step = (unsigned long)(10 / sampled(10));
	unsigned failures = 0;
	bool met = true;

	for (unsigned long nth = 1; met; nth += step) {
		struct write_chain chain;

		current_step = nth;
		make(operation, &chain);
		struct write_store *store = &chain.stores[file];

		store->fail_calls = calls;
		store->error = error;
		store->fail_from = nth;
		store->fail_to = nth;
		int ret = run(operation, &chain);

		store->fail_from = store->fail_to = 0;
		met = atomic_load(&store->failed);
		CHECK(!ret || met, "%s: %s", operation->name, vhdx_last_error()->text);
		failures += ret != 0;
		check_and_finish(operation, &chain);
		write_chain_free(&chain);
	}
	return failures;
}

static void test_a_failed_call_of_a_file_leaves_the_chain_as_it_was(void **state)
{
	(void)state;
	for (current_seed = 0; current_seed < 3; current_seed++) {
		const struct operation *operation = &operations[current_seed];

		for (unsigned i = 0; i < operation->depth; i++)
			assert_true(fail_storage(operation, i, -EIO, STORE_ANY) > 0);
	}
}

static void test_a_full_file_system_leaves_the_chain_as_it_was(void **state)
{
	(void)state;
	for (current_seed = 0; current_seed < 3; current_seed++) {
		const struct operation *operation = &operations[current_seed];
		unsigned changed = operation->is_rebase ? 0 : operation->other;

		assert_true(fail_storage(operation, changed, -ENOSPC, STORE_TAKES_SPACE) > 0);
	}
}

static void test_a_failed_allocation_leaves_the_chain_as_it_was(void **state)
{
	unsigned long step = (unsigned long)(10 / sampled(10));

	(void)state;
	for (current_seed = 0; current_seed < 3; current_seed++) {
		const struct operation *operation = &operations[current_seed];
		unsigned failures = 0;
		bool met = true;

		for (unsigned long nth = 1; met; nth += step) {
			struct write_chain chain;

			current_step = nth;
			make(operation, &chain);
			alloc_fail_nth(nth);
			int ret = run(operation, &chain);

			met = alloc_has_failed();
			alloc_fail_nth(0);
			CHECK(!ret || (met && ret == -ENOMEM), "%s: %d, %s", operation->name, ret,
			      vhdx_last_error()->text);
			failures += ret != 0;
			check_and_finish(operation, &chain);
			write_chain_free(&chain);
		}
		assert_true(failures > 0);
	}
}

static void test_a_cancel_leaves_the_chain_as_it_was(void **state)
{
	(void)state;
	for (current_seed = 0; current_seed < 3; current_seed++) {
		const struct operation *operation = &operations[current_seed];
		unsigned cancels = 0;
		int ret = -ECANCELED;

		for (unsigned long nth = 1; ret; nth++) {
			struct write_chain chain;

			current_step = nth;
			make(operation, &chain);
			progress_left = nth;
			ret = run(operation, &chain);
			progress_left = 0;
			CHECK(!ret || ret == -ECANCELED, "%s: %d, %s", operation->name, ret,
			      vhdx_last_error()->text);
			cancels += ret != 0;
			check_and_finish(operation, &chain);
			write_chain_free(&chain);
		}
		assert_true(cancels > 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failed_call_of_a_file_leaves_the_chain_as_it_was),
		cmocka_unit_test(test_a_full_file_system_leaves_the_chain_as_it_was),
		cmocka_unit_test(test_a_failed_allocation_leaves_the_chain_as_it_was),
		cmocka_unit_test(test_a_cancel_leaves_the_chain_as_it_was),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
