/* SPDX-License-Identifier: MIT */
/* The file's space: what is handed out, what growth costs, and when freed space comes back. */
#include <errno.h>
#include <string.h>

#include "support/alloc.h"
#include "support/spacecase.h"

/* The @count next blocks. */
static void take_blocks(struct space_case *c, unsigned count)
{
	while (count--)
		take(c, c->image.parameters.block_size);
}

/* ---- Handing out ---- */

static void test_what_the_file_had_free_is_not_fresh_and_what_it_grew_by_is(void **state)
{
	struct space_case *c = *state;

	begin(c);
	expect(c, 2 * MIB, 4 * MIB, false);
	assert_int_equal(c->file.size, FIRST_SIZE);
	expect(c, 2 * MIB, 6 * MIB, true);
	expect(c, MIB, 8 * MIB, true);
	expect(c, 2 * MIB, 9 * MIB, true);
}

static void test_fresh_space_goes_first(void **state)
{
	struct space_case *c = *state;

	begin(c);
	struct place place = take(c, 2 * MIB);

	expect(c, 2 * MIB, 6 * MIB, true);
	vhdx_space_give_back(&c->space, &place);
	expect(c, MIB, 8 * MIB, true);
	for (uint64_t at = 9; at < 37; at += 2)
		expect(c, 2 * MIB, at * MIB, true);
	expect(c, MIB, 37 * MIB, true);
	expect(c, MIB, 4 * MIB, false);
	expect(c, MIB, 5 * MIB, false);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_RESIZE), 1);
}

static void test_a_place_that_is_partly_fresh_is_not(void **state)
{
	struct space_case *c = *state;

	begin(c);
	take(c, 2 * MIB);
	for (uint64_t at = 6; at < 37; at++)
		expect(c, MIB, at * MIB, true);
	vhdx_space_give_back(&c->space, &(struct place){36 * MIB, MIB, true});
	expect(c, 2 * MIB, 36 * MIB, false); /* the MiB at 37 was never given out */
}

static void test_what_is_given_back_is_taken_again_but_is_not_fresh(void **state)
{
	struct space_case *c = *state;

	begin(c);
	take(c, 2 * MIB);
	struct place place = take(c, 2 * MIB);

	assert_true(place.fresh);
	vhdx_space_give_back(&c->space, &place);
	take_blocks(c, 15);
	expect(c, 2 * MIB, place.offset, false);
	assert_int_equal(c->file.size, FIRST_SIZE + STEP);
}

/* ---- Freed space ---- */

static void test_freed_space_comes_back_when_its_transaction_is_durable(void **state)
{
	struct space_case *c = *state;

	c->capacity = FIRST_SIZE;
	begin(c);
	struct place place = take(c, 2 * MIB);

	free_place(c, place.offset, place.length, 7, false);
	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -ENOSPC);
	set_durable(c, 6);
	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -ENOSPC);
	set_durable(c, 7);
	expect(c, MIB, 4 * MIB, false);
	expect(c, MIB, 5 * MIB, false);
	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -ENOSPC);
}

static void test_freed_space_comes_back_up_to_the_durable_transaction(void **state)
{
	struct space_case *c = *state;

	c->capacity = FIRST_SIZE + STEP;
	begin(c);
	take_blocks(c, 17);
	for (uint64_t i = 0; i < 5; i++)
		free_place(c, (10 + i) * MIB, MIB, 3 + i / 2, false); /* 3 3 4 4 5 */
	set_durable(c, 4);
	for (uint64_t i = 0; i < 4; i++)
		expect(c, MIB, (10 + i) * MIB, false);
	struct place place;

	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -ENOSPC);
	set_durable(c, 9);
	expect(c, MIB, 14 * MIB, false);
	free_place(c, 20 * MIB, MIB, 9, false); /* once all had come back */
	expect(c, MIB, 20 * MIB, false);
}

