/* SPDX-License-Identifier: MIT */
/* A file system that fills up under a disk, and has space again. Needs to mount a small tmpfs. */
#include <errno.h>
#include <sys/mount.h>

#include "support/image.h"
#include "support/newdisk.h"

#define ROOM	     (24 * T_MIB)
#define BALLAST	     (8 * T_MIB)
#define BLOCKS	     64u
#define DISK	     "full/disk.vhdx"
#define BALLAST_FILE "full/ballast"

static bool is_mounted;
static struct vhdx *disk;
static uint8_t contents[BLOCKS]; /* of each block's bytes; 0: never written */
static uint8_t block[T_MIB];

static int mount_small(void **state)
{
	if (scratch_enter(state))
		return -1;
	is_mounted = !mkdir("full", 0755) && !mount("none", "full", "tmpfs", 0, "size=24m");
	memset(contents, 0, sizeof(contents));
	return 0;
}

static int unmount(void **state)
{
	if (is_mounted && umount("full"))
		return -1;
	return scratch_leave(state);
}

static void open_disk_for_writing(void)
{
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};

	assert_int_equal(vhdx_open(DISK, &open, &disk), 0);
}

static void make_disk(void)
{
	if (!is_mounted)
		skip();
	memset(block, 0x55, sizeof(block));
	for (uint64_t at = 0; at < BALLAST; at += sizeof(block))
		scratch_write(BALLAST_FILE, block, sizeof(block), at);
	create(DISK, VHDX_DYNAMIC, BLOCKS * T_MIB, T_MIB);
	open_disk_for_writing();
}

static int write_block(unsigned number, uint8_t value)
{
	memset(block, value, sizeof(block));
	return vhdx_pwrite(disk, block, sizeof(block), number * T_MIB, 0);
}

static void check_block(unsigned number, uint8_t value)
{
	memset(block, value ^ 0xff, sizeof(block));
	assert_int_equal(vhdx_pread(disk, block, sizeof(block), number * T_MIB), 0);
	for (size_t i = 0; i < sizeof(block); i++)
		if (block[i] != value)
			fail_msg("block %u, byte %zu: %#x, not %#x", number, i, block[i], value);
}

static void check_blocks(void)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		check_block(i, contents[i]);
}

/* Writes blocks until there is no space for one. Returns which that was. */
static unsigned fill_up(void)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		int ret = write_block(i, (uint8_t)(i + 1));

		if (ret) {
			assert_int_equal(ret, -ENOSPC);
			return i;
		}
		contents[i] = (uint8_t)(i + 1);
	}
	fail_msg("%u MiB fitted into %u", BLOCKS, (unsigned)(ROOM / T_MIB));
	return 0;
}

static void test_a_full_file_system_fails_what_needs_space_and_nothing_else(void **state)
{
	(void)state;
	make_disk();
	unsigned failed = fill_up();

	assert_in_range(failed, 2, ROOM / T_MIB);
	check_blocks(); /* the block that failed reads zeros: it was never there */
	assert_int_equal(write_block(0, 0xaa), 0);
	contents[0] = 0xaa;
	assert_int_equal(unlink(BALLAST_FILE), 0);
	assert_int_equal(write_block(failed, 0xbb), 0);
	contents[failed] = 0xbb;
	assert_int_equal(vhdx_flush(disk), 0);
	check_blocks();
	assert_int_equal(vhdx_close(disk), 0);
	open_disk_for_writing();
	check_blocks();
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_what_was_flushed_before_the_file_system_was_full_is_there(void **state)
{
	struct vhdx_check_result result = {.size = sizeof(result)};

	(void)state;
	make_disk();
	for (unsigned i = 40; i < 44; i++) {
		assert_int_equal(write_block(i, (uint8_t)i), 0);
		contents[i] = (uint8_t)i;
	}
	assert_int_equal(vhdx_flush(disk), 0);
	fill_up();
	int ret = vhdx_close(disk);

	assert_true(ret == 0 || ret == -ENOSPC);
	assert_int_equal(unlink(BALLAST_FILE), 0);
	open_disk_for_writing();
	for (unsigned i = 40; i < 44; i++)
		check_block(i, contents[i]);
	if (!ret)
		check_blocks();
	assert_int_equal(vhdx_check(disk, NULL, &result), 0);
	assert_int_equal(result.damages, 0);
	assert_int_equal(write_block(50, 1), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

int main(void)
{
#define ON_SMALL(test) cmocka_unit_test_setup_teardown(test, mount_small, unmount)
	const struct CMUnitTest tests[] = {
		ON_SMALL(test_a_full_file_system_fails_what_needs_space_and_nothing_else),
		ON_SMALL(test_what_was_flushed_before_the_file_system_was_full_is_there),
	};

	return RUN_TESTS(tests);
}
