/* SPDX-License-Identifier: MIT */
/* The short way of requests within a present block answers as the long one does, which they go first. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "support/newdisk.h"
#include "vdisk/direct.h"
#include "vdisk/writer.h"

#define BLOCK_SIZE ((uint64_t)1 << 20)
#define BLOCKS	   4u
#define LENGTH	   4096u

static uint8_t bytes[LENGTH] = {1, 2, 3};

static struct vhdx *open_with(const char *path, uint32_t flags)
{
	struct vhdx_open_options options = {.size = sizeof(options), .flags = flags};
	struct vhdx *disk = NULL;

	assert_int_equal(vhdx_open(path, &options, &disk), 0);
	return disk;
}

/* All of its blocks are present. */
static void make_disk(const char *path)
{
	create(path, VHDX_DYNAMIC, BLOCKS * BLOCK_SIZE, (uint32_t)BLOCK_SIZE);
	struct vhdx *disk = open_with(path, VHDX_OPEN_WRITE);

	for (uint64_t block = 0; block < BLOCKS; block++)
		assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, block * BLOCK_SIZE, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

static bool goes_directly(const struct vhdx *disk, uint64_t offset)
{
	uint64_t place;

	return disk_in_one_block(disk, offset, LENGTH) &&
	       disk_map_directly(disk, offset, LENGTH, &place);
}

static void test_a_block_goes_the_short_way_once_its_page_is_in_memory(void **state)
{
	(void)state;
	make_disk("disk");
	struct vhdx *disk = open_with("disk", 0);
	uint8_t buf[LENGTH];

	assert_false(goes_directly(disk, 0));
	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), 0);
	assert_true(goes_directly(disk, 0));
	assert_true(goes_directly(disk, 2 * BLOCK_SIZE - LENGTH));
	assert_false(goes_directly(disk, 2 * BLOCK_SIZE - LENGTH + 1));
	assert_false(disk_in_one_block(disk, 0, 0));
	assert_false(disk_in_one_block(disk, BLOCKS * BLOCK_SIZE, LENGTH));
	assert_false(disk_in_one_block(disk, UINT64_MAX, 1));
	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), 0);
	assert_memory_equal(buf, bytes, LENGTH);
	assert_int_equal(vhdx_close(disk), 0);
}

/* The entry of the first block becomes @entry, in the file. */
static void damage(const char *path, uint64_t entry)
{
	struct vhdx *disk = open_with(path, 0);
	struct le64 raw = le64_from(entry);
	uint64_t place = disk->image.bat.file_offset;

	assert_int_equal(vhdx_close(disk), 0);
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, &raw, sizeof(raw), (off_t)place), sizeof(raw));
	close(fd);
}

/* The first read loads the page, and so the second could go the short way. */
static void check_refused(uint64_t entry)
{
	make_disk("damaged");
	damage("damaged", entry);
	struct vhdx *disk = open_with("damaged", 0);
	uint8_t buf[LENGTH];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), -EUCLEAN);
		assert_int_equal(vhdx_pread(disk, buf, LENGTH, BLOCK_SIZE), 0);
	}
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(unlink("damaged"), 0);
}

static void test_a_block_where_none_can_be_is_refused_every_time(void **state)
{
	(void)state;
	check_refused(bat_entry_make(BLOCK_FULLY_PRESENT, 0));
	check_refused(bat_entry_make(BLOCK_FULLY_PRESENT, 100 * BLOCK_SIZE));
	check_refused(bat_entry_make(BLOCK_FULLY_PRESENT, UINT64_MAX - BLOCK_SIZE + 1));
	check_refused(BLOCK_RESERVED_4);
}

/* A session for metadata does not change the GUID that children know the disk's data by. */
static void test_an_overwrite_after_changes_of_metadata_alone_changes_the_guid_first(void **state)
{
	(void)state;
	make_disk("disk");
	struct vhdx *disk = open_with("disk", VHDX_OPEN_WRITE);
	struct vhdx_info before = {.size = sizeof(before)};
	struct vhdx_info after = {.size = sizeof(after)};
	uint8_t buf[LENGTH];

	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), 0);
	assert_int_equal(vhdx_gate_pass(disk, GATE_METADATA), 0);
	assert_int_equal(vhdx_get_info(disk, &before), 0);
	assert_true(goes_directly(disk, 0));
	assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, 0, 0), 0);
	assert_int_equal(vhdx_get_info(disk, &after), 0);
	assert_memory_not_equal(before.data_write_guid.bytes, after.data_write_guid.bytes, 16);
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_a_disk_that_is_only_read_refuses_overwrites(void **state)
{
	(void)state;
	make_disk("disk");
	struct vhdx *disk = open_with("disk", 0);
	uint8_t buf[LENGTH];

	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), 0);
	assert_true(goes_directly(disk, 0));
	assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, 0, 0), -EROFS);
	assert_int_equal(vhdx_close(disk), 0);
}

/* A child whose first block is all its own, and in memory. */
static struct vhdx *open_child(void)
{
	static uint8_t block[2 * BLOCK_SIZE] = {4, 5, 6};

	make_disk("parent");
	create_child("child", "parent");
	struct vhdx *disk = open_with("child", VHDX_OPEN_WRITE);

	assert_int_equal(vhdx_pwrite(disk, block, disk->image.geometry.block_size, 0, 0), 0);
	assert_true(goes_directly(disk, 0));
	return disk;
}

static void test_a_child_is_not_read_when_its_parent_cannot_be(void **state)
{
	struct vhdx *disk = open_child();
	struct kept_error why;
	uint8_t buf[LENGTH];

	(void)state;
	(void)vhdx_fail_memory();
	vhdx_error_keep(&why);
	disk->parent->unreadable = &why;
	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), -ENOMEM);
	assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, 0, 0), -ENOMEM);
	disk->parent->unreadable = NULL;
	vhdx_error_drop(&why);
	assert_int_equal(vhdx_pread(disk, buf, LENGTH, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_a_child_without_its_parent_refuses_overwrites(void **state)
{
	struct vhdx *disk = open_child();
	struct vhdx *parent = disk->parent;

	(void)state;
	disk->parent = NULL;
	assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, 0, 0), -EROFS);
	disk->parent = parent;
	assert_int_equal(vhdx_pwrite(disk, bytes, LENGTH, 0, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_block_goes_the_short_way_once_its_page_is_in_memory),
		SCRATCH_TEST(test_a_block_where_none_can_be_is_refused_every_time),
		SCRATCH_TEST(
			test_an_overwrite_after_changes_of_metadata_alone_changes_the_guid_first),
		SCRATCH_TEST(test_a_disk_that_is_only_read_refuses_overwrites),
		SCRATCH_TEST(test_a_child_is_not_read_when_its_parent_cannot_be),
		SCRATCH_TEST(test_a_child_without_its_parent_refuses_overwrites),
	};

	return RUN_TESTS(tests);
}