static void test_freed_space_is_fresh_when_it_was_punched(void **state)
{
	struct space_case *c = *state;

	c->capacity = FIRST_SIZE + STEP;
	begin(c);
	take_blocks(c, 17);
	free_place(c, 8 * MIB, 2 * MIB, 1, false);
	free_place(c, 12 * MIB, 2 * MIB, 1, true);
	set_durable(c, 1);
	expect(c, 2 * MIB, 12 * MIB, true);
	expect(c, 2 * MIB, 8 * MIB, false);
	free_place(c, 12 * MIB, 2 * MIB, 1, false); /* fresh once is not fresh for ever */
	expect(c, 2 * MIB, 12 * MIB, false);
}

static void test_what_was_freed_and_not_settled_is_freed_with_the_rest(void **state)
{
	struct space_case *c = *state;

	begin(c);
	free_place(c, 0, MIB, 100, false); /* a leak would be found by the address sanitizer */
	free_place(c, MIB, MIB, 101, false);
}

static void test_a_disk_that_is_only_trimmed_forgets_what_is_free_already(void **state)
{
	struct space_case *c = *state;

	c->capacity = FIRST_SIZE + STEP;
	begin(c);
	take_blocks(c, 17);
	free_place(c, 8 * MIB, 2 * MIB, 1, false);
	free_place(c, 10 * MIB, 2 * MIB, 2, false);
	set_durable(c, 2);
	free_place(c, 12 * MIB, 2 * MIB, 3, false);
	assert_ptr_equal(c->space.last_freed, &c->space.freed->next);
	assert_int_equal(c->space.freed->number, 3);
}

/* ---- Growth ---- */

static void expect_growth(struct space_case *c, uint32_t block_size, uint64_t length, uint64_t by)
{
	uint64_t before = c->file.size;

	c->image.parameters.block_size = block_size;
	assert_true(take(c, length).fresh);
	assert_int_equal(c->file.size - before, by);
	assert_int_equal(image_view_size(&c->image), c->file.size);
	assert_int_equal(c->space.taken.mebibytes * MIB, c->file.size);
	vhdx_space_map_mark(&c->space.taken, 0, c->file.size, NULL);
}

static void test_the_file_grows_by_eight_blocks_within_bounds(void **state)
{
	struct space_case *c = *state;

	begin(c);
	take(c, 2 * MIB);
	expect_growth(c, MIB, MIB, 32 * MIB);
	expect_growth(c, 8 * MIB, 8 * MIB, 64 * MIB);
	expect_growth(c, 8 * MIB, MIB, 64 * MIB); /* a bitmap block */
	expect_growth(c, 256 * MIB, 256 * MIB, 256 * MIB);
}

static void test_a_large_file_grows_by_an_eighth_of_itself_within_bounds(void **state)
{
	struct space_case *c = *state;

	sparse_resize(&c->file, 1845 * MIB);
	begin(c);
	vhdx_space_map_mark(&c->space.taken, 0, c->file.size, NULL);
	expect_growth(c, MIB, MIB, 230 * MIB);
	expect_growth(c, MIB, MIB, 256 * MIB);
	expect_growth(c, MIB, MIB, 256 * MIB);
}

static void test_without_room_for_a_step_the_file_grows_by_what_is_needed(void **state)
{
	struct space_case *c = *state;
	struct place place;

	c->capacity = FIRST_SIZE + 5 * MIB;
	c->image.parameters.block_size = 4 * MIB;
	begin(c);
	expect(c, 4 * MIB, 6 * MIB, true);
	assert_int_equal(c->file.size, FIRST_SIZE + 4 * MIB);
	assert_int_equal(vhdx_space_take(&c->space, 4 * MIB, &place), -ENOSPC);
	assert_non_null(strstr(vhdx_last_error()->text, "4194304 bytes"));
	expect(c, MIB, 4 * MIB, false);
	expect(c, MIB, 5 * MIB, false);
	expect(c, MIB, 10 * MIB, true);
	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -ENOSPC);
	c->capacity = 0; /* there is space again */
	expect(c, 4 * MIB, 11 * MIB, true);
	assert_int_equal(c->file.size, 11 * MIB + STEP);
}

