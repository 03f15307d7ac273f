/* SPDX-License-Identifier: MIT */
/* What writing costs, in calls of the storage: flushes and writes of each kind of change. */
#include <errno.h>
#include <string.h>

#include "support/image.h"
#include "support/newdisk.h"
#include "support/writestore.h"

#define BLOCK_SIZE T_MIB

static struct write_store store;
static struct vhdx *disk;
static const uint8_t bytes[65536] = {1, 2, 3};

static unsigned long changes_before, flushes_before, writes_before;

static void open_store(uint32_t flags)
{
	struct vhdx_io io = write_store_io(&store, 0);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE | flags};

	assert_int_equal(vhdx_open_io(&io, &open, &disk), 0);
}

static void make_disk(enum vhdx_type type, uint64_t size)
{
	struct vhdx_create_options options = options_of(type, size);

	options.block_size = BLOCK_SIZE;
	write_store_init(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_create_io(&io, &options), 0);
	open_store(0);
}

static void drop_disk(void)
{
	assert_int_equal(vhdx_close(disk), 0);
	write_store_free(&store);
}

static void count_from_now(void)
{
	changes_before = write_store_changes(&store);
	flushes_before = store.count[STORE_FLUSH];
	writes_before = store.count[STORE_WRITE];
}

static unsigned long changes(void)
{
	return write_store_changes(&store) - changes_before;
}

static unsigned long flushes(void)
{
	return store.count[STORE_FLUSH] - flushes_before;
}

static unsigned long writes(void)
{
	return store.count[STORE_WRITE] - writes_before;
}

static void write_block(uint64_t block)
{
	assert_int_equal(vhdx_pwrite(disk, bytes, 4096, block * BLOCK_SIZE + 8192, 0), 0);
}

static void flush(void)
{
	assert_int_equal(vhdx_flush(disk), 0);
}

/* The session's first write and flush are behind it. */
static void make_warm_disk(void)
{
	make_disk(VHDX_DYNAMIC, 4000 * BLOCK_SIZE);
	write_block(0);
	flush();
	count_from_now();
}

static void test_a_write_that_allocates_flushes_nothing(void **state)
{
	(void)state;
	make_warm_disk();
	for (uint64_t block = 1; block < 100; block++)
		write_block(block);
	assert_int_equal(flushes(), 0);
	drop_disk();
}

static void test_a_flush_is_one_flush_however_much_was_allocated(void **state)
{
	(void)state;
	make_warm_disk();
	uint64_t block = 1;

	for (uint64_t count = 1; count < 1000; count *= 2) {
		for (uint64_t i = 0; i < count; i++)
			write_block(block++);
		count_from_now();
		flush();
		assert_int_equal(flushes(), 1);
	}
	drop_disk();
}

static void test_a_flush_of_overwrites_is_one_flush_and_writes_nothing(void **state)
{
	(void)state;
	make_warm_disk();
	write_block(0);
	count_from_now();
	flush();
	assert_int_equal(flushes(), 1);
	assert_int_equal(changes(), 1);
	drop_disk();
}

static void test_an_overwrite_is_one_write(void **state)
{
	(void)state;
	make_warm_disk();
	write_block(0);
	assert_int_equal(writes(), 1);
	assert_int_equal(changes(), 1);
	unsigned long calls = write_store_count(&store, STORE_ANY);

	write_block(0);
	assert_int_equal(write_store_count(&store, STORE_ANY) - calls, 1);
	drop_disk();
}

static void test_an_overwrite_of_two_blocks_is_two_writes(void **state)
{
	(void)state;
	make_warm_disk();
	write_block(1);
	flush();
	count_from_now();
	assert_int_equal(vhdx_pwrite(disk, bytes, 8192, BLOCK_SIZE - 4096, 0), 0);
	assert_int_equal(changes(), 2);
	drop_disk();
}

static void test_an_overwrite_on_a_fixed_disk_is_one_write(void **state)
{
	(void)state;
	make_disk(VHDX_FIXED, 8 * BLOCK_SIZE);
	write_block(0);
	count_from_now();
	for (uint64_t block = 0; block < 8; block++)
		write_block(block);
	assert_int_equal(changes(), 8);
	flush();
	assert_int_equal(changes(), 9);
	drop_disk();
}

