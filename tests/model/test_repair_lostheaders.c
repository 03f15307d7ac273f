/* SPDX-License-Identifier: MIT */
/* Images without a valid header: what is found of them, and what their log decides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/headcase.h"

#define SESSION	      9
#define OTHER_SESSION 8

static void lose_headers(struct repair_case *c)
{
	head_zero(c, head(0), 4096);
	head_zero(c, head(1), 4096);
}

/* Neither can be put together: the same field is wrong in both. */
static void spoil_headers(struct repair_case *c)
{
	head_flip(c, head(0) + HEAD_FILE_GUID);
	head_flip(c, head(1) + HEAD_FILE_GUID + 1);
}

static void get_data_guid(const struct repair_case *c, uint8_t ret[16])
{
	sparse_read(&c->file, ret, 16, head(0) + HEAD_DATA_GUID);
}

static bool text_says(const struct repair_case *c, const char *words)
{
	return strstr(c->mended.text, words) != NULL;
}

/* ---- what is left of the headers ---- */

static void test_a_header_that_the_other_completes_is_as_it_was(void **state)
{
	static const unsigned fields[] = {0,
					  HEAD_NUMBER,
					  HEAD_FILE_GUID,
					  HEAD_DATA_GUID,
					  HEAD_LOG_GUID,
					  HEAD_LOG_VERSION,
					  HEAD_VERSION,
					  HEAD_LOG_LENGTH,
					  HEAD_LOG_OFFSET,
					  4000};
	struct repair_case *c = *state;
	uint8_t before[16];
	uint8_t after[16];

	get_data_guid(c, before);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (size_t j = 0; j < sizeof(fields) / sizeof(fields[0]); j++) {
			if (i == j && fields[i] == HEAD_DATA_GUID)
				continue; /* nobody knows it any more */
			head_flip(c, head(0) + fields[i]);
			head_flip(c, head(1) + fields[j]);
			case_expect_mended(c, 203);
			get_data_guid(c, after);
			assert_memory_equal(before, after, 16);
		}
}

static void test_reserved_bytes_that_were_hit_in_both_headers_are_cleared(void **state)
{
	head_flip(*state, head(0) + 4000);
	head_flip(*state, head(1) + 4000);
	case_expect_mended(*state, 203);
	assert_true(text_says(*state, "its checksum shows"));
}

static void test_of_two_headers_that_complete_each_other_the_newer_counts(void **state)
{
	struct repair_case *c = *state;
	uint8_t before[16];
	uint8_t after[16];

	for (unsigned newer = 0; newer < 2; newer++) {
		case_put(c, head(newer) + HEAD_NUMBER, 100, 8);
		head_flip(c, head(newer) + HEAD_DATA_GUID);
		head_fit(c);
		sparse_read(&c->file, before, 16, head(newer) + HEAD_DATA_GUID);
		head_flip(c, head(0) + HEAD_LOG_LENGTH);
		head_flip(c, head(1) + HEAD_LOG_OFFSET);
		case_expect_mended(c, 203);
		get_data_guid(c, after);
		assert_memory_equal(before, after, 16);
		case_put(c, head(0) + HEAD_NUMBER, 7, 8);
		case_put(c, head(1) + HEAD_NUMBER, 7, 8);
		head_fit(c);
	}
}

static void test_headers_are_taken_on_trust_when_nothing_proves_them(void **state)
{
	struct repair_case *c = *state;
	uint8_t before[16];
	uint8_t after[16];

	get_data_guid(c, before);
	spoil_headers(c);
	case_expect_mended(c, 203);
	get_data_guid(c, after);
	assert_memory_equal(before, after, 16);
	assert_true(text_says(c, "what is left of them"));
	assert_false(text_says(c, "rebase"));
}

static void test_a_data_guid_in_doubt_is_told(void **state)
{
	struct repair_case *c = *state;

	spoil_headers(c);
	head_flip(c, head(0) + HEAD_DATA_GUID);
	head_flip(c, head(1) + HEAD_DATA_GUID + 1);
	case_expect_mended(c, 203);
	assert_true(text_says(c, "may have to be rebased --unsafe"));
}

static void test_a_header_with_a_wrong_place_of_the_log_is_not_trusted_with_it(void **state)
{
	static const uint64_t places[] = {0, T_MIB + 512, (uint64_t)1 << 50};
	struct repair_case *c = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		spoil_headers(c);
		case_put(c, head(0) + HEAD_LOG_OFFSET, places[i], 8);
		case_put(c, head(1) + HEAD_LOG_OFFSET, places[i] + T_MIB * 100, 8);
		case_expect_mended(c, 203);
		assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
		assert_int_equal(c->mended.count, 1);
	}
}