static void test_a_file_that_is_no_whole_number_of_mebibytes_becomes_one(void **state)
{
	struct space_case *c = *state;

	sparse_resize(&c->file, 5 * MIB + 1);
	begin(c);
	assert_int_equal(c->file.size, 6 * MIB);
	assert_int_equal(image_view_size(&c->image), 6 * MIB);
	assert_int_equal(c->space.first_size, 6 * MIB);
	expect(c, 2 * MIB, 4 * MIB, false);
}

static void test_storage_that_cannot_grow_leaves_its_odd_end_unused(void **state)
{
	struct space_case *c = *state;
	struct place place;

	sparse_resize(&c->file, 5 * MIB + 1);
	c->io.set_size = NULL;
	begin(c);
	expect(c, MIB, 4 * MIB, false);
	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -ENOSPC);
	assert_int_equal(c->file.size, 5 * MIB + 1);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->recorder.count, 0);
}

static void test_no_space_to_round_the_file_up_is_an_error(void **state)
{
	struct space_case *c = *state;

	sparse_resize(&c->file, 5 * MIB + 1);
	c->capacity = 5 * MIB + 2;
	assert_int_equal(init(c, false), -ENOSPC);
	c->capacity = 0;
	begin(c);
}

static void test_the_file_does_not_grow_beyond_what_is_mapped(void **state)
{
	struct space_case *c = *state;
	struct place place;

	sparse_resize(&c->file, MAX_GROWN_FILE - 3 * MIB);
	c->image.parameters.block_size = 4 * MIB;
	begin(c);
	vhdx_space_map_mark(&c->space.taken, 0, c->file.size, NULL);
	assert_int_equal(vhdx_space_take(&c->space, 4 * MIB, &place), -EFBIG);
	expect(c, MIB, MAX_GROWN_FILE - 3 * MIB, true); /* the step is cut */
	assert_int_equal(c->file.size, MAX_GROWN_FILE);
	assert_int_equal(vhdx_space_take(&c->space, 4 * MIB, &place), -EFBIG);
	expect(c, MIB, MAX_GROWN_FILE - 2 * MIB, true);
	expect(c, MIB, MAX_GROWN_FILE - MIB, true);
	assert_int_equal(vhdx_space_take(&c->space, MIB, &place), -EFBIG);
}

static void test_space_without_holes_is_reserved_when_the_file_grows(void **state)
{
	struct space_case *c = *state;

	c->image.parameters.block_size = 4 * MIB;
	assert_int_equal(init(c, true), 0);
	expect(c, 4 * MIB, 6 * MIB, true);
	assert_int_equal(c->recorder.count, 2);
	assert_int_equal(c->recorder.operations[0].kind, OPERATION_RESIZE);
	assert_int_equal(c->recorder.operations[1].kind, OPERATION_RESERVE);
	assert_int_equal(c->recorder.operations[1].offset, FIRST_SIZE);
	assert_int_equal(c->recorder.operations[1].length, STEP);
}

static void test_without_holes_the_odd_end_is_reserved_too(void **state)
{
	struct space_case *c = *state;

	sparse_resize(&c->file, FIRST_SIZE - 1000);
	assert_int_equal(init(c, true), 0);
	assert_int_equal(c->file.size, FIRST_SIZE);
	assert_int_equal(c->recorder.count, 2);
	assert_int_equal(c->recorder.operations[1].kind, OPERATION_RESERVE);
	assert_int_equal(c->recorder.operations[1].offset, FIRST_SIZE - 1000);
	assert_int_equal(c->recorder.operations[1].length, 1000);
}