/*
 * Frees ten blocks, and then writes new ones until the file would have to grow, each with a flush of its
 * own. Returns how many of those were two flushes of the file; the others were one.
 */
static unsigned write_into_freed_space(unsigned without)
{
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};
	unsigned pairs = 0;
	unsigned count = 0;

	make_disk(VHDX_DYNAMIC, 100 * BLOCK_SIZE);
	for (uint64_t block = 0; block < 20; block++)
		write_block(block);
	assert_int_equal(vhdx_close(disk), 0);
	struct vhdx_io io = write_store_io(&store, without);

	assert_int_equal(vhdx_open_io(&io, &open, &disk), 0);
	assert_int_equal(vhdx_trim(disk, 0, 10 * BLOCK_SIZE, 0), 0);
	flush();
	store.limit = store.bytes.size;
	while (!vhdx_pwrite(disk, bytes, 4096, (30 + count) * BLOCK_SIZE, 0)) {
		count_from_now();
		flush();
		assert_in_range(flushes(), 1, 2);
		pairs += flushes() == 2;
		count++;
	}
	assert_true(count >= 10); /* they fitted into what was freed */
	store.limit = 0;
	drop_disk();
	return pairs;
}

static void test_a_flush_is_two_flushes_where_space_is_used_again(void **state)
{
	(void)state;
	assert_int_equal(write_into_freed_space(STORE_BIT(STORE_PUNCH)), 10);
}

static void test_a_flush_is_one_flush_where_the_space_was_punched_before(void **state)
{
	(void)state;
	assert_int_equal(write_into_freed_space(0), 0);
}

/* Trims and writes in turn: the file stays as small as what it holds. */
static void test_space_that_was_freed_is_used_again(void **state)
{
	(void)state;
	make_disk(VHDX_DYNAMIC, 4000 * BLOCK_SIZE);
	for (uint64_t block = 0; block < 400; block++) {
		write_block(block);
		flush();
		assert_int_equal(vhdx_trim(disk, block * BLOCK_SIZE, BLOCK_SIZE, 0), 0);
		flush();
	}
	assert_int_equal(vhdx_close(disk), 0);
	assert_true(store.bytes.size <= 32 * BLOCK_SIZE);
	open_store(0);
	drop_disk();
}

static void test_flushes_every_ten_allocations_cost_few_writes(void **state)
{
	(void)state;
	make_warm_disk();
	for (uint64_t block = 1; block <= 3000; block++) {
		write_block(block);
		if (block % 10 == 0)
			flush();
	}
	assert_true(writes() <= 3 * 3000);
	assert_true(flushes() <= 300 + 3000 / 100);
	drop_disk();
}

static void test_allocations_without_a_flush_cost_few_calls(void **state)
{
	(void)state;
	make_warm_disk();
	for (uint64_t block = 1; block <= 3000; block++)
		write_block(block);
	assert_true(writes() <= 3000 + 300);
	assert_true(flushes() <= 30);
	drop_disk();
}

/* In calls, for time cannot be asserted: what the storage is asked must not grow with the disk. */
static unsigned long calls_of_trimming(uint64_t size)
{
	make_disk(VHDX_DYNAMIC, size);
	unsigned long before = write_store_count(&store, STORE_ANY);

	count_from_now();
	assert_int_equal(vhdx_trim(disk, 0, size, 0), 0);
	assert_int_equal(vhdx_zero(disk, 0, size, VHDX_ZERO_MAY_UNMAP), 0);
	assert_int_equal(vhdx_zero(disk, 0, size, VHDX_ZERO_FAST), 0);
	assert_int_equal(changes(), 0);
	unsigned long calls = write_store_count(&store, STORE_ANY) - before;

	drop_disk();
	return calls;
}

static void test_trimming_an_empty_disk_writes_nothing_and_asks_little(void **state)
{
	(void)state;
	unsigned long small = calls_of_trimming(T_GIB);

	assert_true(calls_of_trimming(64 * T_TIB) <= small + 4);
}

