/* SPDX-License-Identifier: MIT */
/* vhdx_convert between files that can share blocks: what it shares, and what it never does. */
#include "support/shelf.h"

static void test_aligned_data_of_a_raw_file_are_shared_and_not_read(void **state)
{
	(void)state;
	make_large("raw");
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct how how = usual;
		struct vhdx_io io = counted("raw");

		how.threads = threads;
		fs.bytes = 0;
		onto_image(from_io(&io), "disk", &how);
		vhdx_io_close(&io);
		assert_int_equal(fs.crooked, 0);
		assert_int_equal(fs.bytes, 16 * MIB); /* all but the last 777 bytes */
		assert_true(read_bytes < 4096);
		assert_disk_is("disk", "raw", SIZE);
	}
}

static void test_what_is_shared_makes_the_file_that_copying_makes(void **state)
{
	struct how how = usual;

	(void)state;
	make_large("raw");
	onto_image(from_path("raw"), "disk", &how);
	assert_true(fs.bytes > 0);
	to_vhdx(from_path("raw"), "copied", made(VHDX_DYNAMIC, MIB), 1);
	scratch_assert_same("disk", "copied");
}

static void test_blocks_larger_than_a_mib_are_shared(void **state)
{
	(void)state;
	make_large("raw");
	for (uint32_t block_size = MIB; block_size <= 256 * MIB; block_size *= 4) {
		struct how how = usual;

		how.block_size = block_size;
		fs.bytes = 0;
		onto_image(from_path("raw"), "disk", &how);
		assert_int_equal(fs.bytes, 16 * MIB);
		assert_disk_is("disk", "raw", SIZE);
	}
}

static void test_blocks_of_a_disk_are_shared_with_raw_storage(void **state)
{
	struct vhdx_info info = {0};
	struct vhdx *disk;

	(void)state;
	make_large("raw");
	to_vhdx(from_path("raw"), "disk", made(VHDX_DYNAMIC, 2 * MIB), 1);
	struct vhdx_io io = counted("disk");

	info.size = sizeof(info);
	assert_int_equal(vhdx_open_io(&io, NULL, &disk), 0);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	read_bytes = 0;
	assert_int_equal(
		convert_onto(from_disk(disk), "copy", VHDX_FORMAT_RAW, info.virtual_size, &usual),
		0);
	vhdx_close(disk);
	assert_true(fs.bytes >= 16 * MIB);
	assert_true(read_bytes < MIB); /* the BAT, and ends */
	scratch_resize("copy", SIZE);
	scratch_assert_same("copy", "raw");
}

static void test_holes_stay_holes(void **state)
{
	(void)state;
	make_large("raw");
	onto_image(from_path("raw"), "disk", &usual);
	assert_int_equal(scratch_size("disk"), 4 * MIB + (8 + 10) * MIB);
	assert_true(scratch_space("disk") <= 17 * MIB);
}

static void test_no_range_is_so_long_that_a_cancel_would_wait(void **state)
{
	(void)state;
	/* Storage that cannot tell its holes is all data. */
	struct judged judged = {.size = 600 * MIB};
	struct vhdx_io io = judged_io(&judged);

	fs.only_counts = true;
	onto_image(from_io(&io), "disk", &usual);
	assert_true(fs.bytes == 600 * MIB);
	assert_true(fs.longest > 128 * MIB && fs.longest <= 256 * MIB);
}

/* ---- Where nothing may be shared ---- */

static void check_nothing_is_asked(struct how how)
{
	onto_image(from_path("raw"), "disk", &how);
	assert_int_equal(fs.questions, 0);
	assert_disk_is("disk", "raw", SIZE);
}

static void test_what_shall_have_space_of_its_own_shares_none(void **state)
{
	struct how how = usual;

	(void)state;
	make_large("raw");
	how.type = VHDX_FIXED;
	check_nothing_is_asked(how);
	how = usual;
	how.create_flags = VHDX_CREATE_NO_HOLES;
	check_nothing_is_asked(how);
	assert_int_equal(convert_onto(from_path("raw"), "copy", VHDX_FORMAT_RAW, SIZE, &how), 0);
	assert_int_equal(fs.questions, 0);
	scratch_assert_same("copy", "raw");
}

static void test_no_clone_copies_and_finds_zeros(void **state)
{
	static const uint8_t zeros[4 * MIB];
	struct how how = usual;

	(void)state;
	make_large("raw");
	scratch_write("raw", zeros, sizeof(zeros), 2 * MIB);
	onto_image(from_path("raw"), "disk", &how);
	uint64_t shared_size = scratch_size("disk");

	fs.questions = 0;
	how.flags = VHDX_CONVERT_NO_CLONE;
	check_nothing_is_asked(how);
	assert_int_equal(scratch_size("disk"), shared_size - 4 * MIB);
}

static void test_a_replayed_log_is_not_in_the_file(void **state)
{
	struct vhdx_io io, copy;
	struct vhdx_open_options options = {.size = sizeof(options), .flags = VHDX_OPEN_WRITE};
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;
	uint8_t byte = 0x5a;

	(void)state;
	make_large("raw");
	to_vhdx(from_path("raw"), "disk", made(VHDX_DYNAMIC, MIB), 1);
	assert_int_equal(vhdx_file_io("disk", VHDX_FILE_WRITE, &io), 0);
	assert_int_equal(vhdx_open_io(&io, &options, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, &byte, 1, 8 * MIB, VHDX_FUA), 0); /* a new block */
	size_t size;
	uint8_t *bytes = scratch_read("disk", &size); /* as a crash leaves it */

	assert_int_equal(vhdx_close(disk), 0);
	scratch_write("crashed", bytes, size, 0);
	free(bytes);
	assert_int_equal(vhdx_file_io("crashed", 0, &copy), 0);
	assert_int_equal(vhdx_open_io(&copy, NULL, &disk), 0);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	assert_int_equal(info.log_state, VHDX_LOG_DIRTY);
	onto_image(from_disk(disk), "made", &usual);
	vhdx_close(disk);
	assert_int_equal(fs.questions, 0);
	scratch_write("raw", &byte, 1, 8 * MIB);
	assert_disk_is("made", "raw", SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARE_TEST(test_aligned_data_of_a_raw_file_are_shared_and_not_read),
		SHARE_TEST(test_what_is_shared_makes_the_file_that_copying_makes),
		SHARE_TEST(test_blocks_larger_than_a_mib_are_shared),
		SHARE_TEST(test_blocks_of_a_disk_are_shared_with_raw_storage),
		SHARE_TEST(test_holes_stay_holes),
		SHARE_TEST(test_no_range_is_so_long_that_a_cancel_would_wait),
		SHARE_TEST(test_what_shall_have_space_of_its_own_shares_none),
		SHARE_TEST(test_no_clone_copies_and_finds_zeros),
		SHARE_TEST(test_a_replayed_log_is_not_in_the_file),
	};

	return RUN_TESTS(tests);
}
