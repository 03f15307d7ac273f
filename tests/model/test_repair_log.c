/* SPDX-License-Identifier: MIT */
/* Logs that were not closed, and damaged ones: what repair replays, and what it discards on demand alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/headcase.h"

#define SESSION 9
#define FIRST \
	{ \
		.guid = SESSION, .sequence = 5 \
	}
#define DISCARD VHDX_REPAIR_DISCARD_LOG

static bool text_says(const struct repair_case *c, const char *words)
{
	return strstr(c->mended.text, words) != NULL;
}

/* It is refused unless it may be discarded; then the image is as without it. */
static void expect_discarded(struct repair_case *c, unsigned problem, int error)
{
	case_expect_refused(c, problem, error);
	case_expect_repaired(c, problem, DISCARD);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_GUID, 8), 0);
	assert_int_equal(case_get(c, head(1) + HEAD_LOG_GUID, 8), 0);
}

/* ---- replayed ---- */

static void test_a_log_is_replayed(void **state)
{
	struct repair_case *c = *state;
	uint64_t before = case_get(c, c->bat + 8, 8);

	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log)FIRST);
	case_expect_mended(c, 405);
	assert_true(before && case_get(c, c->bat + 8, 8) == before);
}

static void test_a_replay_makes_the_file_as_long_as_the_log_says(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = c->file.size + 2 * T_MIB;

	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log){
				.guid = SESSION, .sequence = 5, .flushed = T_MIB, .last = size});
	case_expect_mended(c, 405);
	assert_int_equal(c->file.size, size);
}

static void test_a_log_that_changes_nothing_is_closed(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log)FIRST, NULL, 0);
	case_expect_mended(c, 406);
	assert_int_equal(case_get(c, head(1) + HEAD_LOG_GUID, 8), 0);
}

static void test_a_header_is_mended_before_its_log_is_replayed(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log)FIRST);
	head_flip(c, head(!head_current(c)) + 4000);
	case_expect_mended(c, 202);
	assert_true(was_told(&c->mended, 405));
}

static void test_regions_are_mended_behind_the_log(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log)FIRST);
	head_flip(c, regions(0) + 30);
	case_expect_mended(c, 302);
	assert_int_equal(c->mended.problems[0], 405);
}

/* The tables that the log holds count, whatever the file holds. */
static void test_region_tables_that_the_log_holds_are_right(void **state)
{
	struct repair_case *c = *state;
	uint8_t pages[2][4096];

	sparse_read(&c->file, pages[0], 4096, regions(0));
	sparse_read(&c->file, pages[1], 4096, regions(1));
	struct log_change_spec changes[] = {
		{.target = regions(0), .page = pages[0]},
		{.target = regions(1), .page = pages[1]},
	};

	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log)FIRST, changes, 2);
	head_zero(c, regions(0), 4096);
	head_zero(c, regions(1), 4096);
	case_expect_mended(c, 405);
	assert_int_equal(c->mended.count, 1);
}

/* ---- discarded ---- */

static void test_a_log_without_a_complete_sequence_is_discarded_on_demand(void **state)
{
	head_log_open(*state, SESSION);
	expect_discarded(*state, 401, -EUCLEAN);
	assert_true(text_says(*state, "no entry of it that changes anything"));
}

static void test_a_log_of_a_file_that_was_cut_is_discarded_on_demand(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_log_put(c,
		     &(struct head_log){.guid = SESSION,
					.sequence = 5,
					.flushed = c->file.size + T_MIB,
					.last = c->file.size + T_MIB},
		     NULL, 0);
	expect_discarded(c, 402, -EUCLEAN);
}

static void test_a_log_that_writes_behind_its_own_end_is_discarded_on_demand(void **state)
{
	struct repair_case *c = *state;
	struct log_change_spec change = {.target = (uint64_t)1 << 45, .length = 4096};

	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log)FIRST, &change, 1);
	expect_discarded(c, 403, -EUCLEAN);
	assert_true(text_says(c, "0x200000000000"));
}

static void test_a_log_that_is_too_large_is_discarded_on_demand(void **state)
{
	struct repair_case *c = *state;
	uint64_t length = T_GIB + T_MIB;

	head_log_open(c, SESSION);
	head_put(c, HEAD_LOG_OFFSET, c->file.size, 8);
	head_put(c, HEAD_LOG_LENGTH, length, 4);
	sparse_resize(&c->file, c->file.size + length);
	expect_discarded(c, 404, -EUCLEAN);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_LENGTH, 4), T_GIB);
}