static void test_a_session_without_changes_writes_nothing(void **state)
{
	uint8_t buf[512];

	(void)state;
	make_disk(VHDX_DYNAMIC, 8 * BLOCK_SIZE);
	write_block(3);
	assert_int_equal(vhdx_close(disk), 0);
	count_from_now();
	open_store(0);
	assert_int_equal(vhdx_pread(disk, buf, sizeof(buf), 3 * BLOCK_SIZE), 0);
	assert_int_equal(vhdx_trim(disk, 0, 2 * BLOCK_SIZE, 0), 0);
	assert_int_equal(vhdx_zero(disk, 4 * BLOCK_SIZE + 100, BLOCK_SIZE, 0), 0);
	assert_int_equal(vhdx_pwrite(disk, buf, 0, 0, 0), 0);
	flush();
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(writes(), 0);
	assert_int_equal(changes() - flushes(), 0);
	open_store(0);
	drop_disk();
}

/* A disk whose every block of 64 is present, in a parent. */
static void make_parent(void)
{
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};

	create("parent.vhdx", VHDX_DYNAMIC, 64 * BLOCK_SIZE, BLOCK_SIZE);
	assert_int_equal(vhdx_open("parent.vhdx", &open, &disk), 0);
	for (uint64_t block = 0; block < 32; block++)
		write_block(block);
	assert_int_equal(vhdx_close(disk), 0);
}

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	(void)opaque;
	(void)child;
	(void)key;
	(void)path;
	return vhdx_file_io("parent.vhdx", 0, ret_io) ? -ENOENT : 0;
}

static void make_child(void)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);
	struct vhdx_open_options open = {
		.size = sizeof(open), .flags = VHDX_OPEN_WRITE, .open_parent = open_parent};

	make_parent();
	options.parent = "parent.vhdx";
	options.block_size = BLOCK_SIZE;
	write_store_init(&store);
	struct vhdx_io io = write_store_io(&store, 0);

	assert_int_equal(vhdx_create_io(&io, &options), 0);
	assert_int_equal(vhdx_open_io(&io, &open, &disk), 0);
	write_block(0);
	flush();
}

/* A crash must not show the child's unwritten sector instead of the parent's. */
static void test_a_flush_is_two_flushes_where_sectors_were_the_parents(void **state)
{
	(void)state;
	make_child();
	for (uint64_t block = 1; block < 20; block++)
		write_block(block);
	count_from_now();
	flush();
	assert_int_equal(flushes(), 2);
	write_block(5); /* its bits are set: an overwrite */
	count_from_now();
	flush();
	assert_int_equal(flushes(), 1);
	drop_disk();
}

static void test_a_flush_is_two_flushes_where_a_block_was_the_parents(void **state)
{
	static uint8_t block[BLOCK_SIZE];

	(void)state;
	make_child();
	memset(block, 7, sizeof(block));
	assert_int_equal(vhdx_pwrite(disk, block, sizeof(block), 9 * BLOCK_SIZE, 0), 0);
	count_from_now();
	flush();
	assert_int_equal(flushes(), 2);
	drop_disk();
}

static void test_an_overwrite_in_a_child_is_one_write(void **state)
{
	(void)state;
	make_child();
	count_from_now();
	write_block(0);
	assert_int_equal(changes(), 1);
	drop_disk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_write_that_allocates_flushes_nothing),
		cmocka_unit_test(test_a_flush_is_one_flush_however_much_was_allocated),
		cmocka_unit_test(test_a_flush_of_overwrites_is_one_flush_and_writes_nothing),
		cmocka_unit_test(test_an_overwrite_is_one_write),
		cmocka_unit_test(test_an_overwrite_of_two_blocks_is_two_writes),
		cmocka_unit_test(test_an_overwrite_on_a_fixed_disk_is_one_write),
		cmocka_unit_test(test_a_flush_is_two_flushes_where_space_is_used_again),
		cmocka_unit_test(test_a_flush_is_one_flush_where_the_space_was_punched_before),
		cmocka_unit_test(test_space_that_was_freed_is_used_again),
		cmocka_unit_test(test_flushes_every_ten_allocations_cost_few_writes),
		cmocka_unit_test(test_allocations_without_a_flush_cost_few_calls),
		cmocka_unit_test(test_trimming_an_empty_disk_writes_nothing_and_asks_little),
		cmocka_unit_test(test_a_session_without_changes_writes_nothing),
		SCRATCH_TEST(test_a_flush_is_two_flushes_where_sectors_were_the_parents),
		SCRATCH_TEST(test_a_flush_is_two_flushes_where_a_block_was_the_parents),
		SCRATCH_TEST(test_an_overwrite_in_a_child_is_one_write),
	};

	return RUN_TESTS(tests);
}
