/* SPDX-License-Identifier: MIT */
/* What the check of the BAT says is taken of the file. */
#include "meta/batcheck.h"
#include "support/journalcase.h"

#define FILE_MEBIBYTES 60u

/* The structure of the case is a BAT of blocks of 2 MiB; a file of 60 MiB. */
static int make(void **state)
{
	case_make(state);
	struct journal_case *c = *state;

	sparse_resize(&c->file, FILE_MEBIBYTES * MIB);
	image_set_view_size(&c->image, c->file.size);
	c->image.parameters = (struct file_parameters){.block_size = 2 * MIB};
	c->image.geometry = geometry_make(4 * TIB, 2 * MIB, 512, false);
	c->image.bat = (struct region){.file_offset = HOME, .length = 17 * MIB};
	c->image.regions = calloc(1, sizeof(*c->image.regions));
	c->image.regions[0] = c->image.bat;
	c->image.region_count = 1;
	return 0;
}

static void make_child(struct journal_case *c)
{
	c->image.parameters.flags = PARAMETER_HAS_PARENT;
	c->image.geometry = geometry_make(4 * TIB, 2 * MIB, 512, true);
}

static void put(struct journal_case *c, uint64_t index, unsigned bat_state, uint64_t mebibyte)
{
	uint8_t entry[8];

	put_number(entry, bat_entry_make(bat_state, mebibyte * MIB), 8);
	sparse_write(&c->file, entry, 8, HOME + 8 * index);
}

/* Of the file, the fixed structures' 19 MiB and those from @first to @end are taken. */
static void expect_taken(struct journal_case *c, uint64_t first, uint64_t end)
{
	struct bat_counts counts;
	struct space_map taken = {0};

	assert_int_equal(vhdx_check_bat(&c->image, NULL, NULL, &counts, &taken), 0);
	assert_int_equal(taken.mebibytes, div_round_up(c->file.size, MIB));
	for (uint64_t i = 0; i < taken.mebibytes; i++) {
		bool is_taken = taken.words[i / 64] >> i % 64 & 1;

		if (is_taken != (i < 19 || (i >= first && i < end)))
			fail_msg("MiB %zu is %s", (size_t)i, is_taken ? "taken" : "free");
	}
	vhdx_space_map_free(&taken);
}

static void test_headers_log_and_regions_are_taken(void **state)
{
	expect_taken(*state, 0, 0);
}

static void test_blocks_with_space_are_taken_whatever_their_state(void **state)
{
	static const unsigned states[] = {BLOCK_FULLY_PRESENT, BLOCK_PARTIALLY_PRESENT,
					  BLOCK_UNMAPPED, BLOCK_UNDEFINED};
	struct journal_case *c = *state;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		put(c, 3, states[i], 40);
		expect_taken(c, 40, 42);
	}
	put(c, 3, BLOCK_ZERO, 40); /* what is left there is nobody's */
	expect_taken(c, 0, 0);
	put(c, 3, BLOCK_NOT_PRESENT, 40);
	expect_taken(c, 0, 0);
}

static void test_bitmap_blocks_are_taken(void **state)
{
	struct journal_case *c = *state;

	make_child(c);
	put(c, bat_index_of_bitmap(&c->image.geometry, 1), BITMAP_PRESENT, 33);
	expect_taken(c, 33, 34);
	put(c, bat_index_of_bitmap(&c->image.geometry, 1), BITMAP_NOT_PRESENT, 33);
	expect_taken(c, 0, 0);
}

static void test_the_end_of_an_odd_file_belongs_to_its_last_block(void **state)
{
	struct journal_case *c = *state;

	sparse_resize(&c->file, 50 * MIB + 4096);
	image_set_view_size(&c->image, c->file.size);
	put(c, 0, BLOCK_FULLY_PRESENT, 49);
	expect_taken(c, 49, 51);
	assert_true(c->image.is_locked); /* it is short, so nothing is handed out behind it */
}

struct found {
	unsigned problems[4];
	uint64_t places[4]; /* entries */
	size_t count;
};

static void note(void *opaque, const struct vhdx_finding *finding)
{
	struct found *found = opaque;

	assert_true(found->count < ARRAY_SIZE(found->problems));
	found->problems[found->count] = finding->problem->number;
	found->places[found->count++] = (finding->offset - HOME) / 8;
}

/* Blocks without space are most of what many disks have, and entries of other kinds lie between them. */
static void test_entries_of_other_kinds_are_seen_between_blocks_without_space(void **state)
{
	struct journal_case *c = *state;
	const struct geometry *g = &c->image.geometry;
	struct found found = {.count = 0};
	struct bat_counts counts;

	c->image.geometry = geometry_make(4 * TIB - 2 * GIB, 2 * MIB, 512, false);
	uint64_t bitmap = bat_index_of_bitmap(g, 1);

	for (uint64_t i = 0; i < 4 * g->chunk_ratio; i++)
		put(c, i, i % 2 ? BLOCK_ZERO : BLOCK_UNMAPPED, 0);
	for (uint64_t chunk = 0; chunk < 4; chunk++)
		put(c, bat_index_of_bitmap(g, chunk), 0, 0);
	put(c, bitmap, BLOCK_ZERO, 0);
	put(c, bitmap + 5, 4, 0);
	for (uint64_t i = 1; i < 4; i++)
		put(c, g->entries - i, BLOCK_ZERO, 0);
	put(c, g->entries, BLOCK_ZERO, 0);
	c->image.finding = note;
	c->image.opaque = &found;
	assert_int_equal(vhdx_check_bat(&c->image, NULL, NULL, &counts, NULL), 0);
	c->image.finding = NULL;
	assert_int_equal(found.count, 4);
	assert_int_equal(found.problems[3], PROBLEM_FILE_TRAILING_SPACE);
	assert_int_equal(found.problems[0], PROBLEM_BITMAP_ENTRY_ALONE);
	assert_int_equal(found.places[0], bitmap);
	assert_int_equal(found.problems[1], PROBLEM_BLOCK_STATE);
	assert_int_equal(found.places[1], bitmap + 5);
	assert_int_equal(found.problems[2], PROBLEM_BAT_PADDING);
	assert_int_equal(found.places[2], g->entries);
}

static int fail_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	(void)opaque;
	(void)offset;
	(void)ret_start;
	(void)ret_end;
	return -EIO;
}

static void test_nothing_is_left_to_the_caller_when_the_bat_cannot_be_read(void **state)
{
	struct journal_case *c = *state;
	struct bat_counts counts;
	struct space_map taken = {0};

	c->io.next_data = fail_next_data;
	assert_int_equal(vhdx_check_bat(&c->image, NULL, NULL, &counts, &taken), -EIO);
	assert_null(taken.words);
}

int main(void)
{
#define WITH_BAT(test) cmocka_unit_test_setup_teardown(test, make, case_drop)
	const struct CMUnitTest tests[] = {
		WITH_BAT(test_headers_log_and_regions_are_taken),
		WITH_BAT(test_blocks_with_space_are_taken_whatever_their_state),
		WITH_BAT(test_bitmap_blocks_are_taken),
		WITH_BAT(test_the_end_of_an_odd_file_belongs_to_its_last_block),
		WITH_BAT(test_entries_of_other_kinds_are_seen_between_blocks_without_space),
		WITH_BAT(test_nothing_is_left_to_the_caller_when_the_bat_cannot_be_read),
	};

	return RUN_TESTS(tests);
}