static void test_space_without_holes_is_written_where_it_cannot_be_reserved(void **state)
{
	struct space_case *c = *state;
	uint64_t end = FIRST_SIZE;

	c->io.reserve = NULL;
	c->io.zero = NULL;
	c->image.parameters.block_size = 4 * MIB;
	assert_int_equal(init(c, true), 0);
	expect(c, 4 * MIB, 6 * MIB, true);
	for (size_t i = 1; i < c->recorder.count; i++) {
		const struct operation *operation = &c->recorder.operations[i];

		assert_int_equal(operation->kind, OPERATION_WRITE);
		assert_int_equal(operation->offset, end);
		end += operation->length;
	}
	assert_int_equal(end, FIRST_SIZE + STEP);
}

static int reserve_little(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque;
	return offset + length > the_case->capacity ? -ENOSPC : 0;
}

static void test_growth_that_cannot_be_reserved_is_undone(void **state)
{
	struct space_case *c = *state;
	struct place place;

	c->io = recorder_io(&c->recorder);
	c->io.reserve = reserve_little;
	c->capacity = FIRST_SIZE + 4 * MIB;
	c->image.parameters.block_size = 4 * MIB;
	assert_int_equal(init(c, true), 0);
	expect(c, 4 * MIB, 6 * MIB, true); /* what is needed, without a step */
	assert_int_equal(c->file.size, FIRST_SIZE + 4 * MIB);
	assert_int_equal(vhdx_space_take(&c->space, 4 * MIB, &place), -ENOSPC);
	assert_int_equal(c->file.size, FIRST_SIZE + 4 * MIB);
	assert_int_equal(image_view_size(&c->image), FIRST_SIZE + 4 * MIB);
}

/* Takes no memory, which the recorder's does. */
static int set_size_only(void *opaque, uint64_t size)
{
	(void)opaque;
	sparse_resize(&the_case->file, size);
	return 0;
}

/* Neither map may then be searched beyond its end, nor space be found behind the file's. */
static void test_growth_without_memory_for_the_maps_is_undone(void **state)
{
	struct space_case *c = *state;
	bool failed = true;

	c->image.parameters.block_size = 256 * MIB;
	c->io.set_size = set_size_only;
	begin(c);
	for (unsigned long nth = 1; failed; nth++) {
		struct place place;
		uint64_t before = c->file.size;

		vhdx_space_map_mark(&c->space.taken, 0, before, NULL);
		alloc_fail_nth(nth);
		int ret = vhdx_space_take(&c->space, 256 * MIB, &place);

		failed = alloc_has_failed();
		alloc_fail_nth(0);
		assert_int_equal(ret, failed ? -ENOMEM : 0);
		if (!failed)
			break;
		assert_int_equal(c->file.size, before);
		assert_int_equal(c->space.taken.mebibytes * MIB, before);
		expect(c, MIB, before, true);
	}
	assert_true(c->file.size > FIRST_SIZE);
}

/* ---- The cut ---- */

static void test_what_the_file_grew_by_and_nothing_uses_is_cut(void **state)
{
	struct space_case *c = *state;

	c->image.parameters.block_size = 4 * MIB;
	begin(c);
	take(c, 4 * MIB);
	struct place last = take(c, MIB);

	recorder_clear(&c->recorder);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, last.offset + last.length);
	assert_int_equal(c->recorder.count, 2);
	assert_int_equal(c->recorder.operations[0].kind, OPERATION_RESIZE);
	assert_int_equal(c->recorder.operations[1].kind, OPERATION_FLUSH);
	assert_int_equal(image_view_size(&c->image), c->file.size);
}

static void test_a_file_is_never_cut_below_what_it_had(void **state)
{
	struct space_case *c = *state;

	c->image.parameters.block_size = 4 * MIB;
	begin(c);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->recorder.count, 0);
	struct place place = take(c, 4 * MIB);

	vhdx_space_give_back(&c->space, &place);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, FIRST_SIZE);
}

