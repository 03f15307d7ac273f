/* SPDX-License-Identifier: MIT */
/* vhdx_convert where the file system shares some ranges or files and others not, and when it is stopped. */
#include "support/shelf.h"

static void test_two_that_never_share_are_not_asked_again(void **state)
{
	static const int answers[] = {-EOPNOTSUPP, -EXDEV, -ENOTTY, -ENOSYS};
	static const uint8_t zeros[MIB];

	(void)state;
	make_large("raw");
	scratch_write("raw", zeros, sizeof(zeros), 4096); /* the first that is tried */
	to_vhdx(from_path("raw"), "copied", made(VHDX_DYNAMIC, MIB), 1);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		for (unsigned threads = 1; threads <= 4; threads++) {
			struct how how = usual;

			how.threads = threads;
			fs.answer = answers[i];
			fs.questions = 0;
			onto_image(from_path("raw"), "disk", &how);
			assert_int_equal(fs.questions, 1);
			scratch_assert_same("disk", "copied");
		}
}

static void test_one_that_refuses_again_and_again_is_let_be(void **state)
{
	static const int answers[] = {-EINVAL, -EIO, -ENOSPC, -EPERM};

	(void)state;
	make_large("raw");
	to_vhdx(from_path("raw"), "copied", made(VHDX_DYNAMIC, MIB), 1);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		fs.answer = answers[i];
		fs.questions = 0;
		onto_image(from_path("raw"), "disk", &usual);
		assert_in_range(fs.questions, 2, 16);
		scratch_assert_same("disk", "copied");
	}
}

static void test_a_range_that_is_refused_is_copied_and_the_rest_shared(void **state)
{
	(void)state;
	make_large("raw");
	for (uint64_t at = 5 * MIB; at < 21 * MIB; at += 3 * MIB + 12345) {
		fs.refuse_at = at;
		fs.bytes = 0;
		onto_image(from_path("raw"), "disk", &usual);
		assert_in_range(fs.bytes, MIB, 16 * MIB);
		assert_disk_is("disk", "raw", SIZE);
		assert_int_equal(
			convert_onto(from_path("raw"), "copy", VHDX_FORMAT_RAW, SIZE, &usual), 0);
		scratch_assert_same("copy", "raw");
	}
}

/* What was shared in part lies where other blocks come to lie, for those of zeros get no place. */
static void test_nothing_shows_of_what_was_shared_before_a_refusal(void **state)
{
	static uint8_t buf[6 * MIB];
	struct rng rng = rng_make(9);

	(void)state;
	rng_fill(&rng, buf, sizeof(buf));
	memset(buf + MIB, 0, MIB); /* no place */
	memset(buf + 3 * MIB + 4096, 0,
	       MIB - 4096); /* at the place of the block before, when all were shared */
	scratch_resize("raw", SIZE);
	scratch_write("raw", buf, sizeof(buf), 0);
	fs.refuse_at = 10 * MIB - 1; /* in the last block, which is in the second range */
	onto_image(from_path("raw"), "disk", &usual);
	assert_disk_is("disk", "raw", SIZE);
}

static void test_a_failure_behind_a_refusal_reaches_the_caller(void **state)
{
	struct judged judged = {.size = 32 * MIB, .fail_read_at = 17 * MIB};
	struct vhdx_io io = judged_io(&judged);

	(void)state;
	fs.answer = -EINVAL;
	assert_int_equal(convert_onto(from_io(&io), "disk", VHDX_FORMAT_VHDX, 0, &usual), -EIO);
	assert_non_null(strstr(vhdx_last_error()->text, "0x1100000"));
}

/* ---- Chains ---- */

