/* SPDX-License-Identifier: MIT */
/* Where storage holds data is asked once a range, however many pieces of it a walk comes by. */
#include <errno.h>

#include "store/holes.h"
#include "support/image.h"
#include "support/newdisk.h"
#include "support/writestore.h"

#define BLOCKS 64u

static uint8_t bytes[T_MIB];

/* Storage with data at 1 and 2 MiB, and from 9 to 10 MiB. */
static void make_store(struct write_store *store)
{
	write_store_init(store);
	sparse_resize(&store->bytes, 16 * T_MIB);
	sparse_write(&store->bytes, bytes, T_MIB, T_MIB);
	sparse_write(&store->bytes, bytes, T_MIB, 2 * T_MIB);
	sparse_write(&store->bytes, bytes, T_MIB, 9 * T_MIB);
}

static void assert_known(struct known_data *known, const struct vhdx_io *io, uint64_t offset,
			 uint64_t start, uint64_t end)
{
	uint64_t got_start, got_end;

	assert_int_equal(vhdx_known_data(known, io, offset, &got_start, &got_end), 0);
	assert_int_equal(got_start, start);
	assert_int_equal(got_end, end);
}

static void test_a_range_is_asked_for_once(void **state)
{
	struct known_data known = {0};
	struct write_store store;

	(void)state;
	make_store(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	for (uint64_t at = 0; at < 3 * T_MIB; at += 4096)
		assert_known(&known, &io, at, at < T_MIB ? T_MIB : at, 3 * T_MIB);
	assert_int_equal(store.count[STORE_NEXT_DATA], 1);
	for (uint64_t at = 3 * T_MIB; at < 10 * T_MIB; at += 4096)
		assert_known(&known, &io, at, at < 9 * T_MIB ? 9 * T_MIB : at, 10 * T_MIB);
	assert_int_equal(store.count[STORE_NEXT_DATA], 2);
	for (uint64_t at = 10 * T_MIB; at < 16 * T_MIB; at += 4096)
		assert_known(&known, &io, at, UINT64_MAX, UINT64_MAX);
	assert_int_equal(store.count[STORE_NEXT_DATA], 3);
	write_store_free(&store);
}

static void test_what_lies_before_and_other_storage_are_asked_for_anew(void **state)
{
	struct known_data known = {0};
	struct write_store store;

	(void)state;
	make_store(&store);
	struct vhdx_io io = write_store_io(&store, 0);
	struct vhdx_io without = write_store_io(&store, STORE_BIT(STORE_NEXT_DATA));

	assert_known(&known, &io, 9 * T_MIB, 9 * T_MIB, 10 * T_MIB);
	assert_known(&known, &io, 0, T_MIB, 3 * T_MIB);
	assert_known(&known, &without, 0, 0, UINT64_MAX);
	assert_known(&known, &io, 0, T_MIB, 3 * T_MIB);
	write_store_free(&store);
}

static void test_a_failure_is_told_and_not_remembered(void **state)
{
	struct known_data known = {0};
	struct write_store store;
	uint64_t start, end;

	(void)state;
	make_store(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	store.fail_calls = STORE_BIT(STORE_NEXT_DATA);
	store.fail_from = store.fail_to = 1;
	store.error = -EIO;
	assert_int_equal(vhdx_known_data(&known, &io, 0, &start, &end), -EIO);
	assert_known(&known, &io, 0, T_MIB, 3 * T_MIB);
	write_store_free(&store);
}

/* A disk whose blocks lie in the file one behind the other, in the order of the disk or the other way round. */
static void make_disk(struct write_store *store, bool backwards, struct vhdx **ret_disk)
{
	struct vhdx_create_options create = options_of(VHDX_DYNAMIC, BLOCKS * T_MIB);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};

	write_store_init(store);
	struct vhdx_io io = write_store_io(store, 0);

	create.block_size = (uint32_t)T_MIB;
	assert_int_equal(vhdx_create_io(&io, &create), 0);
	assert_int_equal(vhdx_open_io(&io, &open, ret_disk), 0);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		uint64_t block = backwards ? BLOCKS - 1 - i : i;

		assert_int_equal(vhdx_pwrite(*ret_disk, bytes, T_MIB, block * T_MIB, 0), 0);
	}
	assert_int_equal(vhdx_flush(*ret_disk), 0);
}

static void check_map(bool backwards, size_t extents)
{
	struct vhdx_extent found[BLOCKS];
	struct write_store store;
	size_t count = BLOCKS;
	struct vhdx *disk;

	make_disk(&store, backwards, &disk);
	unsigned long asked = store.count[STORE_NEXT_DATA];

	assert_int_equal(
		vhdx_extents(disk, 0, BLOCKS * T_MIB, VHDX_EXTENTS_FILE_HOLES, found, &count), 0);
	assert_int_equal(count, extents);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(found[i].type, VHDX_EXTENT_DATA);
	assert_in_range(store.count[STORE_NEXT_DATA] - asked, 1, backwards ? BLOCKS : 1);
	vhdx_close(disk);
	write_store_free(&store);
}

static void test_a_disks_blocks_are_mapped_by_one_question(void **state)
{
	(void)state;
	check_map(false, 1);
	check_map(true, BLOCKS);
}

static void test_a_disk_is_compared_without_a_question_a_block(void **state)
{
	struct vhdx_difference difference = {.size = sizeof(difference)};
	struct vhdx_source source = {.size = sizeof(source)};
	struct write_store store;

	(void)state;
	make_disk(&store, false, &source.disk);
	unsigned long asked = store.count[STORE_NEXT_DATA];
	unsigned long reads = store.count[STORE_READ];

	assert_int_equal(vhdx_compare(&source, &source, NULL, &difference), 0);
	assert_int_equal(difference.differ, 0);
	assert_int_equal(store.count[STORE_NEXT_DATA] - asked, 2); /* each side's own */
	assert_in_range(store.count[STORE_READ] - reads, 0, 4);	   /* no block, for it is itself */
	vhdx_close(source.disk);
	write_store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_range_is_asked_for_once),
		cmocka_unit_test(test_what_lies_before_and_other_storage_are_asked_for_anew),
		cmocka_unit_test(test_a_failure_is_told_and_not_remembered),
		cmocka_unit_test(test_a_disks_blocks_are_mapped_by_one_question),
		cmocka_unit_test(test_a_disk_is_compared_without_a_question_a_block),
	};

	memset(bytes, 1, sizeof(bytes));
	return RUN_TESTS(tests);
}