static void test_a_log_over_a_region_is_not_trusted(void **state)
{
	struct repair_case *c = *state;

	spoil_headers(c);
	case_put(c, head(0) + HEAD_LOG_OFFSET, c->bat, 8);
	case_put(c, head(1) + HEAD_LOG_OFFSET, c->table, 8);
	case_expect_mended(c, 203);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
}

/* ---- no header at all ---- */

static void test_without_headers_new_ones_are_made_with_new_guids(void **state)
{
	struct repair_case *c = *state;
	uint8_t before[16];
	uint8_t after[16];

	get_data_guid(c, before);
	lose_headers(c);
	case_expect_mended(c, 203);
	get_data_guid(c, after);
	assert_memory_not_equal(before, after, 16);
	assert_true(text_says(c, "must be rebased --unsafe"));
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
}

static void test_the_log_is_found_where_its_entries_are(void **state)
{
	struct repair_case *c = *state;
	uint64_t place = c->file.size;
	uint8_t *bytes = malloc(T_MIB);

	/* Its second MiB holds what there is, in space that nothing takes. */
	sparse_read(&c->file, bytes, T_MIB, T_MIB);
	sparse_write(&c->file, bytes, T_MIB, place);
	head_zero(c, T_MIB, T_MIB);
	free(bytes);
	lose_headers(c);
	case_expect_mended(c, 203);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), place);
}

static void test_without_a_place_for_the_log_a_new_one_is_made(void **state)
{
	struct repair_case *c = *state;
	uint8_t bytes[64];

	head_zero(c, T_MIB, T_MIB);
	memset(bytes, 0x33, sizeof(bytes));
	sparse_write(&c->file, bytes, sizeof(bytes), T_MIB + 4096);
	lose_headers(c);
	case_expect_mended(c, 203);
	assert_true(was_told(&c->mended, 211));
}

static void test_without_headers_and_region_tables_all_is_found(void **state)
{
	struct repair_case *c = *state;

	lose_headers(c);
	head_zero(c, regions(0), 2 * 64 * T_KIB);
	case_expect_mended(c, 203);
	assert_true(was_told(&c->mended, 303));
}

/* ---- what the log of an image without header says ---- */

static void test_a_log_that_was_closed_is_not_replayed(void **state)
{
	struct repair_case *c = *state;
	uint8_t page[4096];
	struct log_change_spec change = {.target = c->bat, .page = page};

	sparse_read(&c->file, page, sizeof(page), c->bat);
	head_log_open(c, 0);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5}, &change, 1);
	head_log_put(c,
		     &(struct head_log){
			     .guid = OTHER_SESSION, .sequence = 9, .position = 8192, .tail = 8192},
		     NULL, 0);
	lose_headers(c);
	case_expect_mended(c, 203);
	assert_int_equal(c->mended.count, 1);
}

static void test_a_log_that_was_open_is_replayed(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, 0);
	head_log_bat(c, (struct head_log){.guid = SESSION, .sequence = 5});
	lose_headers(c);
	case_expect_mended(c, 203);
	assert_true(was_told(&c->mended, 405));
}

/* The tables that it would write are of an image that was moved since. */
static void test_a_replay_that_would_ruin_the_image_is_doubted(void **state)
{
	struct repair_case *c = *state;
	static const uint8_t page[4096] = {1};
	struct log_change_spec changes[] = {
		{.target = regions(0), .page = page},
		{.target = regions(1), .page = page},
	};

	head_log_open(c, 0);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5}, changes, 2);
	lose_headers(c);
	case_expect_refused(c, 203, -EUCLEAN);
	case_expect_repaired(c, 203, VHDX_REPAIR_DISCARD_LOG);
	assert_false(was_told(&c->mended, 405));
}

/* A disk image inside the disk has a log of its own. */
static void test_a_log_inside_a_block_is_none(void **state)
{
	struct repair_case *c = *state;
	uint8_t *bytes = malloc(T_MIB);

	sparse_read(&c->file, bytes, T_MIB, T_MIB);
	sparse_write(&c->file, bytes, T_MIB, case_get(c, c->bat + 8, 8) & ~(T_MIB - 1));
	memcpy(c->contents + T_MIB, bytes, T_MIB);
	free(bytes);
	head_zero(c, T_MIB, T_MIB);
	lose_headers(c);
	case_expect_mended(c, 203);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
	lose_headers(c);
	head_zero(c, regions(0), 2 * 64 * T_KIB);
	case_expect_mended(c, 203);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
}

/* An older session would take back what came after it. */
static void make_unclear(struct repair_case *c)
{
	head_log_open(c, 0);
	head_log_bat(c, (struct head_log){.guid = SESSION, .sequence = 5});
	head_log_put(c,
		     &(struct head_log){
			     .guid = OTHER_SESSION, .sequence = 9, .position = 8192, .tail = 8192},
		     NULL, 0);
	lose_headers(c);
}