/* A child with a whole block of its own, and with sectors here and there in blocks of its parent's. */
static void make_chain(void)
{
	static uint8_t buf[2 * MIB];
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = VHDX_OPEN_WRITE | VHDX_OPEN_ANY_PARENT};
	struct rng rng = rng_make(9);
	struct vhdx *disk;

	make_large("raw");
	to_vhdx(from_path("raw"), "parent", made(VHDX_DYNAMIC, 2 * MIB), 1);
	create_child("child", "parent");
	assert_int_equal(vhdx_open("child", &options, &disk), 0);
	rng_fill(&rng, buf, sizeof(buf));
	assert_int_equal(vhdx_pwrite(disk, buf, 2 * MIB, 4 * MIB, 0), 0);
	assert_int_equal(vhdx_pwrite(disk, buf, 512, 513 * 512, 0), 0);
	assert_int_equal(vhdx_pwrite(disk, buf, 300 * KIB, 12 * MIB + 512, 0), 0);
	assert_int_equal(vhdx_pwrite(disk, buf, 512, 14 * MIB - 512, 0), 0);
	assert_int_equal(vhdx_zero(disk, 16 * MIB, MIB, VHDX_ZERO_MAY_UNMAP), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_each_file_of_a_chain_shares_what_it_holds(void **state)
{
	struct vhdx_info info = {0};

	(void)state;
	make_chain();
	struct vhdx *disk = open_disk("child", &info);

	to_raw(from_disk(disk), "expected", 1);
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct how how = usual;

		how.threads = threads;
		fs.bytes = 0;
		onto_image(from_disk(disk), "disk", &how);
		assert_in_range(fs.bytes, 13 * MIB, 17 * MIB);
		assert_int_equal(fs.crooked, 0);
		assert_disk_is("disk", "expected", info.virtual_size);
		assert_int_equal(convert_onto(from_disk(disk), "copy", VHDX_FORMAT_RAW,
					      info.virtual_size, &how),
				 0);
		scratch_assert_same("copy", "expected");
	}
	vhdx_close(disk);
}

/* The parent lies in another file system. */
static int clone_small_files_only(void *opaque, uint64_t offset, const struct vhdx_io *source,
				  uint64_t source_offset, uint64_t length)
{
	uint64_t size;

	assert_int_equal(vhdx_io_get_size(source, &size), 0);
	if (size <= scratch_size("child"))
		return clone(opaque, offset, source, source_offset, length);
	fs.questions++;
	return -EXDEV;
}

static void test_a_file_of_a_chain_that_cannot_share_keeps_no_other_from_it(void **state)
{
	struct vhdx_info info = {0};

	(void)state;
	make_chain();
	struct vhdx *disk = open_disk("child", &info);
	struct vhdx_io io = shelf("copy", info.virtual_size);
	struct vhdx_destination to = {.io = &io};

	to_raw(from_disk(disk), "expected", 1);
	assert_true(scratch_size("child") < scratch_size("parent"));
	io.clone = clone_small_files_only;
	assert_int_equal(convert(from_disk(disk), to, 2), 0);
	vhdx_io_close(&io);
	vhdx_close(disk);
	assert_in_range(fs.bytes, 2 * MIB, 3 * MIB);
	scratch_assert_same("copy", "expected");
}

/* ---- Stopped ---- */

static void test_a_cancel_is_noticed_between_two_ranges(void **state)
{
	struct judged judged = {.size = 1100 * MIB};
	struct vhdx_io io = judged_io(&judged);
	struct watched watched = {.stop_at = 300 * MIB};
	struct how how = usual;

	(void)state;
	fs.only_counts = true;
	how.progress = watch;
	how.opaque = &watched;
	assert_int_equal(convert_onto(from_io(&io), "disk", VHDX_FORMAT_VHDX, 0, &how), -ECANCELED);
	assert_in_range(fs.bytes, 300 * MIB, 512 * MIB);
}

static void test_a_cancel_is_noticed_while_a_refused_range_is_copied(void **state)
{
	struct judged judged = {.size = 600 * MIB};
	struct vhdx_io io = judged_io(&judged);
	struct watched watched = {.stop_at = 20 * MIB};
	struct how how = usual;

	(void)state;
	fs.only_counts = true;
	how.progress = watch;
	how.opaque = &watched;
	how.threads = 1;
	fs.refuse_at = 6 * MIB; /* in the first long range */
	assert_int_equal(convert_onto(from_io(&io), "disk", VHDX_FORMAT_VHDX, 0, &how), -ECANCELED);
	assert_true(judged.read_bytes < 40 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARE_TEST(test_two_that_never_share_are_not_asked_again),
		SHARE_TEST(test_one_that_refuses_again_and_again_is_let_be),
		SHARE_TEST(test_a_range_that_is_refused_is_copied_and_the_rest_shared),
		SHARE_TEST(test_nothing_shows_of_what_was_shared_before_a_refusal),
		SHARE_TEST(test_a_failure_behind_a_refusal_reaches_the_caller),
		SHARE_TEST(test_each_file_of_a_chain_shares_what_it_holds),
		SHARE_TEST(test_a_file_of_a_chain_that_cannot_share_keeps_no_other_from_it),
		SHARE_TEST(test_a_cancel_is_noticed_between_two_ranges),
		SHARE_TEST(test_a_cancel_is_noticed_while_a_refused_range_is_copied),
	};

	return RUN_TESTS(tests);
}