static void test_the_cut_takes_what_was_freed_durably_only(void **state)
{
	struct space_case *c = *state;

	c->image.parameters.block_size = 4 * MIB;
	begin(c);
	struct place first = take(c, 4 * MIB);
	struct place second = take(c, MIB);

	free_place(c, first.offset, first.length, 1, true);
	free_place(c, second.offset, second.length, 2, true);
	set_durable(c, 1);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, second.offset + second.length);
	set_durable(c, 2);
	assert_int_equal(vhdx_space_cut(&c->space), 0);
	assert_int_equal(c->file.size, FIRST_SIZE);
}

static int refuse_to_cut(void *opaque, uint64_t size)
{
	struct vhdx_io io = recorder_io(opaque);

	return size < the_case->file.size ? (int)the_case->capacity : io.set_size(opaque, size);
}

static void test_a_failed_cut_says_so_and_storage_that_cannot_be_cut_is_left(void **state)
{
	struct space_case *c = *state;

	begin(c);
	take_blocks(c, 4);
	c->io.set_size = refuse_to_cut;
	c->capacity = (uint64_t)-EIO;
	assert_int_equal(vhdx_space_cut(&c->space), -EIO);
	assert_int_equal(vhdx_last_error()->errnum, -EIO);
	assert_non_null(strstr(vhdx_last_error()->text, "cannot be cut"));
	c->capacity = (uint64_t)-EOPNOTSUPP;
	assert_int_equal(vhdx_space_cut(&c->space), 0);
}

int main(void)
{
#define WITH_SPACE(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_SPACE(test_what_the_file_had_free_is_not_fresh_and_what_it_grew_by_is),
		WITH_SPACE(test_fresh_space_goes_first),
		WITH_SPACE(test_a_place_that_is_partly_fresh_is_not),
		WITH_SPACE(test_what_is_given_back_is_taken_again_but_is_not_fresh),
		WITH_SPACE(test_freed_space_comes_back_when_its_transaction_is_durable),
		WITH_SPACE(test_freed_space_comes_back_up_to_the_durable_transaction),
		WITH_SPACE(test_freed_space_is_fresh_when_it_was_punched),
		WITH_SPACE(test_what_was_freed_and_not_settled_is_freed_with_the_rest),
		WITH_SPACE(test_a_disk_that_is_only_trimmed_forgets_what_is_free_already),
		WITH_SPACE(test_the_file_grows_by_eight_blocks_within_bounds),
		WITH_SPACE(test_a_large_file_grows_by_an_eighth_of_itself_within_bounds),
		WITH_SPACE(test_without_room_for_a_step_the_file_grows_by_what_is_needed),
		WITH_SPACE(test_a_file_that_is_no_whole_number_of_mebibytes_becomes_one),
		WITH_SPACE(test_storage_that_cannot_grow_leaves_its_odd_end_unused),
		WITH_SPACE(test_no_space_to_round_the_file_up_is_an_error),
		WITH_SPACE(test_the_file_does_not_grow_beyond_what_is_mapped),
		WITH_SPACE(test_space_without_holes_is_reserved_when_the_file_grows),
		WITH_SPACE(test_without_holes_the_odd_end_is_reserved_too),
		WITH_SPACE(test_space_without_holes_is_written_where_it_cannot_be_reserved),
		WITH_SPACE(test_growth_that_cannot_be_reserved_is_undone),
		WITH_SPACE(test_growth_without_memory_for_the_maps_is_undone),
		WITH_SPACE(test_what_the_file_grew_by_and_nothing_uses_is_cut),
		WITH_SPACE(test_a_file_is_never_cut_below_what_it_had),
		WITH_SPACE(test_the_cut_takes_what_was_freed_durably_only),
		WITH_SPACE(test_a_failed_cut_says_so_and_storage_that_cannot_be_cut_is_left),
	};

	return RUN_TESTS(tests);
}
