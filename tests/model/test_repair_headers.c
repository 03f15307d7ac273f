/* SPDX-License-Identifier: MIT */
/* Damage to the identifier and the headers: what repair makes of it, and what it refuses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/headcase.h"

#define NO_MATTER 0x77

/* A block's entry in the BAT. */
#define BLOCK_ENTRY(c, block) ((c)->bat + 8 * (uint64_t)(block))

static void get_guid(const struct repair_case *c, unsigned slot, uint64_t field, uint8_t ret[16])
{
	sparse_read(&c->file, ret, 16, head(slot) + field);
}

static bool log_guid_is_zero(const struct repair_case *c)
{
	return !case_get(c, head(0) + HEAD_LOG_GUID, 8) && !case_get(c, head(1) + HEAD_LOG_GUID, 8);
}

/* ---- the file ---- */

static void test_a_lost_identifier_is_written_and_keeps_its_creator(void **state)
{
	struct repair_case *c = *state;
	uint64_t creator;

	case_put(c, 10, 'X', 2);
	creator = case_get(c, 8, 8);
	head_zero(c, 0, 8);
	case_expect_mended(c, 101);
	assert_int_equal(case_get(c, 0, 1), 'v');
	assert_int_equal(case_get(c, 8, 8), creator);
}

static void test_an_identifier_that_is_wholly_lost_gets_a_creator(void **state)
{
	struct repair_case *c = *state;

	for (uint64_t at = 0; at < 520; at += 2)
		case_put(c, at, 0xdc00, 2);
	case_expect_mended(c, 101);
	assert_int_equal(case_get(c, 8, 1), 'l');
	assert_int_equal(case_get(c, 518, 2), 0);
}

static void test_no_identifier_is_written_where_no_header_shows_an_image(void **state)
{
	struct repair_case *c = *state;

	head_zero(c, 0, 8);
	head_flip(c, head(0));
	head_flip(c, head(1) + 3);
	case_expect_refused(c, 101, -ENOTSUP);
}

static void test_a_file_that_ends_in_the_header_section_is_left(void **state)
{
	struct repair_case *c = *state;

	sparse_resize(&c->file, T_MIB - 1);
	case_expect_refused(c, 102, -EUCLEAN);
}

static void test_a_length_that_is_no_whole_mebibytes_is_rounded_up(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = c->file.size;

	sparse_resize(&c->file, size + 512);
	case_expect_mended(c, 104);
	assert_int_equal(c->file.size, size + T_MIB);
}

static void test_the_length_of_a_device_is_left(void **state)
{
	struct repair_case *c = *state;

	sparse_resize(&c->file, c->file.size + 512);
	c->io.set_size = NULL;
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_int_equal(c->recorder.count, 0);
}

/* A block that the file cuts off is told as cut, though the file's length would be mended as well. */
static void test_what_is_missing_of_a_block_is_told_before_the_file_is_extended(void **state)
{
	struct repair_case *c = *state;
	uint64_t end = 0;

	for (unsigned block = 0; block < 8; block++)
		if (case_get(c, BLOCK_ENTRY(c, block), 8) >> 20 > end)
			end = case_get(c, BLOCK_ENTRY(c, block), 8) >> 20;
	/* The last block by place holds data in its first half. */
	sparse_resize(&c->file, end * T_MIB + T_MIB * 3 / 4);
	assert_int_equal(case_repair(c, 0), 0);
	assert_true(was_told(&c->mended, 607));
	assert_int_equal(c->file.size, (end + 1) * T_MIB);
}

static void test_a_file_that_was_cut_is_not_extended_below_a_log_that_says_so(void **state)
{
	struct repair_case *c = *state;
	uint64_t whole = c->file.size + T_MIB;

	head_log_open(c, 9);
	head_log_put(c,
		     &(struct head_log){.guid = 9, .sequence = 1, .flushed = whole, .last = whole},
		     NULL, 0);
	sparse_resize(&c->file, whole - 512);
	case_expect_refused(c, 402, -EUCLEAN);
}

/* ---- one header ---- */

static void test_a_header_without_signature_is_written_anew(void **state)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		head_flip(*state, head(slot));
		case_expect_mended(*state, 201);
	}
}

static void test_a_header_with_a_wrong_checksum_is_written_anew(void **state)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		head_flip(*state, head(slot) + 4000);
		case_expect_mended(*state, 202);
	}
}

static void test_an_older_header_with_other_guids_is_written_anew(void **state)
{
	struct repair_case *c = *state;
	unsigned current = head_current(c);
	uint8_t before[16];
	uint8_t after[16];

	get_guid(c, current, HEAD_DATA_GUID, before);
	head_flip(c, head(!current) + HEAD_DATA_GUID);
	head_fit(c);
	case_expect_mended(c, 208);
	for (unsigned slot = 0; slot < 2; slot++) {
		get_guid(c, slot, HEAD_DATA_GUID, after);
		assert_memory_equal(before, after, 16);
	}
}

