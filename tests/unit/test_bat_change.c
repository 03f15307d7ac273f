/* SPDX-License-Identifier: MIT */
/* Changes of BAT entries: in memory at once, in the file after a commit, and with space for their page. */
#include "meta/bat.h"
#include "support/journalcase.h"

#define LAST_ENTRY (PAGES * 512u - 1)

/* The structure of the case is a BAT of 2 TiB, the last page of which is full. */
static int make(void **state)
{
	case_start(state);
	struct journal_case *c = *state;

	vhdx_page_map_destroy(&c->map);
	c->image.geometry = geometry_make((uint64_t)2096641 * MIB, MIB, 512, false);
	assert_int_equal(c->image.geometry.entries, LAST_ENTRY + 1);
	c->image.bat = (struct region){.file_offset = HOME, .length = PAGES * PAGE_SIZE};
	return vhdx_bat_map_init(&c->map, &c->cache, &c->image);
}

static int try_set(struct journal_case *c, uint64_t index, uint64_t entry)
{
	struct change change;
	struct page *page;

	assert_int_equal(vhdx_journal_begin(&c->journal, 1, &change), 0);
	int ret = vhdx_bat_hold(&c->map, &c->image, &change, index, &page);

	if (!ret) {
		vhdx_change_enter(&change);
		vhdx_bat_set(&change, page, index, entry);
		vhdx_change_leave(&change);
	}
	vhdx_change_end(&change);
	return ret;
}

static void set(struct journal_case *c, uint64_t index, uint64_t entry)
{
	assert_int_equal(try_set(c, index, entry), 0);
}

static uint64_t get(struct journal_case *c, uint64_t index)
{
	uint64_t entry = 0;

	assert_int_equal(vhdx_bat_get(&c->map, index, &entry), 0);
	return entry;
}

static uint64_t in_file(struct journal_case *c, uint64_t index)
{
	uint8_t bytes[8];

	sparse_read(&c->file, bytes, 8, HOME + 8 * index);
	return get_number(bytes, 8);
}

static void test_an_entry_is_seen_at_once_and_in_the_file_after_a_commit(void **state)
{
	struct journal_case *c = *state;
	static const uint64_t indexes[] = {
		0, 1, 511, 512, 1023, 4096, 4097, 1000000, LAST_ENTRY - 511, LAST_ENTRY};

	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++)
		set(c, indexes[i], 0x1122334455000006 + indexes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		assert_true(get(c, indexes[i]) == 0x1122334455000006 + indexes[i]);
		assert_int_equal(in_file(c, indexes[i]), 0);
	}
	commit(c);
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++)
		assert_true(in_file(c, indexes[i]) == 0x1122334455000006 + indexes[i]);
	assert_int_equal(in_file(c, 2), 0);
	assert_int_equal(in_file(c, 510), 0);
	assert_int_equal(in_file(c, 513), 0);
	assert_int_equal(in_file(c, LAST_ENTRY + 1), 0);
}

static void test_an_entry_leaves_the_others_of_its_page(void **state)
{
	struct journal_case *c = *state;
	uint8_t old[PAGE_SIZE];

	memset(old, 0x5a, sizeof(old));
	sparse_write(&c->file, old, sizeof(old), HOME + 3 * PAGE_SIZE);
	set(c, 3 * 512 + 100, 7);
	commit(c);
	for (uint64_t i = 3 * 512; i < 4 * 512; i++)
		assert_true(in_file(c, i) ==
			    (i == 3 * 512 + 100 ? 7 : (uint64_t)0x5a5a5a5a5a5a5a5a));
}

static void test_a_run_of_zeros_ends_at_an_entry_that_is_only_in_memory(void **state)
{
	struct journal_case *c = *state;
	uint64_t count;

	assert_int_equal(vhdx_bat_zero_run(&c->map, 0, &count), 0);
	assert_int_equal(count, LAST_ENTRY + 1);
	set(c, 512 * 3000, 6);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 1, &count), 0);
	assert_int_equal(count, 512 * 3000 - 1);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 512 * 3000, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 512 * 3000 + 1, &count), 0);
	assert_int_equal(count, 511);
	set(c, 512 * 3000, 0);
	assert_int_equal(vhdx_bat_zero_run(&c->map, 512 * 3000, &count), 0);
	assert_true(count > 0);
}

static void test_a_page_in_a_hole_gets_its_space_once(void **state)
{
	struct journal_case *c = *state;

	sparse_write(&c->file, "x", 1, HOME + 20 * PAGE_SIZE);
	set(c, 512 * 9 + 5, 6);
	assert_int_equal(c->recorder.count, 1);
	assert_int_equal(c->recorder.operations[0].kind, OPERATION_RESERVE);
	assert_int_equal(c->recorder.operations[0].offset, HOME + 9 * PAGE_SIZE);
	assert_int_equal(c->recorder.operations[0].length, PAGE_SIZE);
	set(c, 512 * 9 + 6, 6);
	assert_int_equal(c->recorder.count, 1);
	set(c, 512 * 20 + 6, 6); /* the file holds that page */
	assert_int_equal(c->recorder.count, 1);
}

static void test_a_page_without_space_fails_its_change_alone(void **state)
{
	struct journal_case *c = *state;

	c->recorder.error = -ENOSPC;
	assert_int_equal(try_set(c, 512 * 9, 6), -ENOSPC);
	assert_int_equal(get(c, 512 * 9), 0);
	assert_int_equal(c->journal.transaction.dirty_count, 0);
	assert_int_equal(c->journal.transaction.reserved, 0);
	c->recorder.error = 0;
	set(c, 512 * 9, 6);
	commit(c);
	assert_int_equal(in_file(c, 512 * 9), 6);
}

static void test_storage_that_cannot_reserve_is_no_obstacle(void **state)
{
	struct journal_case *c = *state;

	c->io.reserve = NULL;
	set(c, 5, 6);
	commit(c);
	assert_int_equal(in_file(c, 5), 6);
}

int main(void)
{
#define WITH_BAT(test) cmocka_unit_test_setup_teardown(test, make, case_drop)
	const struct CMUnitTest tests[] = {
		WITH_BAT(test_an_entry_is_seen_at_once_and_in_the_file_after_a_commit),
		WITH_BAT(test_an_entry_leaves_the_others_of_its_page),
		WITH_BAT(test_a_run_of_zeros_ends_at_an_entry_that_is_only_in_memory),
		WITH_BAT(test_a_page_in_a_hole_gets_its_space_once),
		WITH_BAT(test_a_page_without_space_fails_its_change_alone),
		WITH_BAT(test_storage_that_cannot_reserve_is_no_obstacle),
	};

	return RUN_TESTS(tests);
}
