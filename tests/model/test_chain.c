/* SPDX-License-Identifier: MIT */
/* Chains on the caller's storage: parents that are missing, others, or their own children. */
#include <errno.h>
#include <string.h>

#include "support/fixture.h"

static struct chain chain;
static struct fixture fixture;
static struct vhdx *disk;
static unsigned warnings;

static void make_chain_of(unsigned depth)
{
	for (uint64_t seed = 1; chain.depth != depth; seed++) {
		struct rng rng = rng_make(seed);

		chain_free(&chain);
		chain_make(&rng,
			   &(struct chain_style){
				   .max_depth = depth, .tidy = true, .small_blocks = true},
			   &chain);
	}
	fixture_init(&fixture, &chain, true);
	disk = NULL;
	warnings = 0;
}

/* A child and its parent. */
static int make_chain(void **state)
{
	(void)state;
	make_chain_of(2);
	return 0;
}

/* A child, its parent, and that one's parent. */
static int make_long_chain(void **state)
{
	(void)state;
	make_chain_of(3);
	return 0;
}

static int drop_chain(void **state)
{
	(void)state;
	vhdx_close(disk);
	chain_free(&chain);
	return 0;
}

/* Changes the parent's DataWriteGuid behind its child's back. */
static void change_parent(void)
{
	struct sparse *file = &chain.layers[1].file;

	for (uint64_t at = 64 * T_KIB; at <= 128 * T_KIB; at += 64 * T_KIB) {
		uint8_t byte;

		sparse_read(file, &byte, 1, at + 32);
		byte ^= 1;
		sparse_write(file, &byte, 1, at + 32);
	}
	image_mend_checksums(file, chain.layers[1].log.offset, chain.layers[1].log.length);
}

static void note_warning(void *opaque, const char *file, const char *text)
{
	(void)opaque;
	assert_string_not_equal(file, "");
	assert_string_not_equal(text, "");
	warnings++;
}

static int no_parent(void *opaque, const char *child, const char *key, const char *path,
		     struct vhdx_io *ret_io)
{
	(void)opaque;
	(void)child;
	(void)key;
	(void)path;
	(void)ret_io;
	return -ENOENT;
}

/* The parents but the last one. */
static int no_base(void *opaque, const char *child, const char *key, const char *path,
		   struct vhdx_io *ret_io)
{
	return strstr(path, "layer2") ? -ENOENT
				      : fixture_open_parent(opaque, child, key, path, ret_io);
}

/* The child is its own parent, for ever. */
static int same_child(void *opaque, const char *child, const char *key, const char *path,
		      struct vhdx_io *ret_io)
{
	(void)opaque;
	(void)child;
	(void)key;
	(void)path;
	*ret_io = test_store_io(&fixture.stores[0], true);
	return 0;
}

static int open_with(uint32_t flags, int (*open_parent)(void *, const char *, const char *,
							const char *, struct vhdx_io *))
{
	struct vhdx_io io = test_store_io(&fixture.stores[0], true);
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = open_parent,
		.warning = note_warning,
		.opaque = &fixture,
	};

	return vhdx_open_io(&io, &options, &disk);
}

static void test_closing_closes_every_file_once(void **state)
{
	(void)state;
	assert_int_equal(open_with(0, fixture_open_parent), 0);
	assert_non_null(vhdx_get_parent(disk));
	assert_int_equal(vhdx_close(disk), 0);
	disk = NULL;
	assert_int_equal(fixture.stores[0].closes, 1);
	assert_int_equal(fixture.stores[1].closes, 1);
}

static void test_a_failed_open_leaves_the_leaf_open_and_closes_the_parent(void **state)
{
	(void)state;
	change_parent();
	assert_int_equal(open_with(0, fixture_open_parent), -EUCLEAN);
	assert_null(disk);
	assert_int_equal(fixture.stores[0].closes, 0);
	assert_true(fixture.stores[1].closes >= 1);
}

static void test_a_parent_that_was_changed_is_refused(void **state)
{
	(void)state;
	change_parent();
	assert_int_equal(open_with(0, fixture_open_parent), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, 821);
	assert_non_null(strstr(vhdx_last_error()->text, "expected"));
}