static void test_a_version_that_is_not_known_is_left(void **state)
{
	head_put(*state, HEAD_VERSION, 2, 2);
	case_expect_refused(*state, 206, -ENOTSUP);
}

static void test_numbers_that_cannot_grow_begin_anew(void **state)
{
	struct repair_case *c = *state;

	case_put(c, head(head_current(c)) + HEAD_NUMBER, UINT64_MAX, 8);
	head_fit(c);
	case_expect_mended(c, 209);
	assert_true(case_get(c, head(head_current(c)) + HEAD_NUMBER, 8) < 10);
}

/* A repair writes headers itself, and so does the next session. */
static void test_numbers_that_are_too_near_their_end_begin_anew_too(void **state)
{
	struct repair_case *c = *state;

	for (unsigned left = 1; left < 8; left++) {
		case_put(c, head(head_current(c)) + HEAD_NUMBER, UINT64_MAX - left, 8);
		head_fit(c);
		head_flip(c, regions(1));
		case_expect_mended(c, 301);
		assert_true(was_told(&c->mended, 209));
	}
}

/* The repair itself brings the numbers nearer to their end; a second one still finds nothing to do. */
static void test_numbers_near_their_end_are_no_fault_of_a_sound_image(void **state)
{
	struct repair_case *c = *state;

	for (unsigned left = 16; left < 24; left++) {
		case_put(c, head(head_current(c)) + HEAD_NUMBER, UINT64_MAX - left, 8);
		head_fit(c);
		head_flip(c, regions(1));
		case_expect_mended(c, 301);
	}
}

static void test_a_log_version_with_nothing_to_replay_is_cleared(void **state)
{
	struct repair_case *c = *state;

	head_put(c, HEAD_LOG_VERSION, 3, 2);
	case_expect_mended(c, 213);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_VERSION, 2), 0);
	assert_int_equal(case_get(c, head(1) + HEAD_LOG_VERSION, 2), 0);
}

/* ---- a log without a usable place ---- */

static void test_a_log_that_is_missing_is_made_where_nothing_lies(void **state)
{
	struct repair_case *c = *state;
	uint64_t size = c->file.size;

	head_put(c, HEAD_LOG_LENGTH, 0, 4);
	case_expect_mended(c, 211);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), T_MIB);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_LENGTH, 4), T_MIB);
	assert_int_equal(c->file.size, size);
}

static void test_a_new_log_is_empty(void **state)
{
	struct repair_case *c = *state;
	uint8_t *bytes = malloc(T_MIB);

	head_put(c, HEAD_LOG_LENGTH, 0, 4);
	memset(bytes, NO_MATTER, T_MIB);
	sparse_write(&c->file, bytes, T_MIB, T_MIB);
	case_expect_mended(c, 211);
	sparse_read(&c->file, bytes, T_MIB, T_MIB);
	for (size_t i = 0; i < T_MIB; i++)
		assert_int_equal(bytes[i], 0);
	free(bytes);
}

static void test_a_log_behind_the_end_is_made_anew(void **state)
{
	head_put(*state, HEAD_LOG_OFFSET, (uint64_t)1 << 50, 8);
	case_expect_mended(*state, 211);
}

static void test_a_log_that_is_not_on_a_mebibyte_is_made_anew(void **state)
{
	head_put(*state, HEAD_LOG_OFFSET, T_MIB + 4096, 8);
	case_expect_mended(*state, 212);
	head_put(*state, HEAD_LOG_LENGTH, T_MIB - 4096, 4);
	case_expect_mended(*state, 212);
}

/* Makes a region of each MiB that nothing has, the log's too. */
static void fill_space(struct repair_case *c)
{
	for (uint64_t mib = 1; mib < c->file.size / T_MIB; mib++) {
		bool taken = mib == c->table / T_MIB || mib == c->bat / T_MIB;
		char guid[] = "00000000-0000-0000-0000-0000000000FF";

		for (unsigned block = 0; block < 8; block++)
			taken |= mib == case_get(c, BLOCK_ENTRY(c, block), 8) >> 20;
		guid[0] = (char)('A' + mib % 6);
		guid[1] = (char)('0' + mib / 6);
		if (!taken)
			region_add(c, guid, mib * T_MIB, T_MIB, 0);
	}
}

static void test_without_free_space_a_new_log_lies_at_the_end(void **state)
{
	struct repair_case *c = *state;
	uint64_t end = c->file.size;

	fill_space(c);
	head_put(c, HEAD_LOG_LENGTH, 0, 4);
	case_expect_mended(c, 211);
	assert_int_equal(case_get(c, head(0) + HEAD_LOG_OFFSET, 8), end);
	assert_int_equal(c->file.size, end + T_MIB);
}