static void test_a_log_of_which_two_sessions_may_have_been_open_is_left(void **state)
{
	make_unclear(*state);
	case_expect_refused(*state, 203, -EUCLEAN);
}

static void test_a_log_of_which_two_sessions_may_have_been_open_is_discarded_on_demand(void **state)
{
	struct repair_case *c = *state;
	uint8_t page[4096];

	sparse_read(&c->file, page, sizeof(page), c->bat);
	make_unclear(c);
	sparse_write(&c->file, page, sizeof(page), c->bat); /* for what is read afterwards */
	page[4000] ^= 1;
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5},
		     &(struct log_change_spec){.target = c->bat, .page = page}, 1);
	case_expect_refused(c, 203, -EUCLEAN);
	case_expect_repaired(c, 203, VHDX_REPAIR_DISCARD_LOG);
	assert_true(text_says(c, "discarded"));
	assert_false(was_told(&c->mended, 405));
}

/* The newest entry of a session whose tail is gone: what it changed was written, or cannot be told. */
static void test_a_session_that_is_not_complete_is_none(void **state)
{
	struct repair_case *c = *state;
	static const uint8_t page[4096] = {1};

	head_log_open(c, 0);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5, .tail = 65536},
		     &(struct log_change_spec){.target = c->bat, .page = page}, 1);
	lose_headers(c);
	case_expect_mended(c, 203);
	assert_int_equal(c->mended.count, 1);
}

/* ---- headers that are not proved, and their log ---- */

static void test_a_log_that_an_unproved_header_names_is_replayed(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log){.guid = SESSION, .sequence = 5});
	head_log_put(c,
		     &(struct head_log){
			     .guid = OTHER_SESSION, .sequence = 9, .position = 8192, .tail = 8192},
		     NULL, 0);
	spoil_headers(c);
	case_expect_mended(c, 203);
	assert_true(was_told(&c->mended, 405));
}

static void test_a_session_that_an_unproved_header_misnames_is_found(void **state)
{
	struct repair_case *c = *state;

	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log){.guid = SESSION, .sequence = 5});
	head_flip(c, head(0) + HEAD_LOG_GUID);
	head_flip(c, head(1) + HEAD_LOG_GUID + 1);
	case_expect_mended(c, 203);
	assert_true(was_told(&c->mended, 405));
}

/* What entries there are of the session are not dropped in silence. */
static void test_a_damaged_log_that_an_unproved_header_names_is_left(void **state)
{
	struct repair_case *c = *state;
	static const uint8_t page[4096] = {1};

	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5, .tail = 65536},
		     &(struct log_change_spec){.target = c->bat, .page = page}, 1);
	spoil_headers(c);
	case_expect_found(c, 203);
	assert_int_equal(case_repair(c, 0), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, 401);
	assert_int_equal(c->recorder.count, 0);
	case_expect_repaired(c, 401, VHDX_REPAIR_DISCARD_LOG);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_a_header_that_the_other_completes_is_as_it_was),
		DISK_TEST(test_reserved_bytes_that_were_hit_in_both_headers_are_cleared),
		DISK_TEST(test_of_two_headers_that_complete_each_other_the_newer_counts),
		DISK_TEST(test_headers_are_taken_on_trust_when_nothing_proves_them),
		DISK_TEST(test_a_data_guid_in_doubt_is_told),
		DISK_TEST(test_a_header_with_a_wrong_place_of_the_log_is_not_trusted_with_it),
		DISK_TEST(test_a_log_over_a_region_is_not_trusted),
		DISK_TEST(test_without_headers_new_ones_are_made_with_new_guids),
		DISK_TEST(test_the_log_is_found_where_its_entries_are),
		DISK_TEST(test_without_a_place_for_the_log_a_new_one_is_made),
		DISK_TEST(test_without_headers_and_region_tables_all_is_found),
		DISK_TEST(test_a_log_that_was_closed_is_not_replayed),
		DISK_TEST(test_a_log_that_was_open_is_replayed),
		DISK_TEST(test_a_replay_that_would_ruin_the_image_is_doubted),
		DISK_TEST(test_a_log_inside_a_block_is_none),
		DISK_TEST(test_a_log_of_which_two_sessions_may_have_been_open_is_left),
		DISK_TEST(
			test_a_log_of_which_two_sessions_may_have_been_open_is_discarded_on_demand),
		DISK_TEST(test_a_session_that_is_not_complete_is_none),
		DISK_TEST(test_a_log_that_an_unproved_header_names_is_replayed),
		DISK_TEST(test_a_session_that_an_unproved_header_misnames_is_found),
		DISK_TEST(test_a_damaged_log_that_an_unproved_header_names_is_left),
	};

	return RUN_TESTS(tests);
}