static void test_a_parent_that_was_changed_is_taken_on_demand_with_a_warning(void **state)
{
	(void)state;
	change_parent();
	assert_int_equal(open_with(VHDX_OPEN_IGNORE_ID_MISMATCH, fixture_open_parent), 0);
	assert_true(warnings > 0);
	assert_non_null(vhdx_get_parent(disk));
}

static void test_a_parent_that_is_missing_is_told(void **state)
{
	(void)state;
	assert_int_equal(open_with(0, no_parent), -ENOENT);
	assert_int_equal(vhdx_last_error()->problem, 820);
}

static void test_without_a_callback_children_need_no_parent(void **state)
{
	(void)state;
	assert_int_equal(open_with(0, NULL), -ENOTSUP);
	assert_int_equal(open_with(VHDX_OPEN_NO_PARENT, NULL), 0);
	assert_null(vhdx_get_parent(disk));
}

static void test_examine_opens_without_the_parent_and_does_not_read(void **state)
{
	struct vhdx_info info = {.size = sizeof(info)};
	char byte;

	(void)state;
	assert_int_equal(open_with(VHDX_OPEN_EXAMINE, no_parent), 0);
	assert_non_null(vhdx_get_fault(disk));
	assert_int_equal(vhdx_pread(disk, &byte, 1, 0), -ENOENT);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	assert_int_equal(info.virtual_size, chain.layers[0].virtual_size);
}

/* Neither the leaf nor its parent can be read, for the sake of @problem further down. */
static void check_unreadable(int expected, unsigned problem)
{
	struct vhdx *parent = vhdx_get_parent(disk);

	assert_non_null(parent);
	for (struct vhdx *each = disk; each; each = each == disk ? parent : NULL) {
		struct vhdx_extent extents[4];
		size_t count = 4;
		char byte = 0x5a;

		assert_int_equal(vhdx_pread(each, &byte, 1, 0), expected);
		assert_int_equal(vhdx_last_error()->problem, problem);
		assert_int_equal(byte, 0x5a);
		assert_int_equal(vhdx_extents(each, 0, 512, 0, extents, &count), expected);
		assert_int_equal(vhdx_last_error()->problem, problem);
	}
}

static void test_a_parent_whose_own_parent_is_missing_does_not_read(void **state)
{
	(void)state;
	assert_int_equal(open_with(VHDX_OPEN_EXAMINE, no_base), 0);
	check_unreadable(-ENOENT, 820);
}

static void test_a_parent_whose_own_parent_is_damaged_does_not_read(void **state)
{
	struct sparse *base = &chain.layers[2].file;

	(void)state;
	sparse_zero(base, 192 * T_KIB, 128 * T_KIB); /* both region tables */
	assert_int_equal(open_with(VHDX_OPEN_EXAMINE, fixture_open_parent), 0);
	check_unreadable(-EUCLEAN, 303);
}

/* Progress that never falls, and its last value. */
struct watched {
	uint64_t last;
	uint64_t total;
};

static int watch(void *opaque, uint64_t done, uint64_t total)
{
	struct watched *watched = opaque;

	assert_true(done >= watched->last && done <= total);
	assert_true(!watched->total || total == watched->total);
	*watched = (struct watched){done, total};
	return 0;
}

static void test_the_progress_of_a_check_is_that_of_the_chain(void **state)
{
	struct watched watched = {0};
	struct vhdx_check_options options = {.size = sizeof(options),
					     .flags = VHDX_CHECK_CHAIN,
					     .progress = watch,
					     .opaque = &watched};
	struct vhdx_check_result result = {.size = sizeof(result)};
	uint64_t bytes = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		bytes += chain.layers[i].bat.length;
	assert_int_equal(open_with(VHDX_OPEN_EXAMINE, fixture_open_parent), 0);
	assert_int_equal(vhdx_check(disk, &options, &result), 0);
	assert_int_equal(watched.total, bytes);
	assert_int_equal(watched.last, bytes);
}