/* The block is lost with what the file lost; its place is not the log's for all that. */
static void test_a_new_log_does_not_take_the_place_of_a_block_behind_the_end(void **state)
{
	struct repair_case *c = *state;

	fill_space(c);
	case_put(c, BLOCK_ENTRY(c, 7), c->file.size | 6, 8);
	head_put(c, HEAD_LOG_LENGTH, 0, 4);
	case_expect_mended(c, 211);
	assert_true(was_told(&c->mended, 606));
	assert_false(was_told(&c->mended, 608));
}

static void test_without_free_space_a_device_gets_no_new_log(void **state)
{
	struct repair_case *c = *state;

	fill_space(c);
	head_put(c, HEAD_LOG_LENGTH, 0, 4);
	c->io.set_size = NULL;
	assert_int_equal(case_repair(c, 0), 0);
	assert_int_equal(c->result.mended, 0);
	assert_true(was_told(&c->left, 211));
	assert_int_equal(c->recorder.count, 0);
}

/* ---- two headers of which neither is the newer ---- */

static void make_ambiguous(struct repair_case *c)
{
	head_put(c, HEAD_NUMBER, 7, 8);
	head_flip(c, head(1) + HEAD_FILE_GUID);
	head_fit(c);
}

static void test_of_two_headers_with_one_number_the_first_counts(void **state)
{
	struct repair_case *c = *state;
	uint8_t before[16];
	uint8_t after[16];

	make_ambiguous(c);
	head_flip(c, head(1) + HEAD_DATA_GUID);
	head_fit(c);
	get_guid(c, 0, HEAD_DATA_GUID, before);
	case_expect_mended(c, 204);
	get_guid(c, 1, HEAD_DATA_GUID, after);
	assert_memory_equal(before, after, 16);
}

static void test_of_two_headers_with_one_number_the_one_whose_log_is_right_counts(void **state)
{
	struct repair_case *c = *state;

	for (unsigned wrong = 0; wrong < 2; wrong++) {
		make_ambiguous(c);
		case_put(c, head(wrong) + HEAD_LOG_GUID, NO_MATTER, 8);
		head_fit(c);
		case_expect_mended(c, 204);
		assert_true(log_guid_is_zero(c));
	}
}

static void test_of_two_headers_with_one_number_the_one_that_can_be_opened_counts(void **state)
{
	struct repair_case *c = *state;

	for (unsigned wrong = 0; wrong < 2; wrong++) {
		make_ambiguous(c);
		case_put(c, head(wrong) + HEAD_VERSION, 2, 2);
		head_fit(c);
		case_expect_mended(c, 204);
	}
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, repair_case_make, repair_case_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_a_lost_identifier_is_written_and_keeps_its_creator),
		DISK_TEST(test_an_identifier_that_is_wholly_lost_gets_a_creator),
		DISK_TEST(test_no_identifier_is_written_where_no_header_shows_an_image),
		DISK_TEST(test_a_file_that_ends_in_the_header_section_is_left),
		DISK_TEST(test_a_length_that_is_no_whole_mebibytes_is_rounded_up),
		DISK_TEST(test_the_length_of_a_device_is_left),
		DISK_TEST(test_what_is_missing_of_a_block_is_told_before_the_file_is_extended),
		DISK_TEST(test_a_file_that_was_cut_is_not_extended_below_a_log_that_says_so),
		DISK_TEST(test_a_header_without_signature_is_written_anew),
		DISK_TEST(test_a_header_with_a_wrong_checksum_is_written_anew),
		DISK_TEST(test_an_older_header_with_other_guids_is_written_anew),
		DISK_TEST(test_a_version_that_is_not_known_is_left),
		DISK_TEST(test_numbers_that_cannot_grow_begin_anew),
		DISK_TEST(test_numbers_that_are_too_near_their_end_begin_anew_too),
		DISK_TEST(test_numbers_near_their_end_are_no_fault_of_a_sound_image),
		DISK_TEST(test_a_log_version_with_nothing_to_replay_is_cleared),
		DISK_TEST(test_a_log_that_is_missing_is_made_where_nothing_lies),
		DISK_TEST(test_a_new_log_is_empty),
		DISK_TEST(test_a_log_behind_the_end_is_made_anew),
		DISK_TEST(test_a_log_that_is_not_on_a_mebibyte_is_made_anew),
		DISK_TEST(test_without_free_space_a_new_log_lies_at_the_end),
		DISK_TEST(test_a_new_log_does_not_take_the_place_of_a_block_behind_the_end),
		DISK_TEST(test_without_free_space_a_device_gets_no_new_log),
		DISK_TEST(test_of_two_headers_with_one_number_the_first_counts),
		DISK_TEST(test_of_two_headers_with_one_number_the_one_whose_log_is_right_counts),
		DISK_TEST(test_of_two_headers_with_one_number_the_one_that_can_be_opened_counts),
	};

	return RUN_TESTS(tests);
}
