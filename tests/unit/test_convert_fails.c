/* SPDX-License-Identifier: MIT */
/* vhdx_convert when it fails, is stopped or refuses: the error, and what is left. */
#include "base/arith.h"
#include "support/endpoints.h"

#define SIZE (20 * MIB + 777)

static void test_a_read_error_reaches_the_caller_and_leaves_nothing(void **state)
{
	struct judged judged = {.size = 32 * MIB, .fail_read_at = 17 * MIB};
	struct vhdx_io io = judged_io(&judged);

	(void)state;
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct vhdx_destination destination = {.format = VHDX_FORMAT_VHDX, .path = "disk"};

		assert_int_equal(convert(from_io(&io), destination, threads), -EIO);
		assert_int_equal(vhdx_last_error()->errnum, -EIO);
		assert_non_null(strstr(vhdx_last_error()->text, "0x1100000"));
		assert_int_equal(scratch_count(), 0);
	}
}

static void test_a_write_error_reaches_the_caller(void **state)
{
	struct judged judged = {
		.bytes = calloc(1, 32 * MIB), .size = 32 * MIB, .fail_write_at = 9 * MIB};
	struct vhdx_io io = judged_io(&judged);

	(void)state;
	make_raw("raw", SIZE, 13);
	for (unsigned threads = 1; threads <= 4; threads++) {
		assert_int_equal(
			convert(from_path("raw"), (struct vhdx_destination){.io = &io}, threads),
			-EIO);
		assert_non_null(strstr(vhdx_last_error()->text, "cannot write"));
	}
	free(judged.bytes);
}

static void test_messages_call_storage_by_the_callers_name(void **state)
{
	struct judged bad = {.size = 32 * MIB, .fail_read_at = MIB};
	struct judged small = {.bytes = calloc(1, MIB), .size = MIB};
	struct vhdx_io bad_io = judged_io(&bad);
	struct vhdx_io small_io = judged_io(&small);
	struct vhdx_source source = from_io(&bad_io);
	struct vhdx_destination target = {.io = &small_io};

	(void)state;
	make_raw("raw", SIZE, 19);
	assert_int_equal(convert(source, (struct vhdx_destination){.path = "out"}, 1), -EIO);
	assert_string_equal(vhdx_last_error()->file, "(storage)");
	source.name = "far://away";
	assert_int_equal(convert(source, (struct vhdx_destination){.path = "out"}, 1), -EIO);
	assert_string_equal(vhdx_last_error()->file, "far://away");
	assert_int_equal(convert(from_path("raw"), target, 1), -ENOSPC);
	assert_string_equal(vhdx_last_error()->file, "(storage)");
	target.name = "far://there";
	assert_int_equal(convert(from_path("raw"), target, 1), -ENOSPC);
	assert_string_equal(vhdx_last_error()->file, "far://there");
	free(small.bytes);
}

static int convert_watched(struct watched *watched, const char *path)
{
	struct vhdx_convert_options options = {
		.size = sizeof(options), .threads = 3, .progress = watch, .opaque = watched};
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_source source = from_path("raw");
	struct vhdx_destination destination = {.size = sizeof(destination),
					       .format = VHDX_FORMAT_VHDX,
					       .path = path,
					       .create = &create};

	return vhdx_convert(&source, &destination, &options);
}

static void test_progress_never_falls_and_ends_at_the_total(void **state)
{
	struct watched watched = {.stop_at = 0};

	(void)state;
	make_raw("raw", SIZE, 14);
	scratch_resize("raw", 2 * SIZE);
	assert_int_equal(convert_watched(&watched, "disk"), 0);
	assert_int_equal(watched.total, 2 * SIZE);
	assert_int_equal(watched.last, 2 * SIZE);
	assert_true(watched.calls > 3);
}

static void test_a_cancel_leaves_nothing(void **state)
{
	struct watched watched = {.stop_at = 5 * MIB};

	(void)state;
	make_raw("raw", SIZE, 15);
	assert_int_equal(convert_watched(&watched, "disk"), -ECANCELED);
	assert_int_equal(scratch_count(), 1);
}

static void test_an_existing_file_is_kept_unless_forced(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_destination destination = {
		.format = VHDX_FORMAT_VHDX, .path = "disk", .create = &create};

	(void)state;
	make_raw("raw", SIZE, 16);
	scratch_write("disk", "old", 3, 0);
	assert_int_equal(convert(from_path("raw"), destination, 2), -EEXIST);
	assert_int_equal(scratch_size("disk"), 3);
	create.flags |= VHDX_CREATE_FORCE;
	assert_int_equal(convert(from_path("raw"), destination, 2), 0);
	assert_int_equal(vhdx_probe("disk"), 1);
}

static void test_the_source_is_never_the_destination(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_destination destination = {.path = "link", .create = &create};
	struct vhdx_info info = {0};

	(void)state;
	create.flags |= VHDX_CREATE_FORCE;
	make_raw("raw", SIZE, 17);
	assert_int_equal(symlink("raw", "link"), 0);
	assert_int_equal(convert(from_path("raw"), destination, 2), -EINVAL);
	to_vhdx(from_path("raw"), "parent", create, 2);
	create_child("child", "parent");
	struct vhdx *disk = open_disk("child", &info);

	destination.path = "parent";
	assert_int_equal(convert(from_disk(disk), destination, 2), -EINVAL);
	vhdx_close(disk);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	struct vhdx_create_options child = made(VHDX_DIFFERENCING, MIB);
	struct vhdx_destination out = {.path = "disk", .format = VHDX_FORMAT_VHDX};
	struct vhdx_destination differencing = {
		.path = "disk", .format = VHDX_FORMAT_VHDX, .create = &child};
	struct vhdx_destination stream = {.use_fd = 1, .fd = 1, .format = VHDX_FORMAT_VHDX};
	struct vhdx_destination two = {.path = "disk", .use_fd = 1};
	struct vhdx_destination unknown = {.path = "disk", .format = (enum vhdx_format)7};
	struct vhdx_source both = {.size = sizeof(both), .path = "raw", .use_fd = 1};
	struct vhdx_source none = {.size = sizeof(none)};

	(void)state;
	make_raw("raw", SIZE, 18);
	assert_int_equal(convert(from_path("raw"), differencing, 1), -EINVAL);
	assert_int_equal(convert(from_path("raw"), stream, 1), -EINVAL);
	assert_int_equal(convert(from_path("raw"), two, 1), -EINVAL);
	assert_int_equal(convert(from_path("raw"), unknown, 1), -EINVAL);
	assert_int_equal(convert(both, out, 1), -EINVAL);
	assert_int_equal(convert(none, out, 1), -EINVAL);
	assert_int_equal(convert(from_path("raw"), out, 65), -EINVAL);
	assert_int_equal(convert(from_path("missing"), out, 1), -ENOENT);
	assert_int_equal(scratch_count(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_read_error_reaches_the_caller_and_leaves_nothing),
		SCRATCH_TEST(test_a_write_error_reaches_the_caller),
		SCRATCH_TEST(test_messages_call_storage_by_the_callers_name),
		SCRATCH_TEST(test_progress_never_falls_and_ends_at_the_total),
		SCRATCH_TEST(test_a_cancel_leaves_nothing),
		SCRATCH_TEST(test_an_existing_file_is_kept_unless_forced),
		SCRATCH_TEST(test_the_source_is_never_the_destination),
		SCRATCH_TEST(test_what_makes_no_sense_is_refused),
	};

	return RUN_TESTS(tests);
}