static void test_candidates_tell_where_the_parent_was_looked_for(void **state)
{
	struct vhdx_candidate candidate = {.size = sizeof(candidate)};
	size_t count = 0;

	(void)state;
	change_parent();
	assert_int_equal(open_with(VHDX_OPEN_EXAMINE, fixture_open_parent), 0);
	while (!vhdx_get_candidate(disk, count, &candidate)) {
		assert_int_equal(candidate.state, VHDX_PARENT_MISMATCH);
		assert_non_null(strstr(candidate.path, "layer1.vhdx"));
		count++;
	}
	assert_true(count >= 1);
	assert_int_equal(vhdx_get_candidate(disk, count, &candidate), -ENOENT);
}

static void test_a_chain_without_end_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_with(VHDX_OPEN_IGNORE_ID_MISMATCH, same_child), -EUCLEAN);
	assert_true(vhdx_last_error()->problem == 823 || vhdx_last_error()->problem == 824 ||
		    vhdx_last_error()->problem == 827);
	assert_true(fixture.stores[0].closes <= 256);
}

static void test_a_parent_with_other_sectors_is_refused(void **state)
{
	struct layer *parent = &chain.layers[1];
	uint8_t table[65536];

	(void)state;
	sparse_read(&parent->file, table, sizeof(table), parent->metadata.offset);
	for (size_t entry = 32; entry < sizeof(table); entry += 32) {
		uint8_t guid[16];
		uint8_t number[4];

		put_guid(guid, "8141BF1D-A96F-4709-BA47-F233A8FAAB5F");
		if (memcmp(table + entry, guid, 16) != 0)
			continue;
		put_number(number, parent->sector_size == 512 ? 4096 : 512, 4);
		sparse_write(&parent->file, number, 4,
			     parent->metadata.offset + get_number(table + entry + 16, 4));
		break;
	}
	int ret = open_with(0, fixture_open_parent);

	/* 4096 where the disk's size is no multiple of it is refused before that. */
	assert_int_equal(ret, -EUCLEAN);
	assert_true(vhdx_last_error()->problem == 825 || vhdx_last_error()->problem == 519);
}

static void test_options_of_a_newer_caller_are_refused_by_their_flags(void **state)
{
	(void)state;
	assert_int_equal(open_with(0x80000000, fixture_open_parent), -EINVAL);
	assert_int_equal(fixture.stores[0].calls, 0);
}

/* ---- Parents that the caller names ---- */

static unsigned next_layer;   /* that is given next */
static unsigned given_layers; /* so many are given */
static int giving_fails;      /* the errno, negative, behind those */
static bool giving_unusable;  /* storage that nothing can be read of */
static int unusable_given;

static int give_next(void *opaque, const char *child, struct vhdx_io *ret_io, const char **ret_name)
{
	(void)opaque;
	assert_string_not_equal(child, "");
	if (next_layer > given_layers)
		return giving_fails;
	*ret_name = "the next one";
	*ret_io = test_store_io(&fixture.stores[next_layer++], true);
	if (giving_unusable)
		ret_io->preadv = NULL;
	return 0;
}

static int give_unusable(void *opaque, const char *child, const char *key, const char *path,
			 struct vhdx_io *ret_io)
{
	int ret = fixture_open_parent(opaque, child, key, path, ret_io);

	ret_io->preadv = NULL;
	unusable_given++;
	return ret;
}

static int open_given(unsigned layers, int behind,
		      int (*open_parent)(void *, const char *, const char *, const char *,
					 struct vhdx_io *))
{
	struct vhdx_io io = test_store_io(&fixture.stores[0], true);
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.open_parent = open_parent,
		.next_parent = give_next,
		.opaque = &fixture,
	};

	next_layer = 1;
	given_layers = layers;
	giving_fails = behind;
	return vhdx_open_io(&io, &options, &disk);
}

