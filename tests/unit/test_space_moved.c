/* SPDX-License-Identifier: MIT */
/* The file's space when metadata and blocks move: what lies low, what metadata held, what is cut then. */
#include <errno.h>

#include "support/spacecase.h"

static void free_metadata(struct space_case *c, uint64_t offset, uint64_t length)
{
	struct freed *freed = malloc(sizeof(*freed));

	*freed = (struct freed){.offset = offset, .length = length, .held_metadata = true};
	vhdx_space_free(&c->space, freed, 1);
}

static bool take_below(struct space_case *c, uint64_t length, uint64_t limit,
		       struct place *ret_place)
{
	*ret_place = (struct place){0};
	return vhdx_space_take_below(&c->space, length, limit, ret_place);
}

static void test_any_whole_number_of_mebibytes_is_handed_out(void **state)
{
	struct space_case *c = *state;

	begin(c);
	expect(c, 3 * MIB, 6 * MIB, true); /* what grew goes before the two that were free */
	expect(c, 40 * MIB, 9 * MIB, true);
	expect(c, 2 * MIB, 49 * MIB, true);
	expect(c, 5 * MIB, 51 * MIB, true);
}

static void test_the_lowest_place_below_a_limit_is_taken(void **state)
{
	struct space_case *c = *state;
	struct place place;

	begin(c);
	take(c, 3 * MIB); /* at 6, fresh; behind it the growth is */
	assert_true(take_below(c, MIB, 20 * MIB, &place));
	assert_int_equal(place.offset, 4 * MIB);
	assert_false(place.fresh);
	assert_true(take_below(c, 2 * MIB, 11 * MIB, &place)); /* 5 is one too short */
	assert_int_equal(place.offset, 9 * MIB);
	assert_true(place.fresh);
	assert_false(take_below(c, 2 * MIB, 12 * MIB, &place));
	assert_true(take_below(c, MIB, 6 * MIB, &place));
	assert_int_equal(place.offset, 5 * MIB);
}

static void test_nothing_grows_for_a_place_below_a_limit(void **state)
{
	struct space_case *c = *state;
	struct place place;

	begin(c);
	assert_false(take_below(c, 3 * MIB, 100 * MIB, &place));
	assert_int_equal(c->file.size, FIRST_SIZE);
}

static void test_space_that_held_metadata_is_not_used_again(void **state)
{
	struct space_case *c = *state;
	struct place place;

	begin(c);
	place = take(c, 2 * MIB);
	assert_int_equal(place.offset, 4 * MIB);
	free_metadata(c, 4 * MIB, 2 * MIB);
	set_durable(c, 100);
	assert_false(take_below(c, 2 * MIB, 6 * MIB, &place));
	expect(c, 2 * MIB, 6 * MIB, true);
	free_place(c, 6 * MIB, 2 * MIB, 100, false); /* that of payload is */
	assert_true(take_below(c, 2 * MIB, 8 * MIB, &place));
}

static void test_space_that_held_metadata_is_cut(void **state)
{
	struct space_case *c = *state;

	begin(c);
	take(c, 2 * MIB);
	struct place place = take(c, 5 * MIB);

	free_metadata(c, place.offset, place.length);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, FIRST_SIZE);
}

static void test_a_file_may_be_cut_behind_its_last_structure(void **state)
{
	struct space_case *c = *state;

	begin(c);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, FIRST_SIZE);
	vhdx_space_allow_cut(&c->space);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, 4 * MIB);
}

int main(void)
{
#define WITH_SPACE(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_SPACE(test_any_whole_number_of_mebibytes_is_handed_out),
		WITH_SPACE(test_the_lowest_place_below_a_limit_is_taken),
		WITH_SPACE(test_nothing_grows_for_a_place_below_a_limit),
		WITH_SPACE(test_space_that_held_metadata_is_not_used_again),
		WITH_SPACE(test_space_that_held_metadata_is_cut),
		WITH_SPACE(test_a_file_may_be_cut_behind_its_last_structure),
	};

	return RUN_TESTS(tests);
}