static void test_a_log_of_another_version_is_discarded_on_demand(void **state)
{
	struct repair_case *c = *state;
	uint8_t page[4096];

	sparse_read(&c->file, page, sizeof(page), c->bat);
	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log)FIRST,
		     &(struct log_change_spec){.target = c->bat, .page = page}, 1);
	head_put(c, HEAD_LOG_VERSION, 1, 2);
	expect_discarded(c, 207, -ENOTSUP);
	assert_int_equal(c->mended.count, 1);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_VERSION, 2), 0);
}

static void test_a_log_without_a_right_place_is_discarded_on_demand_and_made_anew(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_put(c, HEAD_LOG_OFFSET, (uint64_t)1 << 40, 8);
	expect_discarded(c, 210, -EUCLEAN);
	assert_true(was_told(&c->mended, 211));
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
}

static void note_range(void *opaque, const struct vhdx_finding *finding)
{
	uint64_t *range = opaque;

	if (finding->problem->number != 401)
		return;
	range[0] = finding->guest_offset;
	range[1] = finding->guest_length;
}

/* Blocks whose entries are others in the log are named; those that are as they were are not. */
static void test_what_may_be_lost_with_a_log_is_told(void **state)
{
	struct repair_case *c = *state;
	struct vhdx_repair_result result = {.size = sizeof(result)};
	uint64_t range[2] = {1, 1};
	struct vhdx_repair_options options = {
		.size = sizeof(options), .flags = DISCARD, .mended = note_range, .opaque = range};
	uint8_t page[4096];

	sparse_read(&c->file, page, sizeof(page), c->bat);
	head_log_open(c, SESSION);
	put_number(page + 8 * 3, 2, 8);
	put_number(page + 8 * 6, 2, 8);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5, .tail = 65536},
		     &(struct log_change_spec){.target = c->bat, .page = page}, 1);
	assert_int_equal(vhdx_repair_io(&c->io, "disk.vhdx", &options, &result), 0);
	assert_int_equal(range[0], 3 * T_MIB);
	assert_int_equal(range[1], 4 * T_MIB);
	assert_int_equal(result.lost_bytes, 4 * T_MIB);
	case_expect_contents(c);
}

static void test_zeros_that_a_log_would_write_over_the_bat_are_told(void **state)
{
	struct repair_case *c = *state;
	struct log_change_spec change = {.target = c->bat, .length = 4096};

	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5, .tail = 65536}, &change,
		     1);
	expect_discarded(c, 401, -EUCLEAN);
	assert_true(text_says(c, "between 1048576 and 6291456"));
}

/* Nothing is mended that may look otherwise once the log was replayed by someone who can. */
static void test_nothing_is_mended_above_a_log_that_is_left(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_flip(c, regions(0) + 30);
	head_flip(c, head(!head_current(c)));
	assert_int_equal(case_repair(c, 0), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, 401);
	assert_false(was_told(&c->mended, 302));
	assert_int_equal(c->recorder.count, 0);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_a_log_is_replayed),
		DISK_TEST(test_a_replay_makes_the_file_as_long_as_the_log_says),
		DISK_TEST(test_a_log_that_changes_nothing_is_closed),
		DISK_TEST(test_a_header_is_mended_before_its_log_is_replayed),
		DISK_TEST(test_regions_are_mended_behind_the_log),
		DISK_TEST(test_region_tables_that_the_log_holds_are_right),
		DISK_TEST(test_a_log_without_a_complete_sequence_is_discarded_on_demand),
		DISK_TEST(test_a_log_of_a_file_that_was_cut_is_discarded_on_demand),
		DISK_TEST(test_a_log_that_writes_behind_its_own_end_is_discarded_on_demand),
		DISK_TEST(test_a_log_that_is_too_large_is_discarded_on_demand),
		DISK_TEST(test_a_log_of_another_version_is_discarded_on_demand),
		DISK_TEST(test_a_log_without_a_right_place_is_discarded_on_demand_and_made_anew),
		DISK_TEST(test_what_may_be_lost_with_a_log_is_told),
		DISK_TEST(test_zeros_that_a_log_would_write_over_the_bat_are_told),
		DISK_TEST(test_nothing_is_mended_above_a_log_that_is_left),
	};

	return RUN_TESTS(tests);
}