static void test_parents_that_are_given_need_no_locator(void **state)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx_candidate candidate = {.size = sizeof(candidate)};

	(void)state;
	assert_int_equal(open_given(2, -ENOENT, no_parent), 0);
	assert_int_equal(next_layer, 3);
	assert_non_null(vhdx_get_parent(vhdx_get_parent(disk)));
	assert_int_equal(vhdx_get_info(vhdx_get_parent(disk), &info), 0);
	assert_string_equal(info.path, "the next one");
	assert_int_equal(vhdx_get_candidate(disk, 0, &candidate), 0);
	assert_string_equal(candidate.key, "given");
	assert_int_equal(candidate.state, VHDX_PARENT_OPENED);
}

static void test_behind_those_that_are_given_parents_are_looked_for(void **state)
{
	(void)state;
	assert_int_equal(open_given(1, -ENOENT, fixture_open_parent), 0);
	assert_int_equal(next_layer, 2);
	assert_non_null(vhdx_get_parent(vhdx_get_parent(disk)));
}

static void test_another_image_that_is_given_is_refused_and_closed(void **state)
{
	(void)state;
	change_parent();
	assert_int_equal(open_given(1, -ENOENT, fixture_open_parent), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, 821);
	assert_non_null(strstr(vhdx_last_error()->text, "the next one"));
	assert_int_equal(fixture.stores[1].closes, 1);
	assert_int_equal(fixture.stores[0].closes, 0);
}

static void test_a_parent_that_cannot_be_given_is_not_looked_for(void **state)
{
	(void)state;
	assert_int_equal(open_given(0, -ECONNREFUSED, fixture_open_parent), -ECONNREFUSED);
	assert_int_equal(fixture.stores[1].calls, 0);
}

static void test_storage_that_is_given_and_unusable_is_closed(void **state)
{
	(void)state;
	giving_unusable = true;
	int ret = open_given(1, -ENOENT, no_parent);

	giving_unusable = false;
	assert_int_equal(ret, -EINVAL);
	assert_int_equal(fixture.stores[1].closes, 1);
	assert_true(open_with(0, give_unusable) < 0);
	assert_true(unusable_given > 0);
	assert_int_equal(fixture.stores[1].closes, 1 + unusable_given);
}

int main(void)
{
#define WITH_CHAIN(test)      cmocka_unit_test_setup_teardown(test, make_chain, drop_chain)
#define WITH_LONG_CHAIN(test) cmocka_unit_test_setup_teardown(test, make_long_chain, drop_chain)
	const struct CMUnitTest tests[] = {
		WITH_CHAIN(test_closing_closes_every_file_once),
		WITH_CHAIN(test_a_failed_open_leaves_the_leaf_open_and_closes_the_parent),
		WITH_CHAIN(test_a_parent_that_was_changed_is_refused),
		WITH_CHAIN(test_a_parent_that_was_changed_is_taken_on_demand_with_a_warning),
		WITH_CHAIN(test_a_parent_that_is_missing_is_told),
		WITH_CHAIN(test_without_a_callback_children_need_no_parent),
		WITH_CHAIN(test_examine_opens_without_the_parent_and_does_not_read),
		WITH_LONG_CHAIN(test_a_parent_whose_own_parent_is_missing_does_not_read),
		WITH_LONG_CHAIN(test_a_parent_whose_own_parent_is_damaged_does_not_read),
		WITH_LONG_CHAIN(test_the_progress_of_a_check_is_that_of_the_chain),
		WITH_CHAIN(test_candidates_tell_where_the_parent_was_looked_for),
		WITH_CHAIN(test_a_chain_without_end_is_refused),
		WITH_CHAIN(test_a_parent_with_other_sectors_is_refused),
		WITH_LONG_CHAIN(test_parents_that_are_given_need_no_locator),
		WITH_LONG_CHAIN(test_behind_those_that_are_given_parents_are_looked_for),
		WITH_CHAIN(test_another_image_that_is_given_is_refused_and_closed),
		WITH_CHAIN(test_a_parent_that_cannot_be_given_is_not_looked_for),
		WITH_CHAIN(test_storage_that_is_given_and_unusable_is_closed),
		WITH_CHAIN(test_options_of_a_newer_caller_are_refused_by_their_flags),
	};

	return RUN_TESTS(tests);
}
